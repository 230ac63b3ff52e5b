"""WSGAF: a trainable weighted sum of activation functions (Karz & Kovacs, 2018)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from trainables.naming import look_up
from trainables.tanh import tanh

FUNCTIONS = ("relu", "tanh", "sigmoid")
# Standard deviation of the initial weights: the note of Table I.
_DEVIATIONS: Mapping[str, Mapping[str, float]] = {
    "linear": {"large": 0.5, "small": 0.05},
    "sigmoid": {"large": 1.0, "small": 0.1},
}
# Mean of the initial weights of each function. The paper gives no mean for `all`; 1 for each is
# our interpretation of "high initial mean for weight of: all". With Adam it trains as well as the
# others, as the paper says.
_MEANS: Mapping[str, tuple[float, float, float]] = {
    "relu": (1, 0, 0),
    "tanh": (0, 1, 0),
    "sigmoid": (0, 0, 1),
    "all": (1, 1, 1),
}


class Wsgaf(nn.Module):
    """g(w1) relu(x) + g(w2) tanh(x) + g(w3) sigmoid(x), with g linear or a sigmoid.

    With the sigmoid gate the weights start from the same means, as in the paper's text, so no
    function is switched off at the start: sigmoid(0) is one half.

    Args:
        shape: Shape of the input without the batch: (C, H, W), or (C,) after a linear layer.
        per: neuron, channel or layer: what shares one set of weights.
        gate: linear or sigmoid.
        init: The function that the sum initially is: relu, tanh, sigmoid, or all of them.
        std: Standard deviation of the initial weights: small or large.

    Raises:
        ValueError: If an argument is none of these.
    """

    initial: Tensor

    def __init__(self, shape: tuple[int, ...], *, per: str, gate: str, init: str, std: str) -> None:
        super().__init__()
        means = look_up("wsgaf_init", init, _MEANS)
        deviation = look_up("wsgaf_std", std, look_up("wsgaf_gate", gate, _DEVIATIONS))
        ones = (1,) * len(shape)
        shapes = {"neuron": shape, "channel": (shape[0], *ones[1:]), "layer": ones}
        per_function = look_up("wsgaf_per", per, shapes)
        self.gate = gate
        mean = torch.tensor(means).view(3, *ones)
        self.weights = nn.Parameter(mean + deviation * torch.randn(3, *per_function))
        self.register_buffer("initial", self.weights.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """The weighted sum, of x's shape (N, *shape)."""
        if x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last):
            # In memory order, torch sums gradients over a batch several times faster.
            inputs = x.movedim(1, 3), tanh(x).movedim(1, 3), self.weights.movedim(1, 3)
            return self._weighted(*inputs).movedim(3, 1)
        return self._weighted(x, tanh(x), self.weights)

    def _weighted(self, x: Tensor, tanh_x: Tensor, weights: Tensor) -> Tensor:
        relu, bounded, sigmoid = weights if self.gate == "linear" else weights.sigmoid()
        return torch.addcmul(relu * x.relu() + bounded * tanh_x, sigmoid, x.sigmoid())

    def means(self) -> dict[str, float]:
        """Mean weight of each function, before the gate."""
        return dict(zip(FUNCTIONS, self.weights.flatten(1).mean(1).tolist(), strict=True))

    def changes(self) -> dict[str, float]:
        """Mean |change| of each function's weights since the start of training."""
        moved = (self.weights - self.initial).abs().flatten(1).mean(1)
        return dict(zip(FUNCTIONS, moved.tolist(), strict=True))


def build(params: Mapping[str, Any], shape: tuple[int, ...] | None) -> Wsgaf:
    """Make WSGAF from `wsgaf_per`, `wsgaf_gate`, `wsgaf_init` and `wsgaf_std`.

    The defaults are the best setting of the paper: neuron, linear, tanh, small.

    Raises:
        ValueError: If a param has an unknown value, or there is no shape.
    """
    if shape is None:
        raise ValueError("the activation wsgaf needs the shape of its input")
    return Wsgaf(
        shape,
        per=params.get("wsgaf_per", "neuron"),
        gate=params.get("wsgaf_gate", "linear"),
        init=params.get("wsgaf_init", "tanh"),
        std=params.get("wsgaf_std", "small"),
    )
