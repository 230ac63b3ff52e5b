"""Tests of one number per seed: functions of arrays, without a sweep or a store."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from orchestrator.results.statistics import statistics

Array = npt.NDArray[np.float64]

ALPHA = 0.05
POWER = 0.8
MOST_SEEDS = 1000

SIGN_TEST_FROM = 6
"""Fewer seeds cannot reach a p-value below 0.05 in an exact two-sided sign test."""

_QUANTILES = (np.arange(1000) + 0.5) / 1000

NO_SPREAD = 1e-12
"""Deviations below this, relative to the values compared, are rounding errors."""


@dataclass(frozen=True)
class Contrast:
    """A quantity that is zero if nothing is there, over seeds.

    Attributes:
        effect: mean; NaN without values, or with one that is not finite.
        std: sample standard deviation; NaN for fewer than two values.
        low: lower end of the 95 % t interval; NaN without a deviation above rounding.
        high: its upper end.
        n: number of seeds.
        p: two-sided p-value of the t test against zero; None where ``low`` is NaN.
        p_sign: that of the exact sign test, zeros left out; None below 6 seeds.
    """

    effect: float
    std: float
    low: float
    high: float
    n: int
    p: float | None
    p_sign: float | None

    @property
    def has_spread(self) -> bool:
        """Whether there is a deviation to test against."""
        return self.p is not None


def contrast(values: Array, scale: float) -> Contrast:
    """Test whether the mean over seeds is zero.

    Args:
        values: one per seed, shape (n,).
        scale: size of what the values are differences of, which rounding goes by.
    """
    found = statistics(values.tolist())
    if math.isnan(found.std) or found.std <= NO_SPREAD * scale:
        return Contrast(found.mean, found.std, math.nan, math.nan, found.n, None, None)
    p_sign = None
    if found.n >= SIGN_TEST_FROM:
        signs = np.sign(values[np.abs(values) > NO_SPREAD * scale])
        p_sign = float(stats.binomtest(int((signs > 0).sum()), len(signs)).pvalue)
    p = float(stats.ttest_1samp(values, 0.0).pvalue)
    return Contrast(found.mean, found.std, found.ci_low, found.ci_high, found.n, p, p_sign)


def slopes(values: Array) -> Array:
    """Fit a line per seed to the values over their positions 0, 1, 2 and so on.

    Args:
        values: shape (positions, n), at least two positions.

    Returns:
        The slopes per step, shape (n,).
    """
    positions = np.arange(len(values)) - (len(values) - 1) / 2
    return positions @ values / (positions @ positions)


def equivalence(found: Contrast, margin: float) -> float | None:
    """Test whether a mean lies within ±margin, by two one-sided t tests.

    Returns:
        The larger of the two p-values; None without a deviation.
    """
    if not found.has_spread:
        return None
    error = found.std / math.sqrt(found.n)
    above = stats.t.sf((found.effect + margin) / error, found.n - 1)
    below = stats.t.cdf((found.effect - margin) / error, found.n - 1)
    return float(max(above, below))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Correct p-values for their number by Holm's method; those that are None do not count."""
    known = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, index) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - rank)))
        corrected[index] = highest
    return corrected


def seeds_to_differ(found: Contrast, alpha: float) -> int | None:
    """Find how many seeds would tell a mean from zero with a probability of 80 %.

    Args:
        found: whose effect and deviation are taken for the true ones.
        alpha: level of the two-sided t test.

    Returns:
        The number of seeds; None above 1,000, or without a deviation.
    """
    if not found.has_spread:
        return None
    size = abs(found.effect) / found.std

    def power(n: int) -> float:
        critical = stats.t.isf(alpha / 2, n - 1)
        shift = size * math.sqrt(n)
        return _exceeds(critical, shift, n) + _exceeds(critical, -shift, n)

    return _fewest(power)


def seeds_to_equate(found: Contrast, margin: float, alpha: float) -> int | None:
    """Find how many seeds would place a mean inside or outside ±margin, likewise.

    Args:
        found: whose effect and deviation are taken for the true ones.
        margin: in the effect's unit.
        alpha: level of each one-sided t test inside, and of the interval outside.
    """
    if not found.has_spread:
        return None
    inside = margin - abs(found.effect)
    outside = margin + abs(found.effect)

    def power(n: int) -> float:
        error = found.std / math.sqrt(n)
        if inside <= 0:
            return _exceeds(stats.t.isf(ALPHA / 2, n - 1), -inside / error, n)
        critical = stats.t.isf(alpha, n - 1)
        return _exceeds(critical, inside / error, n) + _exceeds(critical, outside / error, n) - 1

    return _fewest(power)


def _exceeds(critical: float, shift: float, n: int) -> float:
    """Compute the probability that a noncentral t of n - 1 degrees exceeds a value.

    As the mean over quantiles of the estimated deviation: scipy's ``nct`` gives NaN for
    the large shifts that few seeds may show.
    """
    deviations = np.sqrt(stats.chi2.ppf(_QUANTILES, n - 1) / (n - 1))
    return float(stats.norm.cdf(shift - critical * deviations).mean())


def _fewest(power: Callable[[int], float]) -> int | None:
    numbers = range(2, MOST_SEEDS + 1)
    place = bisect_left(numbers, POWER, key=power)
    return numbers[place] if place < len(numbers) else None
