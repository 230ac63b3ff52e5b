"""The images of one trial: which part of a data set it uses, and how they are loaded."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Protocol

import numpy as np
import torch
from torch import Generator, Tensor

from trainables import datasets
from trainables.datasets import folders, pixels
from trainables.datasets.cache import Images, Labels
from trainables.datasets.folders import Files
from trainables.in_memory import MemoryPart, standardisation
from trainables.mapped import MappedPart
from trainables.streamed import StreamedPart
from trainables.subset import Index, split

# Images that a smoke run trains on, in two batches, and tests on: few enough for networks on
# 224x224 pixels to take seconds, and enough for a skewness of layers of a single pixel.
_SMOKE_IMAGES = 4
_FOLDERS_SIZE = 224


@dataclass(frozen=True)
class Choice:
    """Which images a trial uses.

    Attributes:
        dataset: Name of a data set; see `trainables.datasets`.
        image_size: Side to which images are downsampled by averaging; None keeps their size. Of
            folders of image files: the side of crops, 224 if None.
        train_size: Number of training images, the same number per class; None for all.
        test_size: Number of test images, likewise.
        val_fraction: Fraction of the training images held out for validation.
        decoded_size: Of folders of image files: the shorter side to which they are decoded once
            per node; None decodes them in every epoch.
    """

    dataset: str
    image_size: int | None = None
    train_size: int | None = None
    test_size: int | None = None
    val_fraction: float = 0
    decoded_size: int | None = None


class Part(Protocol):
    """Some images with their labels, standardised, in batches.

    A batch is float32 images of shape (n, C, H, W) in channels_last memory, and labels (n,).
    """

    def __len__(self) -> int:
        """Number of images."""

    def batches(self, chosen: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """All images once, in order, or those at chosen positions, int64 on the CPU."""

    def training_batches(
        self, batch_size: int, kind: str, generator: Generator, *, shuffle: bool = True
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """All images once, augmented; order and augmentation depend on the generator alone."""


@dataclass(frozen=True)
class Data:
    """The images that one trial trains and is tested on.

    Attributes:
        train: Training images without those held out for validation.
        val: Validation images, or None if none are held out.
        test: Test images.
        channels: Channels of the images.
        size: Their side in pixels.
        classes: Number of classes.
        made_up: Whether the images are noise, because the data set of a smoke run is missing.
        digest: SHA-256 of the data set's files; None where they are decoded in every epoch.
    """

    train: Part
    val: Part | None
    test: Part
    channels: int
    size: int
    classes: int
    made_up: bool = False
    digest: str | None = None


def load(
    choice: Choice,
    device: torch.device,
    *,
    workers: int = 1,
    smoke: bool = False,
    log: Callable[[str], None] = lambda _: None,
) -> Data:
    """Load the chosen images.

    Args:
        choice: Which images to load.
        device: Where batches are placed; data sets that fit into memory move there as a whole.
        workers: Number of threads or processes that decode image files.
        smoke: Keep a few images of each part, and generate them if the data set is missing.
        log: Called with lines about what takes minutes.

    Raises:
        ValueError: If the data set is unknown, missing or smaller than requested.
        OSError: If the cache folder's disk is too small for the decoded images.
    """
    if smoke and not datasets.exists(choice.dataset):
        arrays = datasets.generated(choice.dataset, choice.image_size)
        everything = Choice(choice.dataset, val_fraction=0.5 if choice.val_fraction else 0)
        return _in_memory(everything, arrays, arrays, device, smoke, made_up=True)
    if folders.named(choice.dataset):
        return _from_files(choice, device, workers, smoke, log)
    train, test = (
        datasets.load(choice.dataset, name, choice.image_size) for name in ("train", "test")
    )
    loaded = _in_memory(choice, train, test, device, smoke, made_up=False)
    return replace(loaded, digest=datasets.digest(choice.dataset))


def shape(choice: Choice) -> tuple[int, int, int]:
    """Channels, side and classes of the images; files of images are not decoded for it.

    Raises:
        ValueError: If the data set is unknown, missing or smaller than requested.
    """
    if folders.named(choice.dataset):
        choice = replace(choice, decoded_size=None)
    images = load(choice, torch.device("cpu"))
    return images.channels, images.size, images.classes


def _in_memory(
    choice: Choice,
    train: tuple[Images, Labels],
    test: tuple[Images, Labels],
    device: torch.device,
    smoke: bool,
    made_up: bool,
) -> Data:
    indices = _indices(choice, train[1], test[1], smoke)
    scale = standardisation(train[0], indices[0])
    moved = {
        name: [torch.from_numpy(array).to(device) for array in arrays]
        for name, arrays in (("train", train), ("test", test))
    }

    def part(name: str, index: Index) -> MemoryPart:
        mean, deviation = (each.to(device) for each in scale)
        images, labels = moved[name]
        return MemoryPart(images, labels, torch.from_numpy(index).to(device), mean, deviation)

    return Data(
        train=part("train", indices[0]),
        val=part("train", indices[1]) if len(indices[1]) else None,
        test=part("test", indices[2]),
        channels=train[0].shape[3],
        size=train[0].shape[1],
        classes=int(train[1].max()) + 1,
        made_up=made_up,
    )


def _from_files(
    choice: Choice,
    device: torch.device,
    workers: int,
    smoke: bool,
    log: Callable[[str], None],
) -> Data:
    size = choice.image_size or _FOLDERS_SIZE
    files = folders.read(choice.dataset)
    train, val, test = _indices(choice, files["train"].labels, files["test"].labels, smoke)
    digest = sha256()

    def parts(split: Files, *indices: Index) -> list[Part]:
        if choice.decoded_size is None:
            return [StreamedPart(split.subset(index), size, workers, device) for index in indices]
        chosen = np.sort(np.concatenate(indices))
        used = split.subset(chosen)
        images = pixels.decoded(used.paths, choice.decoded_size, workers, log)
        digest.update(images.digest.encode() + used.labels.tobytes())
        places = (np.searchsorted(chosen, index) for index in indices)
        return [MappedPart(images, used.labels, each, size, workers, device) for each in places]

    train_part, val_part = parts(files["train"], train, val)
    (test_part,) = parts(files["test"], test)
    return Data(
        train=train_part,
        val=val_part if len(val) else None,
        test=test_part,
        channels=3,
        size=size,
        classes=int(files["train"].labels.max()) + 1,
        digest=None if choice.decoded_size is None else digest.hexdigest(),
    )


def _indices(
    choice: Choice, labels: Labels, test_labels: Labels, smoke: bool
) -> tuple[Index, Index, Index]:
    """Indices of the images for training, validation and testing."""
    train, val = split(labels, choice.train_size, choice.val_fraction)
    test, _ = split(test_labels, choice.test_size, 0)
    if smoke:
        return train[:_SMOKE_IMAGES], val[:_SMOKE_IMAGES], test[:_SMOKE_IMAGES]
    return train, val, test
