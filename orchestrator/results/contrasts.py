"""Tests of one number per seed: pure functions of arrays."""

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

STRONGEST = 0.9999
"""Correlations are cut here before Fisher's z, which is infinite at 1."""

NO_SPREAD = 1e-12
"""Deviations below this, relative to the values compared, are rounding errors."""


@dataclass(frozen=True)
class Contrast:
    """An effect over seeds, with its test against zero.

    Attributes:
        effect: mean; NaN without values, or if one of them is not finite.
        std: sample standard deviation; NaN for fewer than two values.
        low: lower end of the 95 % t interval; NaN if no deviation exceeds rounding errors.
        high: its upper end.
        n: number of seeds.
        p: two-sided p-value of the t test against zero; None if ``low`` is NaN.
        p_sign: p-value of the exact sign test, zeros left out; None below 6 seeds.
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
        """Whether the values deviate from their mean, so that a test is possible."""
        return self.p is not None


def contrast(values: Array, scale: float) -> Contrast:
    """Test whether the mean over seeds is zero.

    Args:
        values: one per seed, shape (n,).
        scale: size of the numbers whose differences the values are, for the rounding error.
    """
    over_seeds = statistics(values.tolist())
    mean, std, n = over_seeds.mean, over_seeds.std, over_seeds.n
    if math.isnan(std) or std <= NO_SPREAD * scale:
        return Contrast(mean, std, math.nan, math.nan, n, None, None)
    p_sign = None
    if n >= SIGN_TEST_FROM:
        signs = np.sign(values[np.abs(values) > NO_SPREAD * scale])
        p_sign = float(stats.binomtest(int((signs > 0).sum()), len(signs)).pvalue)
    p = float(stats.ttest_1samp(values, 0.0).pvalue)
    return Contrast(mean, std, over_seeds.ci_low, over_seeds.ci_high, n, p, p_sign)


def slopes(values: Array) -> Array:
    """Fit a line to each seed's values over their positions 0, 1, 2 and so on.

    Args:
        values: shape (positions, n), at least two positions.

    Returns:
        The slopes per step, shape (n,).
    """
    positions = np.arange(len(values)) - (len(values) - 1) / 2
    return positions @ values / (positions @ positions)


def correlations(first: Array, second: Array) -> Array:
    """Correlate each seed's values of two quantities over the positions of an axis.

    Args:
        first: shape (positions, n), at least four positions.
        second: the same shape.

    Returns:
        Fisher's z of Pearson's r, which is cut at ±0.9999, shape (n,); NaN where one of the
        quantities does not vary.
    """
    one, other = first - first.mean(axis=0), second - second.mean(axis=0)
    with np.errstate(invalid="ignore"):
        r = (one * other).sum(axis=0) / np.sqrt((one**2).sum(axis=0) * (other**2).sum(axis=0))
    return np.asarray(np.arctanh(np.clip(r, -STRONGEST, STRONGEST)))


def equivalence(observed: Contrast, margin: float) -> float | None:
    """Test whether a mean lies within ±margin, by two one-sided t tests.

    Returns:
        The larger of the two p-values; None without spread.
    """
    if not observed.has_spread:
        return None
    error = observed.std / math.sqrt(observed.n)
    above = stats.t.sf((observed.effect + margin) / error, observed.n - 1)
    below = stats.t.cdf((observed.effect - margin) / error, observed.n - 1)
    return float(max(above, below))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Correct p-values for multiple testing by Holm's method; those that are None do not count."""
    ranked = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, index) in enumerate(ranked):
        highest = max(highest, min(1.0, p * (len(ranked) - rank)))
        corrected[index] = highest
    return corrected


def seeds_to_differ(observed: Contrast, alpha: float) -> int | None:
    """Compute how many seeds distinguish a mean from zero with 80 % power.

    Args:
        observed: its effect and deviation are taken as the true ones.
        alpha: level of the two-sided t test.

    Returns:
        The number of seeds; None above 1,000, or without spread.
    """
    if not observed.has_spread:
        return None
    size = abs(observed.effect) / observed.std

    def power(n: int) -> float:
        critical = stats.t.isf(alpha / 2, n - 1)
        shift = size * math.sqrt(n)
        return _exceeds(critical, shift, n) + _exceeds(critical, -shift, n)

    return _fewest(power)


def seeds_to_equate(observed: Contrast, margin: float, alpha: float) -> int | None:
    """Compute how many seeds show with 80 % power whether a mean is within ±margin.

    Args:
        observed: its effect and deviation are taken as the true ones.
        margin: in the effect's unit.
        alpha: level of each one-sided t test, if the effect is within the margin.

    Returns:
        The number of seeds; None above 1,000, or without spread.
    """
    if not observed.has_spread:
        return None
    inside = margin - abs(observed.effect)
    outside = margin + abs(observed.effect)

    def power(n: int) -> float:
        error = observed.std / math.sqrt(n)
        if inside <= 0:
            return _exceeds(stats.t.isf(ALPHA / 2, n - 1), -inside / error, n)
        critical = stats.t.isf(alpha, n - 1)
        return _exceeds(critical, inside / error, n) + _exceeds(critical, outside / error, n) - 1

    return _fewest(power)


def _exceeds(critical: float, shift: float, n: int) -> float:
    """Compute the probability that a noncentral t with n - 1 degrees of freedom exceeds a value.

    It averages over quantiles of the estimated deviation: scipy's ``nct`` returns NaN for
    the large shifts that occur with few seeds.
    """
    deviations = np.sqrt(stats.chi2.ppf(_QUANTILES, n - 1) / (n - 1))
    return float(stats.norm.cdf(shift - critical * deviations).mean())


def _fewest(power: Callable[[int], float]) -> int | None:
    """Search for the smallest number of seeds with enough power, which grows with the number."""
    counts = range(2, MOST_SEEDS + 1)
    index = bisect_left(counts, POWER, key=power)
    return counts[index] if index < len(counts) else None
