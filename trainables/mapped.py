"""Images of one memory-mapped file, of which crops are resized on the device of the batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator, Tensor

from trainables import crops
from trainables.ahead import ahead
from trainables.datasets.cache import Labels
from trainables.datasets.folders import DEVIATION, MEAN
from trainables.datasets.pixels import Pixels
from trainables.in_memory import eval_batch
from trainables.subset import Index


@dataclass(frozen=True)
class MappedPart:
    """Some images of a file, standardised per batch.

    Attributes:
        pixels: The images.
        labels: Their classes.
        index: Positions of those that belong to the part.
        size: Side of the images in a batch.
        threads: Number of threads that copy crops for a GPU while it works.
        device: Where batches are placed.
    """

    pixels: Pixels
    labels: Labels
    index: Index
    size: int
    threads: int
    device: torch.device

    def __len__(self) -> int:
        return len(self.index)

    def batches(self, chosen: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Images in order: float32 (n, C, H, W) in channels_last memory, and labels."""
        # Whole squares of the shorter side are moved to the device, and resized there.
        side = max(self.size, int(self.pixels.shapes.min(1).max()))
        batch_size = eval_batch(self.device, side)
        index = self.index if chosen is None else self.index[chosen.numpy()]
        return self._loaded(index, batch_size, "none", Generator())

    def training_batches(
        self, batch_size: int, kind: str, generator: Generator, *, shuffle: bool = True
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """All images once, augmented by `trainables.crops`."""
        order = self.index
        if shuffle:
            order = order[torch.randperm(len(order), generator=generator).numpy()]
        if len(order) % batch_size == 1:
            order = order[:-1]  # batch norm cannot train on a single image
        return self._loaded(order, batch_size, kind, generator)

    def _loaded(
        self, index: Index, batch_size: int, kind: str, generator: Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        middle = self.size / (self.size * 8 // 7)
        drawn = crops.draw(kind, self.pixels.shapes[index], middle, generator)
        rows = [index[i : i + batch_size] for i in range(0, len(index), batch_size)]
        boxes = torch.split(drawn, batch_size)
        images: Iterator[Tensor] = map(self._on_cpu, rows, boxes)
        if self.device.type != "cpu":
            images = self._on_gpu(rows, boxes, torch.split(drawn.to(self.device), batch_size))
        labels = torch.from_numpy(self.labels[index]).to(self.device)
        return zip(images, torch.split(labels, batch_size), strict=True)

    def _on_cpu(self, rows: Index, boxes: Tensor) -> Tensor:
        batch = torch.empty(len(rows), self.size, self.size * 3)
        mean, deviation = (each.repeat(self.size) for each in (MEAN, DEVIATION))
        mirrored = boxes[:, 4].tolist()
        # One image after the other, which stays in the processor's cache.
        for out, crop, mirror in zip(batch, self._crops(rows, boxes), mirrored, strict=True):
            image = crops.resized(torch.from_numpy(crop), self.size, mirrored=bool(mirror))
            out.copy_(image.view(self.size, -1)).sub_(mean).div_(deviation)
        return batch.view(-1, self.size, self.size, 3).permute(0, 3, 1, 2)

    def _on_gpu(
        self, rows: Sequence[Index], boxes: Sequence[Tensor], moved: Sequence[Tensor]
    ) -> Iterator[Tensor]:
        mean, deviation = (each.to(self.device).view(-1, 1, 1) for each in (MEAN, DEVIATION))
        padded = ahead(
            lambda batch: crops.padded(self._crops(*batch), pinned=True),
            zip(rows, boxes, strict=True),
            self.threads,
        )
        for host, crop in zip(padded, moved, strict=True):
            images = crops.resized_at_once(host.to(self.device, non_blocking=True), crop, self.size)
            scaled = images.sub_(mean).div_(deviation)
            yield scaled.contiguous(memory_format=torch.channels_last)

    def _crops(self, rows: Index, boxes: Tensor) -> list[npt.NDArray[np.uint8]]:
        places = zip(rows.tolist(), boxes.tolist(), strict=True)
        return [
            self.pixels.image(row)[top : top + height, left : left + width]
            for row, (top, left, height, width, _) in places
        ]
