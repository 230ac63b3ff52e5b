"""Images that worker processes decode in every epoch, ahead of training."""

from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Generator, Tensor
from torch.utils.data import DataLoader, Dataset

from trainables.datasets.folders import DEVIATION, MEAN, Files
from trainables.in_memory import eval_batch

# Position of an image, the seed of its augmentation, and its kind.
Key = tuple[int, int, str]


class Decoded(Dataset[tuple[Tensor, int]]):
    """Image files as images of shape (C, size, size), uint8.

    The kind of a key is none, for the centre of the image scaled to 8/7 of the size; crop, for a
    crop at a random place and scale; crop_flip, which also mirrors it with probability 1/2.

    Args:
        files: The files.
        size: Side of the images.
    """

    def __init__(self, files: Files, size: int) -> None:
        from torchvision import transforms  # takes seconds

        middle = [transforms.Resize(size * 8 // 7), transforms.CenterCrop(size)]
        crop = [transforms.RandomResizedCrop(size)]
        flip = [*crop, transforms.RandomHorizontalFlip()]
        self._files = files
        self._transforms = {
            kind: transforms.Compose([*steps, transforms.PILToTensor()])
            for kind, steps in (("none", middle), ("crop", crop), ("crop_flip", flip))
        }

    def __getitem__(self, key: Key) -> tuple[Tensor, int]:
        from torchvision.datasets.folder import default_loader

        position, seed, kind = key
        image = default_loader(self._files.paths[position])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # the crop must not depend on the worker
            return self._transforms[kind](image), int(self._files.labels[position])


class StreamedPart:
    """Some image files, standardised per batch.

    Its worker processes start with the first batch, and stay.

    Args:
        files: The files.
        size: Side of the images.
        workers: Number of processes that decode.
        device: Where batches are placed.
    """

    def __init__(self, files: Files, size: int, workers: int, device: torch.device) -> None:
        self._files, self._size, self._workers, self._device = files, size, workers, device
        self._batches: list[list[Key]] = []

    def __len__(self) -> int:
        return len(self._files.paths)

    def batches(self, chosen: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Images in order: float32 (n, C, H, W) in channels_last memory, and labels."""
        positions = range(len(self)) if chosen is None else chosen.tolist()
        keys = [(position, 0, "none") for position in positions]
        return self._loaded(keys, eval_batch(self._device, self._size))

    def training_batches(
        self, batch_size: int, kind: str, generator: Generator, *, shuffle: bool = True
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """All images once, augmented by `Decoded`."""
        count = len(self)
        order = torch.randperm(count, generator=generator) if shuffle else torch.arange(count)
        if count % batch_size == 1:
            order = order[:-1]  # batch norm cannot train on a single image
        seeds = torch.randint(2**62, order.shape, generator=generator)
        keys = [(*pair, kind) for pair in zip(order.tolist(), seeds.tolist(), strict=True)]
        return self._loaded(keys, batch_size)

    def _loaded(self, keys: list[Key], batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        self._batches[:] = [keys[i : i + batch_size] for i in range(0, len(keys), batch_size)]
        mean, deviation = (each.to(self._device).view(-1, 1, 1) for each in (MEAN, DEVIATION))
        for images, labels in self._loader:
            moved = images.to(self._device, non_blocking=True)
            scaled = moved.to(memory_format=torch.channels_last).float().sub_(mean).div_(deviation)
            yield scaled, labels.to(self._device, non_blocking=True)

    @cached_property
    def _loader(self) -> DataLoader[tuple[Tensor, int]]:
        return DataLoader(
            Decoded(self._files, self._size),
            batch_sampler=self._batches,
            num_workers=self._workers,
            persistent_workers=True,
            pin_memory=self._device.type == "cuda",
            # The default would advance torch's global generator.
            generator=Generator(),
        )
