"""Data sets by name, as decoded arrays that all processes of a node share."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from trainables.datasets import cache, cifar, digits, folders, idx, parquet, tiny_imagenet
from trainables.datasets.cache import Images, Labels, cached
from trainables.datasets.source import MissingDataError, Source, data_dir
from trainables.naming import unknown

__all__ = ["DATASETS", "MissingDataError", "digest", "exists", "generated", "load"]

DATASETS: Mapping[str, Callable[[], Source]] = {
    "digits": digits.source,
    "mnist": partial(idx.source, "MNIST"),
    "fashion_mnist": partial(idx.source, "FashionMNIST"),
    "cifar10": partial(cifar.source, "CIFAR10"),
    "cifar100": partial(cifar.source, "CIFAR100"),
    "tiny_imagenet": tiny_imagenet.source,
}
# (size, channels, classes) of each, for the images that are generated in their place.
_SHAPES: Mapping[str, tuple[int, int, int]] = {
    "digits": (8, 1, 10),
    "mnist": (28, 1, 10),
    "fashion_mnist": (28, 1, 10),
    "cifar10": (32, 3, 10),
    "cifar100": (32, 3, 100),
    "tiny_imagenet": (64, 3, 200),
    "imagenet": (224, 3, 1000),
}
# Number of generated images: enough for a smoke run, whatever the number of classes.
_MADE_UP = 16

_PARQUET = "parquet:"


def load(name: str, split: str, image_size: int | None) -> tuple[Images, Labels]:
    """A split of a data set.

    Args:
        name: A name in `DATASETS`, `parquet:NAME` for a folder in the data folder, or
            `parquet:` and an absolute path, or an absolute path.
        split: `train` or `test`.
        image_size: Side to which images are downsampled by averaging; None keeps their size.

    Returns:
        Images of shape (N, size, size, C), memory-mapped, and labels of shape (N,).

    Raises:
        ValueError: If the name is unknown, or image_size is larger than the images.
        MissingDataError: If the files are missing.
    """
    source = _source(name)

    def decode() -> tuple[Images, Labels]:
        images, labels = source.read(split)
        return (images if image_size is None else _averaged(images, image_size)), labels

    return cached(source.files(), f"{split} {image_size}", decode)


def digest(name: str) -> str:
    """SHA-256 of the files of a data set that fits into memory.

    Raises:
        ValueError: If the name is unknown.
        MissingDataError: If the files are missing.
    """
    return cache.digest(_source(name).files())


def exists(name: str) -> bool:
    """Whether a data set's files exist.

    Raises:
        ValueError: If the name is unknown.
    """
    try:
        if folders.named(name):
            folders.find(name)
        else:
            _source(name).find()
    except MissingDataError:
        return False
    return True


def _source(name: str) -> Source:
    if name.startswith(_PARQUET) or Path(name).is_absolute():
        return parquet.source(data_dir() / name.removeprefix(_PARQUET))
    if name not in DATASETS:
        others = [folders.IMAGENET, "folder:NAME", "parquet:NAME"]
        raise ValueError(unknown("dataset", name, [*DATASETS, *others]))
    return DATASETS[name]()


def _averaged(images: Images, size: int) -> Images:
    """Downsample square images (N, H, H, C) to (N, size, size, C) by averaging over areas."""
    height, width = images.shape[1:3]
    if size > min(height, width):
        raise ValueError(f"image_size {size} is larger than the images, {height}x{width} pixels")
    batches = [
        functional.adaptive_avg_pool2d(part.permute(0, 3, 1, 2).float(), size)
        for part in torch.split(torch.from_numpy(images), 1_000)
    ]
    return np.concatenate([b.round().byte().permute(0, 2, 3, 1).numpy() for b in batches])


def generated(name: str, image_size: int | None) -> tuple[Images, Labels]:
    """Noise with the shape and classes of a data set, for a smoke run without its files."""
    size, channels, classes = _SHAPES.get(name, (32, 3, 10))
    shape = (_MADE_UP, image_size or size, image_size or size, channels)
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return noise, np.linspace(0, classes - 1, _MADE_UP).astype(np.int64)
