"""CIFAR-10 and CIFAR-100, in torchvision's layout."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from trainables.datasets.cache import Images, Labels
from trainables.datasets.source import Source, data_dir, required

# Folder and files of each class of torchvision.
_FILES = {
    "CIFAR10": (
        "cifar-10-batches-py",
        ["batches.meta", *(f"data_batch_{n}" for n in range(1, 6)), "test_batch"],
    ),
    "CIFAR100": ("cifar-100-python", ["meta", "train", "test"]),
}


def source(name: str) -> Source:
    """The data set of one of torchvision's classes, `CIFAR10` or `CIFAR100`."""
    return Source(partial(_find, name), partial(_read, name), partial(_fetch, name))


def _find(name: str) -> list[Path]:
    folder, files = _FILES[name]
    paths = [data_dir() / folder / file for file in files]
    required(paths, f"torchvision.datasets.{name}(…, download=True) downloads it")
    return paths


def _fetch(name: str) -> None:
    _part(name, "train", download=True)


def _read(name: str, split: str) -> tuple[Images, Labels]:
    part = _part(name, split, download=False)
    return part.data, np.array(part.targets, dtype=np.int64)


def _part(name: str, split: str, *, download: bool) -> Any:
    """Torchvision's data set, without checksums of single files."""
    from torchvision import datasets  # takes seconds, and only the first trial needs it

    kind = getattr(datasets, name)
    unchecked = {
        "train_list": [[file, None] for file, _ in kind.train_list],
        "test_list": [[file, None] for file, _ in kind.test_list],
        "meta": {**kind.meta, "md5": None},
    }
    return type(name, (kind,), unchecked)(data_dir(), train=split == "train", download=download)
