"""Activation functions: one table from name to module, bound and formula."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables import wsgaf
from trainables.naming import look_up
from trainables.tanh import tanh

Params = Mapping[str, Any]
Shape = tuple[int, ...]

_LECUN = 1.7159  # LeCun et al. (2012), "Efficient BackProp"


class Formula(nn.Module):
    """A function of one tensor as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.forward = function


@dataclass(frozen=True)
class Activation:
    """A kind of activation function.

    Attributes:
        formula: The function in readable form.
        build: Makes the module from the params and the shape of one input, without the batch.
        bound: The least upper bound of |f(x)| over all x, or None if f is unbounded.
    """

    formula: str
    build: Callable[[Params, Shape | None], nn.Module]
    bound: Callable[[Params], float | None]


def _plain(formula: str, function: Callable[[Tensor], Tensor], bound: float | None) -> Activation:
    return Activation(formula, lambda _params, _shape: Formula(function), lambda _params: bound)


def _leaky(
    formula: str, function: Callable[[Tensor, float], Tensor], bound: float | None
) -> Activation:
    """An activation with slope `leak` for negative inputs, in [0, 0.5], by default 0.25."""

    def build(params: Params, _shape: Shape | None) -> nn.Module:
        leak = params.get("leak", 0.25)
        if not 0 <= leak <= 0.5:
            raise ValueError(f"leak must lie in [0, 0.5], got {leak}")
        return Formula(lambda x: function(x, leak))

    return Activation(formula, build, lambda _params: bound)


def _shifted() -> Activation:
    """The shifted tanh that the slides name without a formula; this formula is our interpretation.

    It passes through the origin and is asymmetric for any shift except 0.
    """

    def shift(params: Params) -> float:
        return float(params.get("shift", 1.0))

    def build(params: Params, _shape: Shape | None) -> nn.Module:
        by = shift(params)
        return Formula(lambda x: tanh(x - by) + math.tanh(by))

    return Activation(
        "tanh(x - s) + tanh(s)", build, lambda params: 1 + math.tanh(abs(shift(params)))
    )


ACTIVATIONS: Mapping[str, Activation] = {
    "tanh": _plain("tanh(x)", tanh, 1.0),
    "lecun_tanh": _plain("1.7159 tanh(2 x / 3)", lambda x: _LECUN * tanh(x * (2 / 3)), _LECUN),
    "softsign": _plain("x / (1 + |x|)", functional.softsign, 1.0),
    "sigmoid": _plain("1 / (1 + exp(-x))", torch.sigmoid, 1.0),
    # Xu et al. (2016), Eq. 10
    "scaled_sigmoid": _plain("4 sigmoid(x) - 2", lambda x: 4 * torch.sigmoid(x) - 2, 2.0),
    "relu": _plain("max(0, x)", torch.relu, None),
    "leaky_relu": _leaky("x, a x for x < 0", functional.leaky_relu, None),
    # Xu et al. (2016), Eq. 11
    "leaky_tanh": _leaky(
        "tanh(x), a tanh(x) for x < 0",
        lambda x, leak: functional.leaky_relu(tanh(x), leak),
        1.0,
    ),
    # as the introduction of "Batch Normalization and Bounded Activation Functions" describes it
    "penalized_tanh": _leaky(
        "tanh(x), tanh(a x) for x < 0",
        lambda x, leak: tanh(functional.leaky_relu(x, leak)),
        1.0,
    ),
    "shifted_tanh": _shifted(),
    "wsgaf": Activation(
        "g(w1) relu(x) + g(w2) tanh(x) + g(w3) sigmoid(x)", wsgaf.build, lambda _params: None
    ),
}


def build(params: Params, shape: Shape | None = None) -> nn.Module:
    """Make the activation module that `params["activation"]` names.

    Args:
        params: `activation`, and the params of that activation (`leak`, `shift`, `wsgaf_...`);
            others are ignored.
        shape: The input's (channels, height, width), for activations with trainable weights.

    Raises:
        ValueError: If the name is unknown or one of its params is invalid.
    """
    return _kind(params).build(params, shape)


def bound(params: Params) -> float | None:
    """The least upper bound of |f| for the activation in `params`, or None if it is unbounded.

    Raises:
        ValueError: If the name is unknown.
    """
    return _kind(params).bound(params)


def _kind(params: Params) -> Activation:
    return look_up("activation", params.get("activation"), ACTIVATIONS)
