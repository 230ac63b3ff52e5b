"""Location and spread of activation inputs, which appendix A.4 relates to output skewness."""

from torch import nn

from trainables.contract import Trial
from trainables.probes.moments import ChannelMoments
from trainables.probes.watcher import Watcher
from trainables.units import named_units


class InputProbes(Watcher):
    """Mean and standard deviation of the inputs of every unit's activation.

    `input_mean` is the mean over channels of |mean of the channel|, since signs would cancel;
    `input_deviation` is the mean over channels of the channel's standard deviation.

    Args:
        model: A network of units, in eval mode.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._moments: list[tuple[str, ChannelMoments]] = []
        for name, unit in named_units(model):
            moments = ChannelMoments(unit.channels)
            self._watch_input(unit.get_submodule("activation"), moments.update)
            self._moments.append((name, moments))

    def log(self, trial: Trial) -> None:
        """Log two rows per unit."""
        for index, (name, moments) in enumerate(self._moments):
            mean, deviation = moments.mean.abs().mean(), moments.variance.sqrt().mean()
            trial.probe("input_mean", name, float(mean), index=index)
            trial.probe("input_deviation", name, float(deviation), index=index)
