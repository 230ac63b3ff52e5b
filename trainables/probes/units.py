"""The three probes of the paper, gathered with hooks while a network runs over the test set."""

from types import TracebackType
from typing import Self

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from trainables.contract import Trial
from trainables.probes.moments import ChannelMagnitudes, ChannelMoments
from trainables.units import named_units


class UnitProbes:
    """Saturation, skewness and sparsity of every unit of a network.

    As a context manager it watches all forward passes of the network; `log` gives the result.

    Args:
        model: A network of units, in eval mode.
        bound: Least upper bound of the activation's |f|, None where there is none.
    """

    def __init__(self, model: nn.Module, bound: float | None) -> None:
        self._bound = bound
        self._units = list(named_units(model))
        self._activations = [ChannelMoments(unit.channels) for _, unit in self._units]
        # Only swap's output differs from the activation; elsewhere one set of sums serves both.
        self._outputs: list[ChannelMagnitudes] = [
            seen if unit.output is unit.activation else ChannelMagnitudes(unit.channels)
            for (_, unit), seen in zip(self._units, self._activations, strict=True)
        ]
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> Self:
        for (_, unit), activation, output in zip(
            self._units, self._activations, self._outputs, strict=True
        ):
            self._watch(unit.get_submodule("activation"), activation)
            if output is not activation:
                self._watch(unit.output, output)
        return self

    def _watch(self, module: nn.Module, statistics: ChannelMagnitudes) -> None:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            del module, inputs
            statistics.update(output)

        self._handles.append(module.register_forward_hook(hook))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for handle in self._handles:
            handle.remove()

    def log(self, trial: Trial) -> None:
        """Log one row per probe and unit; an undefined one has no row."""
        for index, ((name, _), activation, output) in enumerate(
            zip(self._units, self._activations, self._outputs, strict=True)
        ):
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


def saturation(seen: ChannelMagnitudes, bound: float) -> float:
    """Mean of |g| over the bound of the activation, over a whole layer (Eq. 1 and 2): 0 to 1."""
    return float(seen.abs_mean.mean()) / bound


def skewness(seen: ChannelMoments) -> float | None:
    """Mean over channels of |sample skewness| (Eq. 3 and 4); None if all channels are constant.

    Constant channels have no skewness and are left out.
    """
    known = seen.skewness[~seen.skewness.isnan()]
    return float(known.abs().mean()) if len(known) else None


def sparsity(seen: ChannelMagnitudes) -> float:
    """1 - mean(|g| / maximum of |g| in its channel), section 5.2: from 0 to 1.

    A channel of zeros only counts as fully sparse.
    """
    ratio = torch.where(seen.abs_max > 0, seen.abs_mean / seen.abs_max, 0)
    return 1 - float(ratio.mean())
