"""Histograms of activations and block outputs: Figures 1 and 8."""

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from trainables.contract import Trial
from trainables.naming import unknown
from trainables.probes.watcher import Watcher
from trainables.units import named_units

_BINS = 64


class Histogram:
    """Counts of values in equal bins between -limit and limit.

    The limit is a power of two that doubles whenever a value exceeds it: pairs of bins
    then merge into one, which keeps every count exact. After a value that is not finite, as in a
    network that diverges, every share is NaN.
    """

    def __init__(self) -> None:
        self.limit = 0.0
        self.counts = torch.zeros(_BINS, dtype=torch.float64)

    def update(self, x: Tensor) -> None:
        """Count all values of a tensor."""
        largest = float(x.abs().max())
        if not math.isfinite(largest):
            self.limit = self.limit or 1.0
            self.counts.fill_(math.nan)
            return
        if not self.limit:
            self.limit = 2.0 ** float(torch.tensor(largest or 1.0).log2().ceil())
        while largest > self.limit:
            pairs = self.counts.view(-1, 2).sum(1)
            self.counts = nn.functional.pad(pairs, (_BINS // 4, _BINS // 4))
            self.limit *= 2
        scale = _BINS / 2 / self.limit  # a power of two: exact
        # A GPU has no deterministic torch.histc.
        bins = (x.double() * scale).floor_().add_(_BINS // 2).clamp_(max=_BINS - 1)
        self.counts += torch.bincount(bins.flatten().int(), minlength=_BINS).cpu()

    def centres(self) -> list[float]:
        """The middle of every bin."""
        step = 2 * self.limit / _BINS
        return [-self.limit + step * (number + 0.5) for number in range(_BINS)]

    def shares(self) -> list[float]:
        """The fraction of all values in every bin."""
        shares: list[float] = (self.counts / self.counts.sum()).tolist()
        return shares


class HistogramProbes(Watcher):
    """Histograms of selected units: of the whole layer, and of selected channels.

    The rows are `activation_histogram`, of activation outputs, and `output_histogram`, of block
    outputs; `at` is the centre of the bin, `unit` the channel, or null for the whole layer.

    Args:
        model: A network of units, in eval mode.
        layers: Names of units.
        channels: Indices of channels.

    Raises:
        ValueError: If a unit or a channel of it does not exist.
    """

    def __init__(self, model: nn.Module, layers: Sequence[str], channels: Sequence[int]) -> None:
        super().__init__()
        units = dict(named_units(model))
        positions = {name: index for index, name in enumerate(units)}
        self._histograms: list[tuple[str, str, int, dict[int | None, Histogram]]] = []
        for layer in layers:
            if layer not in units:
                raise ValueError(unknown("unit in histogram_layers", layer, units))
            unit = units[layer]
            if max(channels, default=0) >= unit.channels:
                raise ValueError(
                    f"histogram_channels: {layer} has {unit.channels} channels, got {max(channels)}"
                )
            for probe, part in (
                ("activation_histogram", unit.get_submodule("activation")),
                ("output_histogram", unit.output),
            ):
                histograms = {channel: Histogram() for channel in (None, *channels)}
                self._watch_output(part, partial(_count, histograms))
                self._histograms.append((probe, layer, positions[layer], histograms))

    def log(self, trial: Trial) -> None:
        """Log one row per bin."""
        for probe, layer, index, histograms in self._histograms:
            for channel, histogram in histograms.items():
                for at, share in zip(histogram.centres(), histogram.shares(), strict=True):
                    trial.probe(probe, layer, share, index=index, unit=channel, at=at)


def _count(histograms: dict[int | None, Histogram], x: Tensor) -> None:
    for channel, histogram in histograms.items():
        histogram.update(x if channel is None else x[:, channel])
