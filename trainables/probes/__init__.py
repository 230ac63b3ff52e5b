"""Measurements inside a network, most of them in the forward pass of its evaluation.

The groups that the param `probes` selects, and their probes:

    units       saturation, skewness, dead_channels, sparsity
    inputs      input_mean, input_deviation
    histograms  activation_histogram, output_histogram
    gradients   convolution_input, weight_gradient, activation_gradient
    gates       gate_FUNCTION, gate_change_FUNCTION, of WSGAF
"""

from collections.abc import Callable

from torch import nn

from trainables import activations
from trainables.probes.gates import log_gates
from trainables.probes.gradients import log_gradients
from trainables.probes.histograms import HistogramProbes
from trainables.probes.inputs import InputProbes
from trainables.probes.moments import ChannelMagnitudes, ChannelMoments
from trainables.probes.units import UnitProbes
from trainables.probes.watcher import Watcher
from trainables.settings import Settings

__all__ = ["ChannelMagnitudes", "ChannelMoments", "log_gates", "log_gradients", "watchers"]


def watchers(model: nn.Module, settings: Settings) -> list[Watcher]:
    """The selected probes that watch the network during its evaluation on the test set.

    Raises:
        ValueError: If histograms are selected for units or channels that do not exist.
    """
    groups: dict[str, Callable[[], Watcher]] = {
        "units": lambda: UnitProbes(model, activations.bound(settings.for_model())),
        "inputs": lambda: InputProbes(model),
        "histograms": lambda: HistogramProbes(
            model, settings.histogram_layers, settings.histogram_channels
        ),
    }
    return [make() for name, make in groups.items() if name in settings.probes]
