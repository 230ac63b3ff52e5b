"""The paper's three measures of every unit, taken while a network runs over the test set."""

import torch
from torch import nn

from trainables.contract import Trial
from trainables.probes.moments import ChannelMagnitudes, ChannelMoments
from trainables.probes.watcher import Watcher
from trainables.units import named_units


class UnitProbes(Watcher):
    """Saturation, skewness and sparsity of every unit of a network.

    Saturation and skewness describe activation outputs, sparsity describes block outputs.

    Args:
        model: A network of units, in eval mode.
        bound: Least upper bound of the activation's |f|, or None if it is unbounded.
    """

    def __init__(self, model: nn.Module, bound: float | None) -> None:
        super().__init__()
        self._bound = bound
        self._statistics: list[tuple[str, ChannelMoments, ChannelMagnitudes]] = []
        for name, unit in named_units(model):
            same = unit.output_name == "activation"  # in every order except swap
            active = ChannelMoments(unit.channels, maximum=same)
            self._watch_output(unit.get_submodule("activation"), active.update)
            output: ChannelMagnitudes = active
            if not same:
                output = ChannelMagnitudes(unit.channels)
                self._watch_output(unit.output, output.update)
            self._statistics.append((name, active, output))

    def log(self, trial: Trial) -> None:
        """Log one row per probe and unit; an undefined value has no row."""
        for index, (name, activation, output) in enumerate(self._statistics):
            values = {
                "skewness": skewness(activation),
                "dead_channels": float(activation.skewness.isnan().sum()),
                "sparsity": sparsity(output),
            }
            if self._bound is not None:
                values["saturation"] = saturation(activation, self._bound)
            for probe, value in values.items():
                if value is not None:
                    trial.probe(probe, name, value, index=index)


def saturation(outputs: ChannelMagnitudes, bound: float) -> float:
    """Mean of |g| divided by the activation's bound, over a layer (Eq. 1 and 2): 0 to 1."""
    return float(outputs.abs_mean.mean()) / bound


def skewness(outputs: ChannelMoments) -> float | None:
    """Mean over channels of |sample skewness| (Eq. 3 and 4); None if all channels are constant.

    Constant channels have no skewness and do not count.
    """
    defined = outputs.skewness[~outputs.skewness.isnan()]
    return float(defined.abs().mean()) if len(defined) else None


def sparsity(outputs: ChannelMagnitudes) -> float:
    """1 - mean(|g| / maximum of |g| in its channel), section 5.2: from 0 to 1.

    A channel of zeros counts as fully sparse.
    """
    ratio = torch.where(outputs.abs_max > 0, outputs.abs_mean / outputs.abs_max, 0)
    return 1 - float(ratio.mean())
