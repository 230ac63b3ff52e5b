"""Decomposes variance over a complete grid: pure functions of arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Effect:
    """A part of the variance.

    Attributes:
        name: the param that the part is due to, or ``A × B`` for what two params do together
            beyond what each does; ``higher orders`` for what three and more do; ``seed`` for
            what a seed does to all configs alike; ``seed × params`` for the rest, which it does
            to some more than to others.
        share: of the whole variance, from 0 to 1.
        df: degrees of freedom. Of noise, which is independent from trial to trial, each effect
            gets on average its share of all degrees of freedom.
    """

    name: str
    share: float
    df: int


def balanced(places: Indices) -> Indices:
    """Find a large complete grid among trials: one with a trial at each combination of values.

    While a trial is missing, the value is dropped that has the smallest share of the trials
    which a complete grid would have there; of several, the last value of the last axis.

    Args:
        places: the position of each trial on each axis, shape (trials, axes), none twice.

    Returns:
        The indices of the trials that stay, in order.
    """
    kept = np.arange(len(places))
    while len(kept):
        counts = [np.bincount(positions) for positions in places[kept].T]
        sizes = [np.count_nonzero(at_positions) for at_positions in counts]
        if len(kept) == math.prod(sizes):
            break
        # The share is the number of trials times the size of the axis, over the size of the grid.
        _, last_axis, last_position = min(
            (int(count) * size, -axis, -position)
            for axis, (at_positions, size) in enumerate(zip(counts, sizes, strict=True))
            for position, count in enumerate(at_positions)
            if count and size > 1
        )
        kept = kept[places[kept, -last_axis] != -last_position]
    return kept


def scaled(values: Array) -> tuple[Array, int]:
    """Divide finite values by a power of two, so that their sums and squares are floats.

    Returns:
        The values, the largest of them from 0.5 to 1, and the power's exponent. They are exact:
        a mean of them times the power, as by `numpy.ldexp`, is that of the values to the bit.
    """
    exponent = int(np.frexp(np.abs(values).max())[1])
    return np.ldexp(values, -exponent), exponent


def decompose(values: Array, names: Sequence[str]) -> list[Effect]:
    """Attribute the variance of a complete grid to its axes and their interactions.

    This is the functional analysis of variance of a balanced design: every effect is the mean
    over all other axes, less the effects of fewer axes, so that effects are orthogonal and the
    shares add up to one.

    Args:
        values: shape (size of each axis, …, seeds), finite and not all the same.
        names: of the axes but the seeds.

    Returns:
        The effects that have degrees of freedom: axes and pairs of axes in order, higher
        orders, seed, seed × params.
    """
    values, _ = scaled(values)
    deviations, _ = scaled(values - values.mean())
    rest = deviations.mean(axis=-1)
    sizes, seeds = rest.shape, values.shape[-1]
    found: list[tuple[str, Array, int]] = []
    for order in (1, 2):
        effects = []
        for axes in combinations(range(rest.ndim), order):
            others = tuple(axis for axis in range(rest.ndim) if axis not in axes)
            effect = rest.mean(axis=others, keepdims=True)
            df = math.prod(sizes[axis] - 1 for axis in axes)
            effects.append((" × ".join(names[axis] for axis in axes), effect, df))
        for _, effect, _ in effects:
            rest = rest - effect
        found += effects
    configs = rest.size - 1
    found.append(("higher orders", rest, configs - sum(df for *_, df in found)))
    of_seeds = deviations.mean(axis=tuple(range(rest.ndim)), keepdims=True)
    found.append(("seed", of_seeds, seeds - 1))
    of_both = deviations - deviations.mean(axis=-1, keepdims=True) - of_seeds
    found.append(("seed × params", of_both, configs * (seeds - 1)))
    whole = float((deviations**2).mean())
    return [Effect(name, float((effect**2).mean()) / whole, df) for name, effect, df in found if df]
