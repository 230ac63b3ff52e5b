"""Which trials an audit runs again, and how many altered ones its sample would have caught."""

from __future__ import annotations

import secrets
from bisect import bisect_left
from collections.abc import Collection

import numpy as np
from scipy.stats import hypergeom

LEVEL = 0.95
"""The probability with which what a certificate states would have been caught."""


def entropy() -> int:
    """Draw a seed from the auditor's machine, which whoever published the trials cannot know."""
    return secrets.randbits(48)  # short enough for JSON, and to be typed


def drawn(trial_ids: Collection[str], size: int, seed: int) -> list[str]:
    """Draw trials at random, without repetition; the same seed draws the same.

    Args:
        trial_ids: of all that could be drawn.
        size: how many to draw; all of them if there are no more.
        seed: of the draw.
    """
    among = sorted(trial_ids)
    generator = np.random.default_rng(seed)
    return [among[i] for i in generator.permutation(len(among))[:size].tolist()]


def caught(population: int, altered: int, size: int) -> float:
    """Return the probability that a sample holds at least one altered trial (hypergeometric).

    Args:
        population: number of trials.
        altered: how many of them are altered.
        size: how many trials of the sample are compared.
    """
    return float(hypergeom.sf(0, population, altered, size))


def fewest_caught(population: int, size: int) -> int | None:
    """Return how many trials must be altered for a sample to hold one with 95 % probability.

    Args:
        population: number of trials.
        size: how many trials of the sample are compared; none catches nothing.
    """
    counts = range(1, population + 1)
    first = bisect_left(counts, LEVEL, key=lambda count: caught(population, count, size))
    return counts[first] if first < population else None
