"""Activation functions: one table from name to module, bound and formula."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from trainables.naming import look_up

Params = Mapping[str, Any]
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Activation:
    """A kind of activation function.

    Attributes:
        formula: What it computes, for people.
        build: Makes the module from the params and the input's shape (C, H, W).
        bound: The least upper bound of |f(x)| over all x, None where there is none.
    """

    formula: str
    build: Callable[[Params, Shape | None], nn.Module]
    bound: Callable[[Params], float | None]


def _plain(formula: str, module: type[nn.Module], bound: float | None) -> Activation:
    return Activation(formula, lambda _params, _shape: module(), lambda _params: bound)


ACTIVATIONS: Mapping[str, Activation] = {
    "tanh": _plain("tanh(x)", nn.Tanh, 1.0),
    "relu": _plain("max(0, x)", nn.ReLU, None),
}


def build(params: Params, shape: Shape | None = None) -> nn.Module:
    """Make the activation module that `params["activation"]` names.

    Args:
        params: `activation`, and the params of that activation; others are ignored.
        shape: The input's (channels, height, width), for activations with weights of their own.

    Raises:
        ValueError: If the name is unknown or a param of it is impossible.
    """
    return _kind(params).build(params, shape)


def bound(params: Params) -> float | None:
    """The least upper bound of |f| for the activation in `params`; None for an unbounded one.

    Raises:
        ValueError: If the name is unknown.
    """
    return _kind(params).bound(params)


def _kind(params: Params) -> Activation:
    return look_up("activation", params.get("activation"), ACTIVATIONS)
