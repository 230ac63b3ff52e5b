"""Data sets in their published layouts, with real images."""

import gzip
import pickle
import shutil
from io import BytesIO
from multiprocessing import active_children

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import Generator

from trainables import data, datasets
from trainables.data import Choice

CPU = torch.device("cpu")


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("ORCH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("ORCH_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


def real_jpegs(folder, count):
    rows = pq.read_table(folder / "val.parquet")["image"][:count]
    return [row["bytes"].as_py() for row in rows]


@pytest.mark.parametrize(
    ("name", "folder", "mean", "labels"),
    [
        ("mnist", "MNIST", 33.3184, [5, 0, 4, 1, 9]),
        ("fashion_mnist", "FashionMNIST", 72.9404, [9, 0, 0, 3, 0]),
    ],
)
def test_real_idx_files(real_data, name, folder, mean, labels):
    real_data(folder, "raw")
    images, classes = datasets.load(name, "train", None)
    assert images.shape == (60_000, 28, 28, 1)
    assert images.mean() == pytest.approx(mean, abs=1e-3)
    assert classes[:5].tolist() == labels
    averaged, _ = datasets.load(name, "train", 14)
    corner = images[7, :2, :2].astype(float).mean((0, 1))
    assert np.array_equal(averaged[7, 0, 0], np.round(corner))
    assert datasets.load(name, "test", None)[0].shape == (10_000, 28, 28, 1)


def write_idx(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(header + array.tobytes())


def test_plain_idx_files_as_torchvision_leaves_them(data_dir):
    images = np.random.default_rng(0).integers(0, 256, (10, 28, 28), dtype=np.uint8)
    for prefix in ("train", "t10k"):
        raw = data_dir / "MNIST" / "raw"
        write_idx(raw / f"{prefix}-images-idx3-ubyte", images)
        write_idx(raw / f"{prefix}-labels-idx1-ubyte", np.arange(10, dtype=np.uint8))
    read, labels = datasets.load("mnist", "test", None)
    assert np.array_equal(read[..., 0], images)
    assert labels.tolist() == list(range(10))


def test_a_truncated_idx_file_is_rejected(data_dir):
    raw = data_dir / "MNIST" / "raw"
    for prefix in ("train", "t10k"):
        write_idx(raw / f"{prefix}-images-idx3-ubyte", np.zeros((3, 28, 28), np.uint8))
        write_idx(raw / f"{prefix}-labels-idx1-ubyte", np.zeros(3, np.uint8))
    path = raw / "train-images-idx3-ubyte"
    (raw / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()[:-1]))
    path.unlink()
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.gz is not a complete IDX file"):
        datasets.load("mnist", "train", None)


def real_pixels(real_data, count):
    folder = real_data("cifar10", "test.parquet")
    rows = pq.read_table(folder / "test.parquet").slice(0, count).to_pylist()
    images = [np.asarray(Image.open(BytesIO(row["image"]["bytes"]))) for row in rows]
    return np.stack(images), [row["label"] for row in rows]


def pickled(images, labels, key):
    flat = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    return pickle.dumps({"data": flat, key: labels})


def test_cifar10_in_its_python_batches(real_data, data_dir):
    images, labels = real_pixels(real_data, 12)
    folder = data_dir / "cifar-10-batches-py"
    folder.mkdir()
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    for number in range(6):
        name = f"data_batch_{number + 1}" if number < 5 else "test_batch"
        part = slice(2 * number, 2 * number + 2)
        (folder / name).write_bytes(pickled(images[part], labels[part], "labels"))
    train = datasets.load("cifar10", "train", None)
    test = datasets.load("cifar10", "test", None)
    assert np.array_equal(np.concatenate([train[0], test[0]]), images)
    assert [*train[1], *test[1]] == labels


def test_cifar100_by_its_fine_labels(real_data, data_dir):
    images, labels = real_pixels(real_data, 6)
    folder = data_dir / "cifar-100-python"
    folder.mkdir()
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": [str(n) for n in range(100)]}))
    (folder / "train").write_bytes(pickled(images, [90 + label for label in labels], "fine_labels"))
    (folder / "test").write_bytes(pickled(images[:2], labels[:2], "fine_labels"))
    assert (datasets.load("cifar100", "train", None)[1] - 90).tolist() == labels
    assert np.array_equal(datasets.load("cifar100", "test", None)[0], images[:2])


def test_tiny_imagenet_in_its_own_folders(real_data, data_dir):
    jpegs = real_jpegs(real_data("tiny-imagenet", "val.parquet"), 6)
    root = data_dir / "tiny-imagenet-200"
    wnids = ["n02", "n01"]  # this order numbers the classes, not the alphabet
    for number, wnid in enumerate(wnids):
        folder = root / "train" / wnid / "images"
        folder.mkdir(parents=True)
        for index in range(2):
            (folder / f"{wnid}_{index}.JPEG").write_bytes(jpegs[2 * number + index])
    (root / "wnids.txt").write_text("\n".join(wnids) + "\n")
    (root / "val" / "images").mkdir(parents=True)
    for index in range(2):
        (root / "val" / "images" / f"val_{index}.JPEG").write_bytes(jpegs[4 + index])
    (root / "val" / "val_annotations.txt").write_text(
        "val_0.JPEG\tn01\t0\t0\t63\t63\nval_1.JPEG\tn02\t0\t0\t63\t63\n"
    )
    images, labels = datasets.load("tiny_imagenet", "train", None)
    assert labels.tolist() == [0, 0, 1, 1]
    for image, jpeg in zip(images, jpegs, strict=False):
        assert np.array_equal(image, np.asarray(Image.open(BytesIO(jpeg)).convert("RGB")))
    assert datasets.load("tiny_imagenet", "test", None)[1].tolist() == [1, 0]


@pytest.fixture
def imagenet(real_data, data_dir):
    """Folders of classes with real JPEGs, four per class and split."""
    jpegs = iter(real_jpegs(real_data("tiny-imagenet", "val.parquet"), 16))
    for split in ("train", "val"):
        for wnid in ("n01", "n02"):
            folder = data_dir / "imagenet" / split / wnid
            folder.mkdir(parents=True)
            for index in range(4):
                (folder / f"{index}.JPEG").write_bytes(next(jpegs))
    return data.load(Choice("imagenet", image_size=32), CPU, workers=1)


def test_imagenet_is_streamed_from_folders_of_classes(imagenet):
    assert (imagenet.channels, imagenet.size, imagenet.classes) == (3, 32, 2)
    [(x, labels)] = imagenet.test.batches()
    assert x.shape == (8, 3, 32, 32)
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert labels.tolist() == [0] * 4 + [1] * 4
    assert -2.2 < x.min() < x.max() < 2.7  # bytes 0 and 255, standardised


def test_streamed_crops_do_not_depend_on_the_number_of_workers(imagenet, data_dir):
    del data_dir
    more = data.load(Choice("imagenet", image_size=32), CPU, workers=2)

    def epoch(part, seed):
        batches = part.training_batches(3, "crop_flip", Generator().manual_seed(seed))
        return torch.cat([x for x, _ in batches])

    first = epoch(imagenet.train, 0)
    assert torch.equal(first, epoch(more.train, 0))
    assert not torch.equal(first, epoch(imagenet.train, 1))


def test_the_processes_that_decode_stay_from_epoch_to_epoch(imagenet):
    seen = []
    for seed in range(2):
        list(imagenet.train.training_batches(3, "crop", Generator().manual_seed(seed)))
        next(imagenet.train.training_batches(3, "none", Generator()))  # and is left there
        seen.append({process.pid for process in active_children()})
    assert len(seen[0]) == 1
    assert seen[0] == seen[1]


def test_a_subset_of_imagenet_is_chosen_as_of_any_data_set(imagenet):
    del imagenet
    choice = Choice("imagenet", image_size=32, train_size=6, test_size=2, val_fraction=0.34)
    part = data.load(choice, CPU)
    assert part.val is not None
    assert (len(part.train), len(part.val), len(part.test)) == (4, 2, 2)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "cifar10",
            r"no cifar-10-batches-py/batches\.meta in the folder of data sets, .* \(`--data-dir` "
            r"or ORCH_DATA_DIR names another\); torchvision\.datasets\.CIFAR10\(",
        ),
        ("tiny_imagenet", r"no .*wnids\.txt in .*; download it from http"),
        ("mnist", r"no .*train-images-idx3-ubyte\[.gz\] in .*; torchvision\.datasets\.MNIST\("),
    ],
)
def test_missing_files_that_cannot_be_downloaded_say_where_to_get_them(
    data_dir, monkeypatch, name, message
):
    def unreachable(*_args, **_kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    with pytest.raises(datasets.MissingDataError, match=message + r".*downloading failed: "):
        datasets.load(name, "train", None)
    assert not datasets.exists(name)
    shutil.rmtree(data_dir / "cache")


def test_a_smoke_run_downloads_nothing(data_dir, monkeypatch):
    del data_dir
    monkeypatch.setattr("urllib.request.urlopen", None)
    for name, shape in {"cifar100": (3, 32, 100), "imagenet": (3, 224, 1000)}.items():
        made_up = data.load(Choice(name, train_size=50_000), CPU, smoke=True)
        assert made_up.made_up
        assert (made_up.channels, made_up.size, made_up.classes) == shape
        assert len(made_up.train) == 4


def test_a_folder_of_data_sets_that_does_not_exist_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("ORCH_DATA_DIR", str(tmp_path / "mistyped"))
    with pytest.raises(datasets.MissingDataError, match=r"mistyped, which does not exist"):
        data.load(Choice("imagenet"), CPU)


def test_missing_imagenet_says_where_to_get_it(data_dir):
    del data_dir
    with pytest.raises(datasets.MissingDataError, match=r"image-net\.org"):
        data.load(Choice("imagenet"), CPU)
