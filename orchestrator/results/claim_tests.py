"""From a claim's numbers to its test: pure functions of arrays, also over many worlds at once."""

from __future__ import annotations

import math

import numpy as np

from orchestrator.results.contrasts import (
    Array,
    Estimate,
    Evidence,
    all_of,
    beyond,
    within,
)
from orchestrator.results.pooling import Pool
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


def pooled(values: Array, weights: Array, matches: int, spread: Pool) -> Estimate:
    """Estimate the mean of each part with a spread that is pooled over cells.

    Args:
        values: shape (..., parts, seeds).
        weights: what the cells of one match count, shape (positions,).
        matches: how many matches a part averages over.
        spread: of single values around their cells' means.
    """
    effect = values.mean(axis=-1)
    error = noise(weights, matches) * spread.spread / math.sqrt(values.shape[-1])
    return Estimate(effect, np.full_like(effect, error), np.full_like(effect, spread.df))


def noise(weights: Array, matches: int) -> float:
    """Return the standard deviation of one seed's number, in that of a single value.

    Args:
        weights: what the cells of one match count, shape (positions,).
        matches: how many matches the number averages over.
    """
    return math.sqrt(float(weights @ weights) / matches)


def tested_parts(claim: Claim, estimate: Estimate, sign: int) -> Evidence:
    """Test each part of a claim, before correction.

    Args:
        claim: the claim.
        estimate: the means, shape (..., parts).
        sign: that of the effect which the claim expects.
    """
    if claim.expect == "close":
        return within(estimate, claim.margin or 0.0)
    return beyond(estimate, sign, in_scale(claim, claim.margin or 0.0))


def negligible(claim: Claim, estimate: Estimate) -> Array | None:
    """Test whether an effect is smaller than the smallest that matters.

    Returns:
        The p-value, shape (...); 1 where a part's effect is larger. None if the claim does not
        say what matters.
    """
    if claim.smallest is None:
        return None
    tested = all_of(within(estimate, in_scale(claim, claim.smallest)))
    return np.where(tested.agrees, tested.p, 1.0)


def in_scale(claim: Claim, effect: float) -> float:
    """Convert an effect to the scale of the test: Fisher's z of a correlation."""
    return math.atanh(effect) if claim.relate is not None else effect


def in_unit(claim: Claim, number: float) -> float:
    """Convert a number of the test's scale to the effect's unit."""
    return math.tanh(number) if claim.relate is not None else number
