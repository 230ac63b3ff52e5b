"""Where the inputs of activations lie: what appendix A.4 relates to the outputs' skewness."""

from torch import nn

from trainables.contract import Trial
from trainables.probes.moments import ChannelMoments
from trainables.probes.watcher import Watcher
from trainables.units import named_units


class InputProbes(Watcher):
    """Mean and deviation of the input of every unit's activation.

    `input_mean` is the mean over channels of |mean of the channel|, since signs would cancel,
    and `input_deviation` the mean over channels of the channel's standard deviation.

    Args:
        model: A network of units, in eval mode.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._seen: list[tuple[str, ChannelMoments]] = []
        for name, unit in named_units(model):
            moments = ChannelMoments(unit.channels)
            self._watch_input(unit.get_submodule("activation"), moments.update)
            self._seen.append((name, moments))

    def log(self, trial: Trial) -> None:
        """Log two rows per unit."""
        for index, (name, moments) in enumerate(self._seen):
            mean, deviation = moments.mean.abs().mean(), moments.variance.sqrt().mean()
            trial.probe("input_mean", name, float(mean), index=index)
            trial.probe("input_deviation", name, float(deviation), index=index)
