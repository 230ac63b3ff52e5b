"""The images of one trial: which part of a data set it sees, and in what batches."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator, Tensor

from trainables import datasets
from trainables.augment import augment
from trainables.datasets.cache import Images, Labels

Batches = Iterator[tuple[Tensor, Tensor]]
Index = npt.NDArray[np.int64]

# Evaluation is fastest at this batch size on a CPU core.
_EVAL_BATCH = 128
# Two batches of eight to train on, one to measure on.
_SMOKE_TRAIN, _SMOKE_TEST = 16, 8


@dataclass(frozen=True)
class Choice:
    """Which images a trial is to see.

    Attributes:
        dataset: Name of a data set; see `trainables.datasets`.
        image_size: Side to which images are averaged down; None leaves them as they are.
        train_size: Number of training images, equally many per class; None for all.
        test_size: Number of test images, likewise.
        val_fraction: Part of the training images that is held out.
    """

    dataset: str
    image_size: int | None = None
    train_size: int | None = None
    test_size: int | None = None
    val_fraction: float = 0


@dataclass(frozen=True)
class Part:
    """Some images of a data set, standardised as they are read.

    Attributes:
        images: All images of the split, uint8, shape (N, H, W, C).
        labels: Their classes, int64, shape (N,).
        index: Which of them belong to the part, int64, shape (n,).
        mean: Per channel, in units of the images, float32, shape (C,).
        deviation: Likewise.
    """

    images: Tensor
    labels: Tensor
    index: Tensor
    mean: Tensor
    deviation: Tensor

    def batches(self) -> Batches:
        """All images once, in order: float32 (n, C, H, W) in channels_last memory, and labels."""
        for index in torch.split(self.index, _EVAL_BATCH):
            yield self._standardised(self.images[index]), self.labels[index]

    def training_batches(self, batch_size: int, kind: str, generator: Generator) -> Batches:
        """All images once, shuffled, augmented as `trainables.augment` says for the kind.

        A last batch of a single image is left out: batch norm has no deviation for it.
        """
        order = torch.randperm(len(self.index), generator=generator).to(self.index.device)
        for index in torch.split(self.index[order], batch_size):
            if len(index) > 1:
                images = augment(self.images[index], kind, generator)
                yield self._standardised(images), self.labels[index]

    def _standardised(self, images: Tensor) -> Tensor:
        scaled = images.float().sub_(self.mean).div_(self.deviation)
        return scaled.permute(0, 3, 1, 2)


@dataclass(frozen=True)
class Data:
    """What one trial trains and measures on.

    Attributes:
        train: Training images, less those for validation.
        val: Validation images, None where none are held out.
        test: Test images.
        channels: Channels of the images.
        size: Their side in pixels.
        classes: Number of classes.
        made_up: Whether the images are noise, because a smoke run did not find the data set.
    """

    train: Part
    val: Part | None
    test: Part
    channels: int
    size: int
    classes: int
    made_up: bool


def load(choice: Choice, device: torch.device, *, smoke: bool = False) -> Data:
    """The chosen images.

    Args:
        choice: Which they are.
        device: Where batches are wanted; on a GPU all images are moved there.
        smoke: Keep a few images of each part, and make them up where the data set is missing.

    Raises:
        ValueError: If the data set is unknown or missing, or smaller than asked for.
    """
    made_up = smoke and not datasets.exists(choice.dataset)
    if made_up:
        images, labels = test_images, test_labels = datasets.generated(
            choice.dataset, choice.image_size
        )
    else:
        images, labels = datasets.load(choice.dataset, "train", choice.image_size)
        test_images, test_labels = datasets.load(choice.dataset, "test", choice.image_size)
    classes = int(labels.max()) + 1
    train, val = split(labels, choice.train_size, choice.val_fraction)
    test, _ = split(test_labels, choice.test_size, 0)
    if smoke:
        train, val, test = train[:_SMOKE_TRAIN], val[:_SMOKE_TEST], test[:_SMOKE_TEST]
    mean, deviation = standardisation(images, train)

    def part(images: Images, labels: Labels, index: Index) -> Part:
        arrays = (torch.from_numpy(array) for array in (images, labels, index))
        return Part(*(tensor.to(device) for tensor in (*arrays, mean, deviation)))

    return Data(
        train=part(images, labels, train),
        val=part(images, labels, val) if len(val) else None,
        test=part(test_images, test_labels, test),
        channels=images.shape[3],
        size=images.shape[1],
        classes=classes,
        made_up=made_up,
    )


def split(labels: Labels, size: int | None, val_fraction: float) -> tuple[Index, Index]:
    """Choose which images to train on and which to validate on: the same for every seed.

    Args:
        labels: Class of every image, shape (N,).
        size: Number of images to use, equally many of each class; None for all.
        val_fraction: The part of each class that is held out for validation.

    Returns:
        Two sorted, disjoint indices into `labels`.

    Raises:
        ValueError: If `size` cannot be met, or no image is left for one of the two.
    """
    classes = int(labels.max()) + 1
    per_class = None if size is None else size // classes
    if size is not None and size % classes:
        raise ValueError(f"{size} images cannot be equally many of each of {classes} classes")
    order = np.random.default_rng(0).permutation(len(labels))
    train, val = [], []
    for number in range(classes):
        members = order[labels[order] == number][:per_class]
        if per_class is not None and len(members) < per_class:
            raise ValueError(f"class {number} has {len(members)} images, fewer than {per_class}")
        held_out = round(val_fraction * len(members))
        val.append(members[:held_out])
        train.append(members[held_out:])
    chosen, held = np.sort(np.concatenate(train)), np.sort(np.concatenate(val))
    if not len(chosen) or (val_fraction and not len(held)):
        raise ValueError(f"val_fraction {val_fraction} of {len(labels)} images leaves a part empty")
    return chosen, held


def standardisation(images: Images, index: Index) -> tuple[Tensor, Tensor]:
    """Mean and deviation per channel over the images of an index, float32, shape (C,).

    Sums of squares of bytes are whole numbers below 2**53, so that they are exact in float64
    and the same in any order.
    """
    total = torch.zeros(2, images.shape[3], dtype=torch.float64)
    pixels = 0
    source = torch.from_numpy(images)
    for part in torch.split(torch.from_numpy(index), 500):
        values = source[part].flatten(0, 2).double()
        total += torch.stack([values.sum(0), values.square().sum(0)])
        pixels += len(values)
    mean, square = total / pixels
    deviation = (square - mean**2).sqrt()
    return mean.float(), torch.where(deviation > 0, deviation, 1).float()
