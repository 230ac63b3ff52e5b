"""Ranges of search params, and the points that are taken from them.

The points are those of one Sobol sequence (Joe & Kuo, SIAM J. Sci. Comput. 2008; scipy's direction
numbers), of which each param has a dimension, shifted so that no point lies on the bounds of all
params at once. A point depends on its number and dimension alone.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from orchestrator.errors import unknown
from orchestrator.spec.values import is_param_value

MOST_DIMENSIONS = 64
"""The most params of a sweep that may have ranges."""

MOST_SAMPLES = 1_000_000
"""The most points of a sweep."""

_DIGITS = 6
"""Significant digits of a point."""


@dataclass(frozen=True)
class Range:
    """The values that a search param may take.

    Attributes:
        kind: ``uniform``, ``loguniform`` or ``integers``.
        low: the smallest value.
        high: the largest value.
    """

    kind: str
    low: float
    high: float

    def at(self, share: float) -> float:
        """Return the value at a share of the range, from 0 to 1."""
        return _KINDS[self.kind](self.low, self.high, share)


def _uniform(low: float, high: float, share: float) -> float:
    return _rounded(low + share * (high - low), low, high)


def _loguniform(low: float, high: float, share: float) -> float:
    ratio = high / low
    span = math.log(ratio) if math.isfinite(ratio) else math.log(high) - math.log(low)
    return _rounded(math.exp(math.log(low) + share * span), low, high)


def _integers(low: float, high: float, share: float) -> float:
    return min(int(low) + math.floor(share * (high - low + 1)), int(high))


def _rounded(value: float, low: float, high: float) -> float:
    return min(max(float(f"{value:.{_DIGITS}g}"), low), high)


_KINDS: dict[str, Callable[[float, float, float], float]] = {
    "uniform": _uniform,
    "loguniform": _loguniform,
    "integers": _integers,
}


def read_range(value: Mapping[str, Any]) -> Range:
    """Read a range as a sweep file gives it, such as ``{uniform: [0, 1]}``.

    Raises:
        ValueError: it is none.
    """
    if len(value) != 1:
        raise ValueError("expected a list of values, or one of `uniform`, `loguniform`, `integers`")
    ((kind, bounds),) = value.items()
    if kind not in _KINDS:
        raise ValueError(unknown("kind of range", kind, _KINDS))
    numbers = isinstance(bounds, tuple) and len(bounds) == 2
    if not numbers or any(type(bound) not in {int, float} for bound in bounds):
        raise ValueError(f"`{kind}`: expected the smallest and the largest value, such as [1, 10]")
    low, high = (is_param_value(bound) for bound in bounds)
    if not (low < high and math.isfinite(high - low)):
        raise ValueError(f"`{kind}`: expected two finite numbers, the smaller one first")
    if kind == "loguniform" and low <= 0:
        raise ValueError("`loguniform`: expected numbers above 0")
    if kind == "integers":
        if type(low) is not int or type(high) is not int:
            raise ValueError("`integers`: expected two integers")
        return Range(kind, low, high)
    return Range(kind, float(low), float(high))


@cache
def points(
    ranges: tuple[Range, ...], dimensions: tuple[int, ...], count: int
) -> tuple[tuple[Any, ...], ...]:
    """List the points of a sweep, without those that repeat one.

    Args:
        ranges: of the params.
        dimensions: which dimension of the sequence each param has, from 0.
        count: how many points to take.

    Returns:
        Shape (at most ``count``, params).
    """
    from scipy.stats import qmc  # slow to import, and most files have no ranges

    whole = 1 << (count - 1).bit_length()  # of which scipy has no complaint
    shares = qmc.Sobol(max(dimensions) + 1, scramble=False).random(whole)[:count]
    found = [
        tuple(
            each.at((float(row[dimension]) + _shift(dimension)) % 1.0)
            for each, dimension in zip(ranges, dimensions, strict=True)
        )
        for row in shares
    ]
    return tuple(dict.fromkeys(found))


def _shift(dimension: int) -> float:
    """Return the shift of a dimension: 53 bits of a hash, as a share."""
    digest = hashlib.sha256(f"orch-sample {dimension}".encode()).digest()
    return (int.from_bytes(digest[:7]) >> 3) / 2**53
