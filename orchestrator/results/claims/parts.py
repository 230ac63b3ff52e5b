"""From a claim's numbers to its test: pure functions of arrays, also over many worlds at once."""

from __future__ import annotations

import math

import numpy as np

from orchestrator.results.claims.contrasts import (
    Array,
    Estimate,
    PValue,
    beyond,
    within,
)
from orchestrator.results.claims.pooling import Pool
from orchestrator.spec.claim import Claim


def parts(claim: Claim, numbers: Array) -> Array:
    """Average a claim's numbers over the matched cells, or keep each as a part of its own.

    Args:
        claim: the claim.
        numbers: shape (..., comparisons, matches, seeds).

    Returns:
        Shape (..., parts, seeds).
    """
    if claim.over == "mean":
        return np.asarray(numbers.mean(axis=-2))
    *worlds, comparisons, matches, seeds = numbers.shape
    return numbers.reshape(*worlds, comparisons * matches, seeds)


def pooled(values: Array, noise: float, spread: Pool) -> Estimate:
    """Estimate the mean of each part with a spread that is pooled over cells.

    Args:
        values: shape (..., parts, seeds).
        noise: the standard deviation of one of them, in that of a single value.
        spread: of single values around their cells' means.
    """
    effect = values.mean(axis=-1)
    error = noise * spread.spread / math.sqrt(values.shape[-1])
    return Estimate(effect, np.full_like(effect, error), np.full_like(effect, spread.df))


def tested_parts(claim: Claim, estimate: Estimate, sign: int) -> PValue:
    """Test each part of a claim, before correction.

    Args:
        claim: the claim.
        estimate: the means, shape (..., parts).
        sign: that of the effect which the claim expects.
    """
    if claim.expect == "close":
        return within(estimate, claim.margin or 0.0)
    return beyond(estimate, sign, in_scale(claim, claim.margin or 0.0))


def in_scale(claim: Claim, effect: float) -> float:
    """Convert an effect to the scale of the test: Fisher's z of a correlation."""
    return math.atanh(effect) if claim.relate is not None else effect


def in_unit(claim: Claim, number: float) -> float:
    """Convert a number of the test's scale to the effect's unit."""
    return math.tanh(number) if claim.relate is not None else number
