"""ImageNet, or any pair of folders of classes: too large for memory, so read as it is needed."""

from pathlib import Path

from trainables.datasets.source import data_dir, required

NAME = "imagenet"


def find() -> dict[str, Path]:
    """The folder of each split, laid out for torchvision's ImageFolder.

    Raises:
        MissingDataError: If one is missing.
    """
    folders = {"train": data_dir() / NAME / "train", "test": data_dir() / NAME / "val"}
    required(
        list(folders.values()),
        "expected is one sub-folder of images per class; ImageNet (ILSVRC 2012) is to be had "
        "from image-net.org, on registration",
    )
    return folders
