"""Statistics over seeds: functions of one value per seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TypeAlias

LEVEL = 0.95
"""Coverage of every confidence interval."""

TOO_LARGE = 1e150
"""Squares of larger values are no floats: nothing tests or draws them."""

MOST_SEEDS = 1000
"""More seeds are not planned for."""

Seeds: TypeAlias = tuple[int, int | None]
"""From so many seeds to so many; None is more than 1,000."""


def mean_of(values: Sequence[float]) -> float:
    """Return the mean of finite values, correctly rounded where their sum is no larger than floats.

    Args:
        values: shape (n,), n at least 1.
    """
    try:
        return fmean(values)
    except OverflowError:
        return math.ldexp(fmean(math.ldexp(value, -64) for value in values), 64)


@dataclass(frozen=True)
class Statistics:
    """A quantity over seeds, in the quantity's own unit.

    Attributes:
        mean: NaN without values, or if one of them is not finite.
        std: sample standard deviation (ddof = 1); NaN for fewer than two values.
        n: number of values.
        ci_low: lower end of the 95 % interval of the mean; NaN if ``std`` is.
        ci_high: its upper end.
    """

    mean: float
    std: float
    n: int
    ci_low: float
    ci_high: float


def statistics(values: Sequence[float], *, is_accuracy: bool = False) -> Statistics:
    """Summarise one value per seed, in any order.

    A value that is not finite makes every statistic NaN: without it, the statistics would
    describe fewer seeds than ``n``.

    Args:
        values: shape (n,).
        is_accuracy: whether the values are those of an accuracy, no differences. If all of them
            are from 0 to 1, the t interval is on the logit scale, so that it stays between 0
            and 1; accuracies in percent have the interval of any other quantity.
    """
    n = len(values)
    if n == 0 or not all(math.isfinite(value) for value in values):
        return Statistics(math.nan, math.nan, n, math.nan, math.nan)
    mean = mean_of(values)
    if n == 1:
        return Statistics(mean, math.nan, n, math.nan, math.nan)
    from scipy.special import stdtrit  # slow to import, and most commands do without it

    std = stdev(values)
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * std / math.sqrt(n)
    is_fraction = is_accuracy and all(0 <= value <= 1 for value in values)
    low, high = _of_fraction(mean, half) if is_fraction else (mean - half, mean + half)
    return Statistics(mean, std, n, low, high)


def _of_fraction(mean: float, half: float) -> tuple[float, float]:
    """Return the interval of a mean from 0 to 1 whose interval on its own scale is mean ± half.

    By the delta method, the half-width on the logit scale is that on the mean's scale times the
    slope of the logit. It has none at 0 and 1: there the values are all the same, but for
    rounding errors, and the interval is the mean alone.
    """
    if mean in (0.0, 1.0):
        return max(mean - half, 0.0), min(mean + half, 1.0)
    factor = math.exp(half / (mean * (1 - mean)))  # on the odds
    # Monotone in the factor even where rounded, so that low <= mean <= high.
    return mean / (mean + (1 - mean) * factor), mean / (mean + (1 - mean) / factor)
