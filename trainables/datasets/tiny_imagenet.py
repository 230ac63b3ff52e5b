"""Tiny ImageNet in its original layout: 200 classes of 500 training and 50 test images, 64x64.

The labels of its test set are not public; as usual, its validation set is the test set.
"""

from pathlib import Path

import numpy as np

from trainables.datasets.cache import Images, Labels
from trainables.datasets.encoded import decode, stack
from trainables.datasets.source import Source, data_dir, required

_URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
_MD5 = "90528d7ca1a48142e341f4ef8d21d0de"


def source() -> Source:
    """The data set in the folder `tiny-imagenet-200`."""
    return Source(_find, _read, _fetch)


def _folder() -> Path:
    return data_dir() / "tiny-imagenet-200"


def _find() -> list[Path]:
    index = [_folder() / "wnids.txt", _folder() / "val" / "val_annotations.txt"]
    required(index, f"download it from {_URL}")
    return index + [path for split in ("train", "test") for path, _ in _labelled(split)]


def _fetch() -> None:
    from torchvision.datasets.utils import download_and_extract_archive

    download_and_extract_archive(_URL, data_dir(), md5=_MD5)


def _labelled(split: str) -> list[tuple[Path, int]]:
    """The image files of a split with their classes, which are positions in wnids.txt."""
    classes = {name: n for n, name in enumerate((_folder() / "wnids.txt").read_text().split())}
    if split == "train":
        return [
            (path, number)
            for name, number in classes.items()
            for path in sorted((_folder() / "train" / name / "images").glob("*.JPEG"))
        ]
    folder = _folder() / "val"
    lines = (folder / "val_annotations.txt").read_text().splitlines()
    rows = (line.split("\t") for line in lines)
    return [(folder / "images" / name, classes[wnid]) for name, wnid, *_box in rows]


def _read(split: str) -> tuple[Images, Labels]:
    labelled = _labelled(split)
    images = stack([decode(path.read_bytes()) for path, _ in labelled])
    return images, np.array([number for _, number in labelled], dtype=np.int64)
