"""Statistics over seeds: functions of one value per seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TypeAlias

LEVEL = 0.95
"""Coverage of every confidence interval."""

MOST_SEEDS = 1000
"""More seeds are not planned for."""

Seeds: TypeAlias = tuple[int, int | None]
"""From so many seeds to so many; None is more than 1,000."""


@dataclass(frozen=True)
class Statistics:
    """A quantity over seeds, in the quantity's own unit.

    Attributes:
        mean: NaN without values, or if one of them is not finite.
        std: sample standard deviation (ddof = 1); NaN for fewer than two values.
        n: number of values.
        ci_low: lower end of the 95 % t interval of the mean; NaN if ``std`` is.
        ci_high: its upper end.
    """

    mean: float
    std: float
    n: int
    ci_low: float
    ci_high: float


def statistics(values: Sequence[float]) -> Statistics:
    """Summarise one value per seed, shape (n,), in any order.

    A value that is not finite makes every statistic NaN: without it, the statistics would
    describe fewer seeds than ``n``.
    """
    n = len(values)
    if n == 0 or not all(math.isfinite(value) for value in values):
        return Statistics(math.nan, math.nan, n, math.nan, math.nan)
    mean = fmean(values)
    if n == 1:
        return Statistics(mean, math.nan, n, math.nan, math.nan)
    from scipy.special import stdtrit  # slow to import, and most commands do without it

    std = stdev(values)
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * std / math.sqrt(n)
    return Statistics(mean, std, n, mean - half, mean + half)
