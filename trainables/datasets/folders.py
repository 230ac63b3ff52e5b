"""Folders of image files, one sub-folder per class, such as ImageNet: too large for memory."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from trainables.datasets.cache import Labels
from trainables.datasets.source import MissingDataError, data_dir, required

IMAGENET = "imagenet"
_FOLDER = "folder:"

# Statistics of ImageNet per channel, in units of bytes, as torchvision's models use them.
MEAN = torch.tensor([0.485, 0.456, 0.406]) * 255
DEVIATION = torch.tensor([0.229, 0.224, 0.225]) * 255


@dataclass(frozen=True)
class Files:
    """Image files with their classes.

    Attributes:
        paths: Absolute paths; strings, since ImageNet has more than a million.
        labels: Their classes, int64, shape (N,).
    """

    paths: list[str]
    labels: Labels

    def subset(self, index: npt.NDArray[np.int64]) -> "Files":
        """Those at the positions of an index, in its order."""
        return Files([self.paths[position] for position in index.tolist()], self.labels[index])


def named(dataset: str) -> bool:
    """Whether a data set's name stands for folders of image files."""
    return dataset == IMAGENET or dataset.startswith(_FOLDER)


def find(dataset: str) -> dict[str, Path]:
    """The folder of each split: `train`, and `test` or `val`; ImageNet's `test` has no labels.

    Raises:
        MissingDataError: If one of them is missing.
    """
    root = data_dir() / dataset.removeprefix(_FOLDER)
    test = root / "test"
    if dataset == IMAGENET or not test.exists():
        test = root / "val"
    folders = {"train": root / "train", "test": test}
    advice = "expected `train`, and `test` or `val`, with one sub-folder of images per class"
    if dataset == IMAGENET:
        advice = (
            "expected one sub-folder of images per class; ImageNet (ILSVRC 2012) is available from "
            "image-net.org after registration"
        )
    required(list(folders.values()), advice)
    return folders


def read(dataset: str) -> dict[str, Files]:
    """List the files of both splits; classes are numbered in the order of their names.

    Raises:
        MissingDataError: If a folder is missing or has no images.
        ValueError: If the splits differ in their classes.
    """
    from torchvision.datasets.folder import IMG_EXTENSIONS, find_classes, make_dataset  # seconds

    files, numbers = {}, {}
    for split, root in find(dataset).items():
        try:
            _, numbers[split] = find_classes(root)
            pairs = make_dataset(root, numbers[split], IMG_EXTENSIONS)
        except FileNotFoundError as error:
            raise MissingDataError(f"{root}: {error}") from error
        paths, labels = zip(*pairs, strict=True)
        files[split] = Files(list(paths), np.array(labels, dtype=np.int64))
    if different := sorted(numbers["train"].keys() ^ numbers["test"].keys()):
        raise ValueError(
            f"{dataset}: training and test images must have the same classes, and only one of them "
            f"has {different[0]}"
        )
    return files
