"""No training step waits for a GPU, or copies anything to it: batches are made there."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Generator, nn
from torch.utils._python_dispatch import TorchDispatchMode

from trainables import devices, models, optim, passes
from trainables.augment import AUGMENTS
from trainables.in_memory import MemoryPart
from trainables.params import validated
from trainables.settings import Settings

STEPS = 4
PARAMS: dict[str, Any] = {
    "model": "vgg16_8",
    "activation": "tanh",
    "order": "swap",
    "dataset": "cifar10",
    "width": 0.125,
    "lr": 0.01,
    "weight_decay": 5e-4,
    "epochs": 1,
    "batch_size": 8,
    "seed": 0,
}


class EndedError(Exception):
    """Ends an epoch after its steps, before its results are read."""


def train_on(device: torch.device, augment: str, step: Any) -> None:
    """Train an epoch on a device; `step` is called after each step."""
    settings = validated(Settings, {**PARAMS, "augment": augment})
    count = STEPS * settings.batch_size
    images = torch.randint(0, 256, (count, 32, 32, 3), dtype=torch.uint8)
    labels, index = torch.arange(count) % 10, torch.arange(count)
    scale = torch.full((3,), 100.0)
    part = MemoryPart(*(each.to(device) for each in (images, labels, index, scale, scale)))
    model: nn.Module = models.build({**settings.for_model(), "image_size": 32}, 3, 10)
    devices.place(model, device, settings.precision)
    optimizer = optim.build("sgd", model, settings.weight_decay)
    optim.set_rate(optimizer, settings.lr)
    for group in optimizer.param_groups:
        group["fused"] = device.type == "cuda"  # a device without memory has no fused kernels
    passes.train_epoch(model, optimizer, part, settings, Generator().manual_seed(0), step)


class Copies(TorchDispatchMode):
    """Counts copies from the CPU to another device."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default):
            source = args[-1] if func is torch.ops.aten.copy_.default else args[0]
            self.count += source.device.type == "cpu" != result.device.type
        return result


@pytest.mark.parametrize("augment", AUGMENTS)
def test_no_step_copies_to_its_device_or_reads_from_it(augment: str) -> None:
    """On torch's device without memory, where reading a value is an error."""
    counts = []

    def step(*_: object) -> None:
        counts.append(copies.count)
        if len(counts) == STEPS:
            raise EndedError

    with Copies() as copies, pytest.raises(EndedError):
        train_on(torch.device("meta"), augment, step)
    assert counts[0] > 0  # the images, the network, and the epoch's order
    assert counts == counts[:1] * STEPS


@pytest.mark.gpu
@pytest.mark.parametrize("augment", AUGMENTS)
def test_no_step_waits_for_a_gpu(augment: str) -> None:
    steps = 0

    def step(*_: object) -> None:
        nonlocal steps
        steps += 1
        torch.cuda.set_sync_debug_mode("error" if steps < STEPS else "default")

    try:
        train_on(torch.device("cuda"), augment, step)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert steps == STEPS
