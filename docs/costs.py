"""Writes into the heads of the papers' sweep files what they cost: `python docs/costs.py`.

A trial is counted by its floating-point operations: a training image is three forward passes, a
test image one, and a forward pass is what torch counts for convolutions and matrix products. It
runs at a share of its GPU's peak in its precision, and starts at most so many steps a second. The
shares are assumptions, stated beside the hours; `orch plan --pilot` measures.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import wrap

import torch
from torch.utils.flop_counter import FlopCounterMode

from orchestrator.spec.grid import expand
from orchestrator.spec.loading import load
from trainables import datasets, models
from trainables.params import validated
from trainables.settings import Settings

SWEEPS = Path(__file__).parents[1] / "sweeps"
GPU = "A100"
PEAK = {"fp32": 19.5e12, "tf32": 156e12, "bf16": 312e12}
"""Floating-point operations per second of the GPU, by its data sheet."""
SHARE = {"mobilenet": 0.05}
OTHER_SHARE = 0.15
"""The part of the peak that a network reaches: depthwise convolutions reach less."""
STEPS_PER_SECOND = 2000.0
"""Steps that a process can start, however small they are."""
IMAGES = {
    "mnist": (60_000, 10_000),
    "fashion_mnist": (60_000, 10_000),
    "cifar10": (50_000, 10_000),
    "cifar100": (50_000, 10_000),
    "tiny_imagenet": (100_000, 10_000),
    "imagenet": (1_281_167, 50_000),
}
"""Training and test images of each data set."""
HEAD = re.compile(r"# [\d,]+ trials, [\d,]+ epochs, .* EFLOP.*\n(?:# .*\n)*")


@dataclass(frozen=True)
class Cost:
    """What trials cost: epochs, floating-point operations, hours of one GPU."""

    epochs: int = 0
    flop: float = 0.0
    hours: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.epochs + other.epochs, self.flop + other.flop, self.hours + other.hours)


def of_trial(settings: Settings) -> Cost:
    """Return what one trial of `trainables.classify` costs."""
    train, test = IMAGES[settings.dataset]
    steps = -(-train // settings.batch_size)
    logged = steps // settings.loss_every if settings.loss_every else 0
    passes = 3 * train + test + (settings.loss_images or test) * logged
    flop = (
        settings.epochs
        * passes
        * forward_flop(settings.model, settings.activation, settings.dataset, settings.width)
    )
    rate = SHARE.get(settings.model, OTHER_SHARE) * PEAK[settings.precision]
    started = settings.epochs * (steps + logged) / STEPS_PER_SECOND
    return Cost(settings.epochs, flop, max(flop / rate, started) / 3600)


@cache
def forward_flop(model: str, activation: str, dataset: str, width: float) -> int:
    """Count the operations of a forward pass of one image."""
    images, labels = datasets.generated(dataset, None)
    _, size, _, channels = images.shape
    params = {"model": model, "activation": activation, "width": width, "image_size": size}
    with torch.device("meta"):
        network = models.build(params, channels, int(labels.max()) + 1).eval()
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(1, channels, size, size))
    return counter.get_total_flops()


def head(path: Path) -> str:
    """Write what the trials of a sweep file cost, as comment lines."""
    trials = [validated(Settings, trial.params) for trial in expand(load(path))]
    costs = [(settings, of_trial(settings)) for settings in trials]
    total = sum((cost for _, cost in costs), Cost())
    imagenet = sum((cost.hours for s, cost in costs if s.dataset == "imagenet"), 0.0)
    on_imagenet = f", {rounded(imagenet)} of them on ImageNet" if imagenet else ""
    costs_it = (
        f"{len(trials):,} trials, {total.epochs:,} epochs, {rounded(total.flop / 1e18)} EFLOP: "
        f"about {rounded(total.hours)} GPU-hours{on_imagenet}."
    )
    assumes = assumed({s.precision for s in trials}, {s.model for s in trials})
    return "".join(f"# {line}\n" for text in (costs_it, assumes) for line in wrap(text, 97))


def assumed(precisions: set[str], names: set[str]) -> str:
    """State what the hours assume."""
    (precision,) = precisions
    less = "".join(
        f", {100 * share:g} % for {name}" for name, share in SHARE.items() if name in names
    )
    rate = f"{100 * OTHER_SHARE:g} % of its {PEAK[precision] / 1e12:g} TFLOP/s ({precision})"
    return (
        f"Hours are for one {GPU} at {rate}{less}, and at "
        f"most {STEPS_PER_SECOND:,.0f} steps a second; a training image counts three forward "
        "passes, a test image one."
    )


def rounded(value: float) -> str:
    """Write a number with two significant digits."""
    exact = float(f"{value:.2g}")
    return f"{exact:,.0f}" if exact >= 10 else f"{exact:g}"


def main() -> None:
    """Rewrite the heads of all files that state operations; laptop twins state measured minutes."""
    for path in sorted(SWEEPS.glob("*.yaml")):
        text = path.read_text()
        if HEAD.search(text):
            path.write_text(HEAD.sub(lambda _, path=path: head(path), text, count=1))


if __name__ == "__main__":
    main()
