"""Image files decoded once per machine: what is in the file, who makes it, what is left of it."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator

from trainables import data
from trainables.classify import train
from trainables.data import Choice
from trainables.datasets import pixels

CPU = torch.device("cpu")
SHAPES = [(40, 60), (60, 40), (32, 32), (20, 90), (7, 5)]  # height, width


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ORCH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("ORCH_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def picture(shape: tuple[int, int], seed: int) -> Image.Image:
    """A picture whose colours change slowly."""
    field = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(field).resize(shape[::-1], Image.Resampling.BICUBIC)


def folder(root: Path, count: int, classes: int = 2) -> Path:
    """Write a data set: `count` images per class and split, of different sizes."""
    for split in ("train", "val"):
        for number in range(classes):
            for index in range(count):
                path = root / split / f"class{number}" / f"{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                seed = 1000 * number + 2 * index + (split == "val")
                picture(SHAPES[index % len(SHAPES)], seed).save(path)
    return root


def paths(root: Path) -> list[str]:
    return sorted(str(path) for path in root.glob("train/*/*"))


def decode(files: list[str], side: int = 32) -> tuple[pixels.Pixels, list[str]]:
    lines: list[str] = []
    return pixels.decoded(files, side, 2, lines.append), lines


def test_images_have_the_asked_shorter_side_and_are_never_enlarged(tmp_path):
    files = paths(folder(tmp_path / "set", 5, classes=1))
    decoded, _ = decode(files)
    assert decoded.shapes.tolist() == [[32, 48], [48, 32], [32, 32], [20, 90], [7, 5]]
    for row, path in enumerate(files):
        height, width = decoded.shapes[row].tolist()
        expected = Image.open(path).resize((width, height), Image.Resampling.BILINEAR)
        assert np.array_equal(decoded.image(row), np.asarray(expected))


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("L", "grey.png"),
        ("P", "palette.png"),
        ("RGBA", "alpha.png"),
        ("CMYK", "cmyk.jpg"),
        ("RGB", "misnamed.JPEG"),
    ],
)
def test_every_mode_becomes_rgb(tmp_path, mode, name):
    path = tmp_path / name
    image = picture((20, 30), 0).convert(mode)
    image.save(path, "PNG" if name == "misnamed.JPEG" else None)
    decoded, _ = decode([str(path)])
    with Image.open(path) as reread:
        assert np.array_equal(decoded.image(0), np.asarray(reread.convert("RGB")))


def test_a_jpeg_is_close_to_what_its_full_decoding_gives(tmp_path):
    path = tmp_path / "large.jpg"
    picture((600, 800), 0).save(path, quality=95)
    decoded, _ = decode([str(path)], side=64)
    exact = np.asarray(Image.open(path).resize((85, 64), Image.Resampling.BILINEAR), np.float32)
    assert decoded.shapes.tolist() == [[64, 85]]
    assert np.abs(decoded.image(0) - exact).mean() < 1


def test_files_are_decoded_once_and_again_after_a_change(tmp_path, cache):
    files = paths(folder(tmp_path / "set", 3))
    first, lines = decode(files)
    assert lines[0].startswith("decoding 6 of 6 images once, into about 24.6 kB of /")
    assert lines[1:] == ["decoded 6 of 6 images"]
    again, lines = decode(files)
    assert (again.digest, lines) == (first.digest, [])
    picture((32, 32), 77).save(files[-1])
    changed, lines = decode(files)
    assert changed.digest != first.digest
    assert len(lines) == 2
    assert len(list(cache.glob("*/pixels"))) == 2


INTERRUPTED = """
import os, sys
from trainables.datasets import pixels

def log(line):
    if line.startswith("decoded"):
        os.kill(os.getpid(), int(sys.argv[1]))

