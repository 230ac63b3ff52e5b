"""Images that worker processes decode on demand, ahead of training."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Generator, Tensor
from torch.utils.data import DataLoader, Dataset

from trainables.in_memory import eval_batch
from trainables.subset import Index

# Statistics of ImageNet per channel, in units of bytes, as torchvision's models use them.
_MEAN = torch.tensor([0.485, 0.456, 0.406]) * 255
_DEVIATION = torch.tensor([0.229, 0.224, 0.225]) * 255

# Index of an image, and the seed of its augmentation.
Key = tuple[int, int]


class Folder(Dataset[tuple[Tensor, int]]):
    """A folder of one sub-folder per class, as images of shape (C, size, size), uint8.

    Args:
        root: The folder.
        size: Side of the images.
        kind: none, for the centre of the image scaled to 8/7 of the size; crop, for a crop at a
            random place and scale; crop_flip, which also mirrors it with probability 1/2.
    """

    def __init__(self, root: Path, size: int, kind: str) -> None:
        from torchvision import datasets, transforms  # takes seconds

        middle = [transforms.Resize(size * 8 // 7), transforms.CenterCrop(size)]
        crop = [transforms.RandomResizedCrop(size)]
        flip = [*crop, transforms.RandomHorizontalFlip()]
        steps = {"none": middle, "crop": crop, "crop_flip": flip}[kind]
        self._images = datasets.ImageFolder(
            root, transforms.Compose([*steps, transforms.PILToTensor()])
        )
        self.targets: list[int] = self._images.targets

    def __getitem__(self, key: Key) -> tuple[Tensor, int]:
        index, seed = key
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # the crop must not depend on the worker
            image, label = self._images[index]
        return image, label


@dataclass(frozen=True)
class StreamedPart:
    """Some images of a folder, standardised per batch.

    Attributes:
        root: The folder.
        index: Indices of those of its images that belong to the part.
        size: Side of the images.
        workers: Number of processes that decode.
        device: Where batches are placed.
    """

    root: Path
    index: Index
    size: int
    workers: int
    device: torch.device

    def __len__(self) -> int:
        return len(self.index)

    def batches(self, first: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Images in order: float32 (n, C, H, W) in channels_last memory, and labels."""
        keys = [(index, 0) for index in self.index[:first].tolist()]
        return self._loaded(keys, eval_batch(self.device, self.size), "none")

    def training_batches(
        self, batch_size: int, kind: str, generator: Generator, *, shuffle: bool = True
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """All images once, augmented by `Folder`."""
        count = len(self)
        order = torch.randperm(count, generator=generator) if shuffle else torch.arange(count)
        seeds = torch.randint(2**62, (count,), generator=generator)
        keys = list(zip(self.index[order].tolist(), seeds.tolist(), strict=True))
        return self._loaded(keys, batch_size, kind)

    def _loaded(
        self, keys: list[Key], batch_size: int, kind: str
    ) -> Iterator[tuple[Tensor, Tensor]]:
        loader = DataLoader(
            Folder(self.root, self.size, kind),
            batch_sampler=[keys[i : i + batch_size] for i in range(0, len(keys), batch_size)],
            num_workers=self.workers,
            pin_memory=self.device.type == "cuda",
            # The default would advance torch's global generator.
            generator=Generator(),
        )
        mean, deviation = (each.to(self.device).view(-1, 1, 1) for each in (_MEAN, _DEVIATION))
        for images, labels in loader:
            moved = images.to(self.device, non_blocking=True)
            scaled = moved.to(memory_format=torch.channels_last).float().sub_(mean).div_(deviation)
            yield scaled, labels.to(self.device, non_blocking=True)
