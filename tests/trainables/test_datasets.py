"""Decoding, and the cache that processes share, with its lock."""

import multiprocessing
import os
import signal
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from filelock import Timeout
from PIL import Image

from trainables import datasets
from trainables.datasets import cache


def encoded(array, kind="PNG"):
    file = BytesIO()
    Image.fromarray(array).save(file, kind)
    return file.getvalue()


def write_parquet(path, images, labels):
    path.parent.mkdir(exist_ok=True)
    column = [{"bytes": encoded(image), "path": None} for image in images]
    pq.write_table(pa.table({"image": column, "label": labels}), path)


@pytest.fixture
def colours():
    return np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path, monkeypatch, colours):
    monkeypatch.setenv("ORCH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("ORCH_CACHE_DIR", str(tmp_path / "cache"))
    write_parquet(tmp_path / "six" / "train.parquet", colours, [0, 1, 2, 0, 1, 2])
    write_parquet(tmp_path / "six" / "val.parquet", colours[:2], [0, 1])
    return tmp_path / "six"


def test_png_images_are_decoded_bit_for_bit(folder, colours):
    images, labels = datasets.load("parquet:six", "train", None)
    assert np.array_equal(images, colours)
    assert labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert datasets.load(str(folder), "test", None)[1].tolist() == [0, 1]


@pytest.mark.usefixtures("folder")
def test_image_size_averages_areas(colours):
    images, _ = datasets.load("parquet:six", "train", 2)
    expected = colours.reshape(6, 2, 2, 2, 2, 3).mean((2, 4))
    assert np.array_equal(images, np.round(expected))
    with pytest.raises(ValueError, match="image_size 5 is larger than the images, 4x4"):
        datasets.load("parquet:six", "train", 5)


@pytest.mark.usefixtures("folder")
def test_images_are_decoded_once_and_the_file_cannot_be_changed(monkeypatch, colours):
    images, _ = datasets.load("parquet:six", "train", None)
    assert isinstance(images, np.memmap)
    images[:] = 0
    monkeypatch.setattr(datasets.parquet, "_read", None)  # decoding again would fail
    assert np.array_equal(datasets.load("parquet:six", "train", None)[0], colours)


def test_other_contents_are_another_entry(folder, colours):
    datasets.load("parquet:six", "train", None)
    write_parquet(folder / "train.parquet", 255 - colours, [0] * 6)
    assert np.array_equal(datasets.load("parquet:six", "train", None)[0], 255 - colours)


def test_contents_that_change_under_the_same_size_and_time_have_another_digest(folder):
    file = folder / "train.parquet"
    before, stat = datasets.digest("parquet:six"), file.stat()
    file.write_bytes(file.read_bytes()[::-1])
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert datasets.digest("parquet:six") != before


@pytest.mark.usefixtures("folder")
def test_what_did_not_change_is_read_once_by_all_processes(monkeypatch):
    before = datasets.digest("parquet:six")
    monkeypatch.setattr(cache, "_digest", None)  # reading again would fail
    assert datasets.digest("parquet:six") == before


@pytest.mark.usefixtures("folder")
def test_an_unfinished_entry_of_a_killed_process_is_replaced(colours):
    datasets.load("parquet:six", "train", None)
    [entry] = [path for path in cache.folder().iterdir() if path.is_dir()]
    entry.rename(entry.with_suffix(".unfinished"))
    assert np.array_equal(datasets.load("parquet:six", "train", None)[0], colours)
    assert entry.exists()
    assert not entry.with_suffix(".unfinished").exists()


def test_processes_that_start_together_decode_once_and_agree(folder, monkeypatch, colours):
    read = datasets.parquet._read

    def counted(*arguments):
        with (folder.parent / "decoded").open("a") as file:
            file.write(".")
        return read(*arguments)

    def load(number):
        barrier.wait()
        sums[number] = int(datasets.load("parquet:six", "train", None)[0].sum())

    monkeypatch.setattr(datasets.parquet, "_read", counted)
    context = multiprocessing.get_context("fork")
    barrier, sums = context.Barrier(4), context.Array("q", 4)
    processes = [context.Process(target=load, args=(number,)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert list(sums) == [colours.sum()] * 4
    assert (folder.parent / "decoded").read_text() == "."


@pytest.mark.usefixtures("folder")
def test_the_lock_of_a_killed_process_is_free():
    context = multiprocessing.get_context("fork")
    held = context.Event()

    def hold():
        with cache.locked("download"):
            held.set()
            signal.pause()

    process = context.Process(target=hold)
    process.start()
    held.wait()
    lock = cache.locked("download")
    with pytest.raises(Timeout):
        lock.acquire(blocking=False)
    process.kill()
    process.join()
    with lock.acquire(blocking=False):
        assert lock.is_locked


def test_grey_images_stay_grey_unless_some_have_colour(folder, colours):
    grey = list(colours[:, :, :, 0])
    write_parquet(folder / "train.parquet", grey, [0] * 6)
    assert datasets.load("parquet:six", "train", None)[0].shape == (6, 4, 4, 1)
    write_parquet(folder / "train.parquet", [*grey[:5], colours[5]], [0] * 6)
    images, _ = datasets.load("parquet:six", "train", None)
    assert np.array_equal(images[0], np.stack([grey[0]] * 3, axis=-1))
    assert np.array_equal(images[5], colours[5])


def test_images_of_several_sizes_are_rejected(folder, colours):
    write_parquet(folder / "train.parquet", [colours[0], colours[1, :2]], [0, 1])
    with pytest.raises(ValueError, match="images must all have one size"):
        datasets.load("parquet:six", "train", None)


def test_other_columns_are_rejected(folder):
    pq.write_table(pa.table({"img": [1], "label": [0]}), folder / "train.parquet")
    with pytest.raises(ValueError, match=r"expected columns image .* got \['img', 'label'\]"):
        datasets.load("parquet:six", "train", None)


def test_an_unknown_name_is_rejected_with_a_suggestion():
    with pytest.raises(ValueError, match="unknown dataset 'digit'; did you mean 'digits'"):
        datasets.load("digit", "train", None)


def test_the_cache_is_in_the_users_cache_folder_by_default(monkeypatch, tmp_path):
    monkeypatch.delenv("ORCH_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "orch-sweeps"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache.folder() == tmp_path / "home" / ".cache" / "orch-sweeps"


def test_digits_are_scikit_learns():
    images, labels = datasets.load("digits", "train", None)
    assert images.shape == (1200, 8, 8, 1)
    assert (images.min(), images.max()) == (0, 255)
    assert labels[:10].tolist() == list(range(10))


def test_real_tiny_imagenet_in_parquet(real_data):
    folder = real_data("tiny-imagenet", "train.parquet", "val.parquet")
    images, labels = datasets.load(str(folder), "test", None)
    table = pq.read_table(folder / "val.parquet")
    assert images.shape == (len(table), 64, 64, 3)
    assert set(np.bincount(labels)) == {50}
    row = table["image"][17]["bytes"].as_py()
    assert np.array_equal(images[17], np.asarray(Image.open(BytesIO(row)).convert("RGB")))
