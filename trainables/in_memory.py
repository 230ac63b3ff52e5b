"""Images that are kept in memory as a whole; batches are gathered from them."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from trainables.augment import augment, draw
from trainables.datasets.cache import Images
from trainables.subset import Index

_EVAL_IMAGES = 128
"""Images per batch at which evaluation is fastest on one CPU core."""
_EVAL_PIXELS = 1 << 22
"""Pixels per batch on a GPU, which small batches leave idle: 4,096 images of 32 by 32 pixels."""


def eval_batch(device: torch.device, side: int) -> int:
    """Return how many square images to evaluate at once on a device."""
    if device.type == "cpu":
        return _EVAL_IMAGES
    return max(_EVAL_IMAGES, _EVAL_PIXELS // side**2)


@dataclass(frozen=True)
class MemoryPart:
    """Some images of a data set, standardised per batch.

    Attributes:
        images: All images of the split, uint8, shape (N, H, W, C).
        labels: Their classes, int64, shape (N,).
        index: Indices of those that belong to the part, int64, shape (n,).
        mean: Mean per channel, in units of the images, float32, shape (C,).
        deviation: Standard deviation per channel, likewise.
    """

    images: Tensor
    labels: Tensor
    index: Tensor
    mean: Tensor
    deviation: Tensor

    def __len__(self) -> int:
        return len(self.index)

    def batches(self, chosen: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Images in order: float32 (n, C, H, W) in channels_last memory, and labels."""
        size = eval_batch(self.images.device, self.images.shape[1])
        of_all = self.index if chosen is None else self.index[chosen.to(self.index.device)]
        for index in torch.split(of_all, size):
            yield self._standardised(self.images.index_select(0, index)), self.labels[index]

    def training_batches(
        self, batch_size: int, kind: str, generator: Generator, *, shuffle: bool = True
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """All images once, augmented by `trainables.augment`."""
        order = self.index
        if shuffle:
            order = order[torch.randperm(len(order), generator=generator).to(order.device)]
        # Batch norm cannot train on a single last image.
        indices = [index for index in torch.split(order, batch_size) if len(index) > 1]
        counts = list(map(len, indices))
        crops = draw(kind, counts, self.images.shape[1], generator, self.images.device)
        for index, crop in zip(indices, crops, strict=True):
            images = augment(self.images.index_select(0, index), crop)
            yield self._standardised(images), self.labels[index]

    def _standardised(self, images: Tensor) -> Tensor:
        count, height, width, channels = images.shape
        # Whole rows of pixels: three channels are too few for vector instructions.
        rows = images.float().view(count, height, width * channels)
        rows.sub_(self.mean.repeat(width)).div_(self.deviation.repeat(width))
        return rows.view(images.shape).permute(0, 3, 1, 2)


def standardisation(images: Images, index: Index) -> tuple[Tensor, Tensor]:
    """Mean and deviation per channel over the images of an index, float32, shape (C,).

    Sums of squares of bytes are integers below 2**53, so they are exact in float64 and do not
    depend on the order of summation.
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