pixels.decoded(sys.argv[2:], 32, 2, log)
"""


def test_a_killed_process_is_continued_by_the_next(tmp_path, cache):
    files = paths(folder(tmp_path / "set", 300))
    whole, _ = decode(files)
    expected = [whole.data.tobytes(), whole.shapes.tolist()]
    del whole
    shutil.rmtree(cache)
    killed = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(int(signal.SIGKILL)), *files], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    [unfinished] = cache.glob("*.unfinished")
    with (unfinished / "pixels").open("ab") as file:
        file.write(b"half an image")  # of a chunk whose shapes were not written
    resumed, lines = decode(files)
    assert lines[0].startswith("decoding 344 of 600 images once")
    assert [resumed.data.tobytes(), resumed.shapes.tolist()] == expected


def test_one_of_several_processes_decodes(tmp_path, cache):
    files = paths(folder(tmp_path / "set", 100))
    code = "import sys; from trainables.datasets import pixels as p; "
    command = [sys.executable, "-c", code + "p.decoded(sys.argv[1:], 32, 1, print)", *files]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0]
    assert sum("decoding 200 of 200" in text for text in said) == 1
    assert len(list(cache.glob("*/pixels"))) == 1


def test_a_file_that_is_no_image_is_named(tmp_path):
    files = paths(folder(tmp_path / "set", 3))
    Path(files[1]).write_bytes(b"no image")
    with pytest.raises(
        ValueError, match=r"class0/1\.png cannot be decoded: .*; replace or remove it"
    ):
        decode(files)
    content = Path(files[0]).read_bytes()
    Path(files[1]).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r"class0/1\.png cannot be decoded: .*truncated"):
        decode(files)
    Image.new("1", (20_000, 20_000)).save(files[1])
    with pytest.raises(ValueError, match=r"class0/1\.png cannot be decoded: .* exceeds limit"):
        decode(files)


def test_a_disk_that_is_too_small_is_told_before(tmp_path, cache, monkeypatch):
    files = paths(folder(tmp_path / "set", 3))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=20_000))
    with pytest.raises(
        OSError, match=r"take about 24\.6 kB, and the disk of .*cache has 20\.0 kB "
    ):
        decode(files)
    assert not list(cache.glob("*.unfinished/pixels"))


def test_a_disk_that_fills_up_is_named_and_the_next_process_goes_on(tmp_path):
    files = paths(folder(tmp_path / "set", 300))
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1_200_000,) * 2)\n"
    full = subprocess.run(
        [sys.executable, "-c", limited + INTERRUPTED, "0", *files],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert full.returncode == 1
    assert re.search(r"OSError: .* File too large: '.*\.unfinished'\n$", full.stderr)
    decoded, lines = decode(files)
    assert lines[0].startswith("decoding 344 of 600 images once")
    assert len(decoded.shapes) == 600


def test_epochs_have_every_image_once_in_an_order_of_the_generator(tmp_path):
    folder(tmp_path / "imagenet", 5)
    choice = Choice("imagenet", image_size=16, val_fraction=0.2, decoded_size=32)
    loaded = data.load(choice, CPU)
    assert (loaded.channels, loaded.size, loaded.classes) == data.shape(choice) == (3, 16, 2)
    assert loaded.val is not None
    assert (len(loaded.train), len(loaded.val), len(loaded.test)) == (8, 2, 10)

    def epoch(seed, kind="crop_flip"):
        batches = loaded.train.training_batches(3, kind, Generator().manual_seed(seed))
        images, labels = map(torch.cat, zip(*batches, strict=True))
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert sorted(labels.tolist()) == [0] * 4 + [1] * 4
        return images

    assert torch.equal(epoch(0), epoch(0))
    assert not torch.equal(epoch(0), epoch(1))
    plain = torch.cat([x for x, _ in loaded.train.batches()])
    assert {image.sum().item() for image in epoch(2, "none")} == {x.sum().item() for x in plain}


@pytest.mark.parametrize("decoded_size", [32, None])
def test_a_last_image_alone_is_left_out(tmp_path, decoded_size):
    folder(tmp_path / "imagenet", 5)
    loaded = data.load(Choice("imagenet", image_size=16, decoded_size=decoded_size), CPU)
    batches = loaded.train.training_batches(3, "none", Generator().manual_seed(0))
    assert [len(labels) for _, labels in batches] == [3, 3, 3]


def test_the_middle_of_decoded_images_is_close_to_that_of_streamed_ones(tmp_path):
    folder(tmp_path / "imagenet", 3)  # without the images that are smaller than asked
    decoded, streamed = (
        data.load(Choice("imagenet", image_size=28, decoded_size=size), CPU).test
        for size in (32, None)
    )
    [(ours, labels)], [(theirs, their_labels)] = decoded.batches(), streamed.batches()
    assert torch.equal(labels, their_labels)
    assert (ours - theirs).abs().mean() < 0.02  # standard deviations
    chosen = torch.tensor([1, 4])
    for part, whole in ((decoded, ours), (streamed, theirs)):
        [(some, their_labels)] = part.batches(chosen)
        assert torch.equal(some, whole[chosen])
        assert torch.equal(their_labels, labels[chosen])


def test_classes_must_agree_in_both_folders(tmp_path):
    root = folder(tmp_path / "pets", 2)
    (root / "val" / "class1").rename(root / "val" / "klass1")
    with pytest.raises(
        ValueError, match=r"folder:pets: .* the same classes, and only one .* class1"
    ):
        data.load(Choice("folder:pets"), CPU)
    shutil.rmtree(root / "val" / "klass1")
    shutil.rmtree(root / "val" / "class0")
    with pytest.raises(ValueError, match="pets/val: Couldn't find any class folder"):
        data.load(Choice("folder:pets"), CPU)
    with pytest.raises(
        ValueError, match=r"no birds/train in the folder of data sets, .* one sub-folder"
    ):
        data.load(Choice("folder:birds"), CPU)
    (root / "val").rmdir()
    with pytest.raises(ValueError, match=r"no pets/val in .*expected `train`, and `test` or `val`"):
        data.load(Choice("folder:pets"), CPU)


def test_a_trial_trains_on_a_folder_and_records_what_it_read(tmp_path, make_trial, digits_params):
    folder(tmp_path / "pets", 6)
    changes = {"dataset": "folder:pets", "image_size": 16, "decoded_size": 24, "epochs": 2}
    params = {**digits_params, **changes, "augment": "crop_flip", "batch_size": 4}
    whole, resumed = make_trial(), make_trial()
    metrics = list(train(params, whole))
    assert any(line.startswith("decoding 12 of 12 images") for line in whole.lines)
    first = train(params, resumed)
    assert next(first) == metrics[0]
    first.close()
    assert list(train(params, resumed)) == metrics[1:]
    digest = whole.facts["data_digest"]
    assert digest == resumed.facts["data_digest"]
    (tmp_path / "pets/train/class0/5.png").rename(tmp_path / "pets/train/class1/9.png")
    moved = make_trial()
    list(train(params, moved))
    assert moved.facts["data_digest"] != digest


@pytest.mark.gpu
def test_batches_on_a_gpu_are_those_of_a_cpu_up_to_rounding(tmp_path):
    folder(tmp_path / "imagenet", 5)
    choice = Choice("imagenet", image_size=28, decoded_size=32)
    cpu, gpu = (
        data.load(choice, torch.device(name), workers=2).train.training_batches(
            3, "crop_flip", Generator().manual_seed(0)
        )
        for name in ("cpu", "cuda")
    )
    for (expected, labels), (images, moved) in zip(cpu, gpu, strict=True):
        assert torch.equal(labels, moved.cpu())
        assert (images.cpu() - expected).abs().max() < 0.02  # a byte is 0.017 to 0.018
