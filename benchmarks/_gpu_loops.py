"""Loops of `gpu`: training as a trial of `trainables.classify` does it, and as is usual.

Each is a generator for a process of its own, since both set what holds for all of torch. They
train on noise, whose values do not change their speed.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, repeat
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from benchmarks._loops import Decoded, Trial
from benchmarks.decoding import CLASSES
from trainables import data, devices, models, optim, passes
from trainables.data import Part
from trainables.devices import Precision
from trainables.in_memory import MemoryPart
from trainables.params import validated
from trainables.settings import Settings

WARM_UP = 3
"""Epochs before the first figure: a CUDA graph is recorded in the second step of each size."""


@dataclass(frozen=True)
class Case:
    """What is trained: a network on so many square images."""

    model: str
    side: int
    images: int
    batch: int = 128
    width: float = 1.0

    def params(self, **more: Any) -> dict[str, Any]:
        """The params of a trial."""
        order = "nobn" if self.model.startswith("tf") else "swap"
        named = {"model": self.model, "width": self.width, "order": order, "activation": "tanh"}
        common = {"lr": 0.01, "weight_decay": 5e-4, "epochs": 1, "augment": "crop_flip"}
        return {**named, **common, "dataset": "noise", "batch_size": self.batch, **more}

    def pixels(self) -> tuple[np.ndarray[Any, np.dtype[np.uint8]], np.ndarray[Any, Any]]:
        """Noise of shape (images, side, side, 3), and labels."""
        generator = np.random.default_rng(0)
        shape = (self.images, self.side, self.side, 3)
        pixels = generator.integers(0, 256, shape, dtype=np.uint8)
        return pixels, generator.integers(0, CLASSES, self.images)


@dataclass(frozen=True)
class How:
    """The params under comparison, and the memory format that replaces channels_last."""

    precision: Precision = "tf32"
    compile: bool | Literal["graphs"] = False
    deterministic: bool = False
    contiguous: bool = False


class Training:
    """A trial's training.

    Args:
        case: What is trained.
        how: With which params.
        gpus: 1, or 0 for the CPU.
    """

    def __init__(self, case: Case, how: How, gpus: float) -> None:
        trial = Trial()
        trial.gpus = gpus
        params = {"precision": how.precision, "compile": how.compile}
        self._settings = validated(Settings, case.params(**params))
        self.device = devices.choose(trial, how.precision, deterministic=how.deterministic)
        named = {**self._settings.for_model(), "image_size": case.side}
        self._model = models.build(named, 3, CLASSES)
        devices.place(self._model, self.device, how.precision)
        if how.contiguous:
            self._model.to(memory_format=torch.contiguous_format)
            self._model.register_forward_pre_hook(lambda _module, inputs: inputs[0].contiguous())
        self._trained = self._model
        if how.compile:
            self._trained = devices.compiled(self._model, graphs=how.compile == "graphs")
        self._optimizer = optim.build("sgd", self._model, self._settings.weight_decay)
        optim.set_rate(self._optimizer, self._settings.lr)

    def images(self, case: Case) -> MemoryPart:
        """Noise on the device."""
        pixels, labels = case.pixels()
        scale = torch.full((3,), 100.0)
        index = torch.arange(case.images)
        parts = (torch.from_numpy(pixels), torch.from_numpy(labels), index, scale, scale)
        return MemoryPart(*(each.to(self.device) for each in parts))

    def decoded(self, case: Case, folder: Path) -> Part:
        """The images of a folder, which are decoded once."""
        os.environ |= {"ORCH_DATA_DIR": str(folder), "ORCH_CACHE_DIR": str(folder / "cache")}
        choice = data.Choice("imagenet", image_size=case.side, decoded_size=256)
        return data.load(choice, self.device).train

    def seconds(self, part: Part, seed: int) -> float:
        """Train an epoch, at whose end results are read: the GPU has done everything by then."""
        started = perf_counter()
        passes.train_epoch(
            *(self._trained, self._optimizer, part, self._settings),
            *(Generator().manual_seed(seed), lambda *_: None),  # type: ignore[arg-type]
        )
        return perf_counter() - started


def ours(case: Case, how: How, gpus: float) -> Iterator[float]:
    """Images per second, epoch by epoch."""
    training = Training(case, how, gpus)
    part = training.images(case)
    for seed in count():
        seconds = training.seconds(part, seed)
        if seed >= WARM_UP:
            yield case.images / seconds


def usual(case: Case, workers: int, gpus: float) -> Iterator[float]:
    """Images per second with torchvision's transforms, a DataLoader and torch's defaults."""
    from torch.utils.data import DataLoader
    from torchvision import transforms

    device = torch.device("cuda" if gpus else "cpu")
    steps = [
        transforms.RandomCrop(case.side, case.side // 8),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize([0.5] * 3, [0.25] * 3),
    ]
    loader = DataLoader(
        Decoded(*case.pixels(), transforms.Compose(steps)),
        case.batch,
        shuffle=True,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        persistent_workers=workers > 0,
    )
    params = case.params()
    model = models.build({**params, "image_size": case.side}, 3, CLASSES).to(device)
    optimizer = torch.optim.SGD(model.parameters(), params["lr"], momentum=0.9, weight_decay=5e-4)
    for number in count():
        started = perf_counter()
        total = torch.zeros((), device=device)
        for images, labels in loader:
            moved = images.to(device, non_blocking=True), labels.to(device, non_blocking=True)
            loss = functional.cross_entropy(model(moved[0]), moved[1])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            total += loss.detach()
        float(total)  # waits for the GPU
        if number >= WARM_UP:
            yield case.images / (perf_counter() - started)


@dataclass(frozen=True)
class Repeated:
    """A part whose batches are all its first one, for which nothing has to wait."""

    part: Part

    def __len__(self) -> int:
        return len(self.part)

    def batches(self, chosen: Tensor | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """The images themselves."""
        return self.part.batches(chosen)

    def training_batches(
        self, batch_size: int, kind: str, generator: Generator, *, shuffle: bool = True
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """As many whole batches as there are."""
        first = next(iter(self.part.training_batches(batch_size, kind, generator, shuffle=shuffle)))
        return repeat(first, len(self.part) // batch_size)


def waiting(case: Case, how: How, gpus: float, folder: Path | None = None) -> Iterator[float]:
    """Percent of an epoch by which making its batches, waits included, prolongs it.

    Args:
        case: What is trained; its batches are whole.
        how: With which params.
        gpus: 1, or 0 for the CPU.
        folder: Of JPEG files, from `benchmarks.decoding`; None for noise in memory.
    """
    training = Training(case, how, gpus)
    part = training.images(case) if folder is None else training.decoded(case, folder)
    same = Repeated(part)
    for seed in count():
        seconds, without = training.seconds(part, seed), training.seconds(same, seed)
        if seed >= WARM_UP:
            yield 100 * (1 - without / seconds)


def memory(case: Case, how: How, gpus: float) -> Iterator[float]:
    """MiB that torch has reserved on the GPU at most, and those that CUDA takes beside it."""
    training = Training(case, how, gpus)
    part = training.images(case)
    for seed in range(WARM_UP):
        training.seconds(part, seed)
    free, total = torch.cuda.mem_get_info(training.device)
    yield torch.cuda.max_memory_reserved(training.device) / 2**20
    yield (total - free - torch.cuda.memory_reserved(training.device)) / 2**20
