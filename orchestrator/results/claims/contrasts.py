"""Tests of numbers per seed: pure functions of arrays.

The last axis is that of seeds (or, once they are averaged, of the comparisons that a claim makes
at once); any axes before it are independent worlds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from orchestrator.results.statistics import LEVEL
from orchestrator.spec.claim import FARTHEST

Array = npt.NDArray[Any]

ALPHA = 0.05
SIGN_TEST_FROM = 6
"""Fewer seeds cannot reach a p-value below 0.05 in an exact two-sided sign test."""
NO_SPREAD = 1e-12
"""Deviations below this, relative to the values compared, are rounding errors."""


@dataclass(frozen=True)
class Estimate:
    """Means over seeds, with what a t test needs of them; the arrays broadcast.

    Attributes:
        effect: the means.
        error: their standard errors.
        df: degrees of freedom of the standard errors.
    """

    effect: Array
    error: Array
    df: Array

    def interval(self, level: float = LEVEL) -> tuple[Array, Array]:
        """Compute the t interval of each mean."""
        half = stats.t.isf((1 - level) / 2, self.df) * self.error
        return self.effect - half, self.effect + half


@dataclass(frozen=True)
class PValue:
    """The two-sided test of one statement.

    Attributes:
        p: two-sided p-value; 1 where the standard error is unknown (NaN).
        agrees: whether the effect is on the side that the statement claims, so that a small
            ``p`` supports it; else it refutes it.
    """

    p: Array
    agrees: Array


def paired(values: Array) -> Estimate:
    """Estimate means from their own spread over seeds.

    Args:
        values: shape (..., seeds); the mean is over the last axis.
    """
    n = values.shape[-1]
    deviation = values.std(axis=-1, ddof=1) if n > 1 else np.full(values.shape[:-1], np.nan)
    df = np.full(values.shape[:-1], max(n - 1, 1))
    return Estimate(values.mean(axis=-1), deviation / np.sqrt(n), df)


def beyond(estimate: Estimate, sign: int, bound: float = 0.0) -> PValue:
    """Test whether means lie beyond a bound, in the direction of ``sign``.

    Args:
        estimate: the means.
        sign: 1 for greater, -1 for less.
        bound: the bound in that direction; ``bound`` 0.5 and ``sign`` -1 is below -0.5.
    """
    return _test(sign * estimate.effect - bound, estimate)


def within(estimate: Estimate, margin: float) -> PValue:
    """Test means against the nearer of ±margin: significant inside is close, outside is not.

    Inside it is two one-sided t tests, each at half the level, so that a mean at the margin is
    called close or not close with a probability of the level in all.
    """
    return _test(margin - np.abs(estimate.effect), estimate)


def _test(distance: Array, estimate: Estimate) -> PValue:
    p = 2 * stats.t.sf(np.abs(distance / estimate.error), estimate.df)
    return PValue(np.where(np.isnan(p), 1.0, p), distance > 0)


def all_of(tested: PValue) -> PValue:
    """Combine the tests of a statement's parts, which lie along the last axis.

    All parts must agree (an intersection-union test: the largest p counts); a single one can
    refute the statement (the smallest p of those that disagree counts, times the number of parts).
    """
    agrees = np.asarray(tested.agrees.all(axis=-1))
    against = np.where(tested.agrees, 1.0, tested.p).min(axis=-1) * tested.p.shape[-1]
    p = np.where(agrees, tested.p.max(axis=-1), np.minimum(1.0, against))
    return PValue(p, agrees)


def decisive(tested: PValue) -> int:
    """Return which of a statement's parts its p-value comes from."""
    if tested.agrees.all():
        return int(tested.p.argmax())
    return int(np.where(tested.agrees, np.inf, tested.p).argmin())


def holm(p: Array) -> Array:
    """Correct p-values for multiple testing by Holm's method.

    Args:
        p: shape (..., claims); NaN where there is none, which does not count.
    """
    order = np.argsort(p, axis=-1)  # NaN comes last
    ranked = np.take_along_axis(p, order, axis=-1)
    remaining = (~np.isnan(p)).sum(axis=-1, keepdims=True) - np.arange(p.shape[-1])
    highest = np.maximum.accumulate(np.minimum(1.0, ranked * remaining), axis=-1)
    corrected = np.empty_like(ranked)
    np.put_along_axis(corrected, order, highest, axis=-1)
    return corrected


def sign_test(values: Array, scale: float) -> float | None:
    """Compute the p-value of the exact two-sided sign test, zeros left out.

    Args:
        values: one per seed, shape (seeds,).
        scale: size of the numbers whose differences the values are, for the rounding error.

    Returns:
        None below 6 seeds, if a value is not finite, or without one that is not zero.
    """
    if len(values) < SIGN_TEST_FROM or not np.isfinite(values).all():
        return None
    signs = np.sign(values[np.abs(values) > NO_SPREAD * scale])
    if not len(signs):
        return None
    return float(stats.binomtest(int((signs > 0).sum()), len(signs)).pvalue)


def slope_weights(positions: int) -> Array:
    """Return the weights whose sum with values at 0, 1, 2, … is the slope of their line.

    Args:
        positions: how many values there are, at least two.
    """
    centred = np.arange(positions) - (positions - 1) / 2
    return centred / (centred @ centred)


def fisher_z(first: Array, second: Array) -> Array:
    """Compute Fisher's z of Pearson's correlation over the second to last axis.

    Args:
        first: shape (..., positions, seeds).
        second: the same shape.

    Returns:
        Shape (..., seeds); NaN where one of them does not vary.
    """
    one = first - first.mean(axis=-2, keepdims=True)
    other = second - second.mean(axis=-2, keepdims=True)
    constant = _is_constant(first, one) | _is_constant(second, other)
    sizes = np.sqrt((one**2).sum(axis=-2)) * np.sqrt((other**2).sum(axis=-2))
    r = (one * other).sum(axis=-2) / np.where(constant, np.nan, sizes)
    return np.asarray(np.arctanh(np.clip(r, -FARTHEST, FARTHEST)))


def _is_constant(values: Array, centred: Array) -> Array:
    largest = np.abs(values).max(axis=-2)
    return np.asarray(np.abs(centred).max(axis=-2) <= NO_SPREAD * largest)
