"""How many seeds decide a claim: pure functions."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable

import numpy as np
from scipy import optimize, stats

from orchestrator.results.statistics import LEVEL, MOST_SEEDS, Seeds

POWER = 0.8

_QUANTILES = (np.arange(1000) + 0.5) / 1000


def seeds_to_find(effect: float, spread: float, alpha: float, df: int | None = None) -> int | None:
    """Compute how many seeds distinguish an effect from zero with 80 % power.

    Args:
        effect: the true effect.
        spread: the true standard deviation of one seed's number.
        alpha: level of the two-sided t test.
        df: its degrees of freedom; by default one less than there are seeds.

    Returns:
        The number of seeds, two at least; None above 1,000.
    """
    size = abs(effect) / spread

    def power(n: int) -> float:
        freedom = df or n - 1
        critical = stats.t.isf(alpha / 2, freedom)
        shift = size * math.sqrt(n)
        return exceeds(critical, shift, freedom) + exceeds(critical, -shift, freedom)

    return _fewest(power)


def seeds_to_equate(
    margin: float, spread: float, alpha: float, df: int | None = None
) -> int | None:
    """Compute how many seeds show with 80 % power that an effect of zero is within ±margin.

    Args:
        margin: in the unit of ``spread``.
        spread: the true standard deviation of one seed's number.
        alpha: level of the two-sided test against the margin.
        df: its degrees of freedom; by default one less than there are seeds.

    Returns:
        The number of seeds, two at least; None above 1,000.
    """

    def power(n: int) -> float:
        freedom = df or n - 1
        critical = stats.t.isf(alpha / 2, freedom)
        shift = margin / spread * math.sqrt(n)
        return 2 * exceeds(critical, shift, freedom) - 1

    return _fewest(power)


def seeds_by_interval(t: float, n: int, alpha: float, df: int, *, grows: bool = True) -> Seeds:
    """Compute how many seeds would decide, for every effect that a t statistic leaves possible.

    The 95 % interval of the standardised effect (effect / spread) follows from the noncentral t
    distribution; each of its ends gives a number of seeds with 80 % power. An interval that
    contains zero gives no upper one.

    Args:
        t: the observed statistic.
        n: the seeds that gave it, which did not decide: the answer is above it.
        alpha: level of the two-sided t test.
        df: degrees of freedom of ``t``.
        grows: whether those of a later test are one less than its seeds, or stay ``df``.
    """
    low, high = (end / math.sqrt(n) for end in noncentrality(t, df))
    later = None if grows else df

    def seeds(size: float) -> int | None:
        return seeds_to_find(size, 1.0, alpha, later) if size else None

    fewest = seeds(max(abs(low), abs(high)))
    most = None if low <= 0 <= high else seeds(min(abs(low), abs(high)))
    least = MOST_SEEDS if fewest is None else min(max(fewest, n + 1), MOST_SEEDS)
    return least, None if most is None else max(most, n + 1)


def noncentrality(t: float, df: int) -> tuple[float, float]:
    """Compute the 95 % interval of the noncentrality that an observed t statistic comes from."""
    reach = abs(t) * math.sqrt(stats.chi2.ppf(_QUANTILES[-1], df) / df) + 10

    def end(tail: float) -> float:
        return float(optimize.brentq(lambda shift: exceeds(t, shift, df) - tail, -reach, reach))

    return end((1 - LEVEL) / 2), end((1 + LEVEL) / 2)


def exceeds(critical: float, shift: float, df: int) -> float:
    """Compute the probability that a noncentral t exceeds a value.

    It averages over quantiles of the estimated deviation: scipy's ``nct`` returns NaN for
    the large shifts that occur with few seeds.
    """
    deviations = np.sqrt(stats.chi2.ppf(_QUANTILES, df) / df)
    return float(stats.norm.cdf(shift - critical * deviations).mean())


def _fewest(power: Callable[[int], float]) -> int | None:
    """Search for the smallest number of seeds with enough power, which grows with the number."""
    counts = range(2, MOST_SEEDS + 1)
    index = bisect_left(counts, POWER, key=power)
    return counts[index] if index < len(counts) else None
