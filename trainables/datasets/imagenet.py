"""ImageNet, or any pair of folders of classes: too large for memory, so read on demand."""

from pathlib import Path

from trainables.datasets.source import data_dir, required

NAME = "imagenet"


def find() -> dict[str, Path]:
    """The folder of each split, laid out for torchvision's ImageFolder.

    Raises:
        MissingDataError: If one of them is missing.
    """
    folders = {"train": data_dir() / NAME / "train", "test": data_dir() / NAME / "val"}
    required(
        list(folders.values()),
        "expected one sub-folder of images per class; ImageNet (ILSVRC 2012) is available from "
        "image-net.org after registration",
    )
    return folders
