"""Fractions of a GPU, in Ray's steps of 1/10,000."""

from __future__ import annotations

import math


def fraction_for(trials: int) -> float:
    """Return the largest fraction at which a number of trials can share a GPU."""
    return math.floor(10_000 / max(trials, 1)) / 10_000


def trials_fitting(needed: int, total: int) -> int:
    """Count the trials that fit a GPU of so many bytes at `fraction_for` of them; at least 1."""
    return trials_sharing(-(-10_000 * needed // total) / 10_000)


def trials_sharing(gpus: float) -> int:
    """Count the trials that share one GPU at this ``resources.gpu``; 1 for whole GPUs."""
    return math.floor(1 / min(gpus, 1))


def larger_fraction(gpus: float) -> float:
    """Return the fraction at which half as many trials share a GPU: 0.25, 0.5, 1."""
    return fraction_for(trials_sharing(gpus) // 2)
