"""Tests single claims on the selected configs, before the correction over the file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from orchestrator.results.claim_tests import (
    in_scale,
    in_unit,
    negligible,
    noise,
    parts,
    pooled,
    tested_parts,
)
from orchestrator.results.contrasts import (
    NO_SPREAD,
    Array,
    Estimate,
    Evidence,
    all_of,
    decisive,
    paired,
    sign_test,
)
from orchestrator.results.matching import Matched, Measured, matched, numbers, values_of
from orchestrator.results.planning import seeds_by_interval, seeds_to_equate, seeds_to_find
from orchestrator.results.pooling import Pool, pool
from orchestrator.results.statistics import MOST_SEEDS, Seeds
from orchestrator.spec.claim import Claim

if TYPE_CHECKING:
    from orchestrator.results.results import Results


@dataclass(frozen=True)
class Contrast:
    """An effect over seeds.

    Attributes:
        effect: mean; NaN without values, or if one of them is not finite.
        std: standard deviation of one seed's number (of a correlation: of Fisher's z); NaN if
            it is unknown.
        low: lower end of the 95 % t interval; NaN without a test.
        high: its upper end.
        n: number of seeds.
        p_sign: p-value of the exact sign test, zeros left out; None below 6 seeds, and for claims
            that are not about zero or not paired by seed.
    """

    effect: float
    std: float
    low: float
    high: float
    n: int
    p_sign: float | None


@dataclass(frozen=True)
class Judged:
    """A claim's test before correction.

    Attributes:
        about: the claim's cells.
        values: a number per part and seed, shape (parts, seeds).
        estimate: their means, shape (parts,).
        spread: of single values, pooled over cells; None if it is unknown.
        part: the part that decides.
        tested: the test of the whole claim; None if no test is possible.
        sign: that of the effect which the claim expects.
        scale: size of the numbers that the claim compares.
    """

    about: Matched
    values: Array
    estimate: Estimate
    spread: Pool | None
    part: int
    tested: Evidence | None
    sign: int
    scale: float

    @property
    def claim(self) -> Claim:
        """The claim."""
        return self.about.claim

    @property
    def p(self) -> float | None:
        """The two-sided p-value; None if no test is possible."""
        return None if self.tested is None else float(self.tested.p)

    @property
    def p_negligible(self) -> float:
        """The p-value that the effect is smaller than what matters; 1 without a test."""
        p = None if self.tested is None else negligible(self.claim, self.estimate)
        return 1.0 if p is None else float(p)

    @property
    def contrast(self) -> Contrast:
        """The effect of the part that decides, in the unit that the trainable yields."""
        claim, n = self.claim, self.values.shape[-1]
        if not n:
            return Contrast(math.nan, math.nan, math.nan, math.nan, 0, None)
        effect, error = self.estimate.effect[self.part], self.estimate.error[self.part]
        low, high = (float(end[self.part]) for end in self.estimate.interval())
        if self.tested is None:
            low = high = math.nan
        of_zero = claim.margin is None and claim.test == "paired" and self.tested is not None
        return Contrast(
            in_unit(claim, float(effect)),
            float(error) * math.sqrt(n),
            in_unit(claim, low),
            in_unit(claim, high),
            n,
            sign_test(self.values[self.part], self.scale) if of_zero else None,
        )

    def seeds_to_decide(self, alpha: float) -> Seeds | None:
        """Compute how many seeds would decide the claim; see `Finding`.

        Args:
            alpha: the level at which it would have to be decided.
        """
        claim, n = self.claim, self.values.shape[-1]
        if self.tested is None or math.isnan(float(self.estimate.error[self.part])):
            return None
        freedom = self.spread.df if claim.test == "pooled" and self.spread else None
        matters = claim.margin if claim.expect == "close" else claim.smallest
        if matters is None:
            bound = self.sign * in_scale(claim, claim.margin or 0.0)
            error = float(self.estimate.error[self.part])
            t = (float(self.estimate.effect[self.part]) - bound) / error
            df = int(self.estimate.df[self.part])
            level = alpha if self.tested.agrees else alpha / len(self.values)
            return seeds_by_interval(t, n, level, df, grows=claim.test == "paired")
        if self.spread is None:
            return None
        spread = self.spread.spread * _noise(self.about)
        plan = seeds_to_equate if claim.expect == "close" else seeds_to_find
        seeds = plan(in_scale(claim, matters), spread, alpha, freedom)
        return (MOST_SEEDS, None) if seeds is None else (seeds, seeds)


def judged(claim: Claim, results: Results) -> Judged:
    """Test one claim on the selected configs.

    Raises:
        ShowError: the store has no such metric, probe, layer or epoch.
    """
    about = matched(claim, results.sweep, results.selections)
    measured = [results.measure(name, claim.layers, claim.epoch) for name in claim.measured]
    in_matches = numbers(about, measured, about.seeds)
    values = parts(claim, in_matches)
    if claim.relate is not None:
        spread = pool(list(in_matches[0]))
    else:
        seen = [
            np.array(values_of(cell, measured[0], cell.reported)) for cell in results.selections
        ]
        spread = pool(seen)
    sign = _sign(claim, results)
    if not values.size:
        nothing = np.array([math.nan])
        return Judged(about, values, Estimate(nothing, nothing, nothing), spread, 0, None, sign, 0)
    estimate = paired(values)
    if claim.test == "pooled" and spread is not None:
        estimate = pooled(values, about.weights[0], _averaged(about), spread)
    scale = _scale(about, measured[0], values)
    known = np.isfinite(estimate.effect) & (estimate.error > NO_SPREAD * scale)
    if (claim.test == "pooled" and spread is None) or not known.any():
        unclear = np.where(np.isnan(estimate.effect), -np.inf, sign * estimate.effect)
        part = int(unclear.argmin())
        return Judged(about, values, estimate, spread, part, None, sign, scale)
    error = np.where(known, estimate.error, np.nan)
    estimate = Estimate(estimate.effect, error, estimate.df)
    tested = tested_parts(claim, estimate, sign)
    part = decisive(tested)
    return Judged(about, values, estimate, spread, part, all_of(tested), sign, scale)


def _averaged(about: Matched) -> int:
    """Return how many matches each number averages over."""
    return len(about.groups) if about.claim.over == "mean" else 1


def _noise(about: Matched) -> float:
    """Return the standard deviation of one seed's number, in that of the pooled values."""
    weights = np.ones(1) if about.claim.relate is not None else about.weights[0]
    return noise(weights, _averaged(about))


def _scale(about: Matched, measured: Measured, values: Array) -> float:
    """Return the size of the numbers whose differences the values are, for rounding errors."""
    if about.claim.relate is not None:
        return float(np.abs(values).max())
    found = [abs(v) for cell in about.cells for v in values_of(cell, measured, about.seeds)]
    return max(filter(math.isfinite, found), default=0.0)


def _sign(claim: Claim, results: Results) -> int:
    """Return the sign of the effect that the claim expects."""
    if claim.expect != "best":
        return 1 if claim.expect in {"greater", "increasing"} else -1
    (name,) = claim.measured
    if name == results.sweep.select.metric:
        return 1 if results.sweep.select.mode == "max" else -1
    return -1 if name.endswith(("loss", "error")) else 1
