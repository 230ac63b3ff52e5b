"""Differences of trials that need not be equal to the bit, beside the spread over seeds.

On another processor, or with other packages, sums are rounded otherwise, and after some steps of
training a trial is as good as one with another seed. So honest trials differ from their stored
values by at most what two seeds of one config differ by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from orchestrator.auditing.sampling import LEVEL

Array = npt.NDArray[np.float64]

_WORLDS = 4000
"""Simulated audits of honest trials."""


@dataclass(frozen=True)
class Spread:
    """What differences from stored values say together.

    Attributes:
        n: number of trials.
        mean: mean of their differences, in standard deviations over seeds.
        p: how often honest trials have a mean as far from 0.
        smallest: by how much, in the same unit, all trials must have been altered alike for the
            mean to be beyond 95 % of honest ones in 95 % of such audits.
    """

    n: int
    mean: float
    p: float
    smallest: float


def deviation(configs: Sequence[Array]) -> float:
    """Estimate the standard deviation over seeds in a cell.

    Args:
        configs: the values of each of its configs, shape (seeds,).

    Returns:
        It is pooled over the configs; NaN if none has two seeds.
    """
    several = [values for values in configs if len(values) > 1]
    squares = sum(float(((values - values.mean()) ** 2).sum()) for values in several)
    freedom = sum(len(values) - 1 for values in several)
    return float(np.sqrt(squares / freedom)) if freedom else float("nan")


def residuals(configs: Sequence[Array]) -> Array:
    """Return how far the seeds of a cell's configs are from the configs' means.

    Each is scaled as if its mean were known, so that the variance is that of a seed.
    """
    several = [values for values in configs if len(values) > 1]
    scaled = [(v - v.mean()) * np.sqrt(len(v) / (len(v) - 1)) for v in several]
    return np.concatenate([np.empty(0), *scaled])


def spread(differences: Array, honest: Array, seed: int) -> Spread:
    """Judge differences by simulated audits of honest trials.

    Args:
        differences: of each trial, from its stored value, in standard deviations over seeds.
        honest: residuals of all seeds, in the same unit.
        seed: of the simulation.
    """
    n = len(differences)
    generator = np.random.default_rng(seed)
    one, other = generator.choice(honest, (2, _WORLDS, n))
    means = (one - other).mean(axis=1)
    mean = float(differences.mean())
    beyond = np.count_nonzero(np.abs(means) >= abs(mean))
    smallest = np.quantile(np.abs(means), LEVEL) + np.quantile(means, LEVEL)
    return Spread(n, mean, (beyond + 1) / (_WORLDS + 1), float(smallest))
