"""Tests single claims on the selected configs, before the correction over the file."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from orchestrator.results.claims.contrasts import (
    ALPHA,
    NO_SPREAD,
    Array,
    Estimate,
    PValue,
    all_of,
    decisive,
    paired,
    sign_test,
)
from orchestrator.results.claims.evidence import Reduced
from orchestrator.results.claims.parts import in_scale, in_unit, pooled, tested_parts
from orchestrator.results.claims.planning import (
    seeds_by_interval,
    seeds_to_equate,
    seeds_to_find,
)
from orchestrator.results.claims.pooling import Pool
from orchestrator.results.statistics import MOST_SEEDS, Seeds
from orchestrator.spec.claim import Claim


@dataclass(frozen=True)
class Contrast:
    """An effect over seeds.

    Attributes:
        effect: mean; NaN without values, or if one of them is not finite.
        std: standard deviation of one seed's number (of a correlation: of Fisher's z); NaN if
            it is unknown.
        low: lower end of the 95 % t interval, with `decide` of the sequential one; NaN without a
            test.
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
        reduced: the claim.
        values: a number per part and seed of those that are tested, shape (parts, seeds).
        estimate: their means, shape (parts,).
        spread: of single values, pooled over cells; None if it is unknown.
        part: the part that decides.
        tested: the test of the whole claim; None if no test is possible.
    """

    reduced: Reduced
    values: Array
    estimate: Estimate
    spread: Pool | None
    part: int
    tested: PValue | None

    @property
    def claim(self) -> Claim:
        """The claim."""
        return self.reduced.claim

    @property
    def p(self) -> float | None:
        """The two-sided p-value; None if no test is possible."""
        return None if self.tested is None else float(self.tested.p)

    @property
    def contrast(self) -> Contrast:
        """The effect of the part that decides, in the unit that the trainable yields."""
        claim, n = self.claim, self.values.shape[-1]
        if not n:
            return Contrast(math.nan, math.nan, math.nan, math.nan, 0, None)
        effect, error = self.estimate.effect[self.part], self.estimate.error[self.part]
        low, high = self._interval()
        of_zero = claim.margin is None and claim.test == "paired" and self.tested is not None
        one_look = not self.reduced.is_watched
        values, scale = self.values[self.part], self.reduced.scale(n)
        return Contrast(
            in_unit(claim, float(effect)),
            float(error) * math.sqrt(n),
            in_unit(claim, low),
            in_unit(claim, high),
            n,
            sign_test(values, scale) if of_zero and one_look else None,
        )

    def _interval(self) -> tuple[float, float]:
        if self.tested is None:
            return math.nan, math.nan
        if not self.reduced.is_watched:
            low, high = self.estimate.interval()
            return float(low[self.part]), float(high[self.part])
        low, high = self.reduced.evidence.intervals(ALPHA)
        at = (0, self.part, self.values.shape[-1] - self.reduced.looks.first)
        return float(low[at]), float(high[at])

    def seeds_to_decide(self, alpha: float) -> Seeds | None:
        """Compute how many seeds would decide the claim; see `Finding`.

        Args:
            alpha: the level at which it would have to be decided.
        """
        claim, n, sign = self.claim, self.values.shape[-1], self.reduced.sign
        if self.tested is None or math.isnan(float(self.estimate.error[self.part])):
            return None
        freedom = self.spread.df if claim.test == "pooled" and self.spread else None
        matters = claim.margin if claim.expect == "close" else claim.smallest
        if matters is None:
            bound = sign * in_scale(claim, claim.margin or 0.0)
            error = float(self.estimate.error[self.part])
            t = (float(self.estimate.effect[self.part]) - bound) / error
            df = int(self.estimate.df[self.part])
            level = alpha if self.tested.agrees else alpha / len(self.values)
            return seeds_by_interval(t, n, level, df, grows=claim.test == "paired")
        if self.spread is None:
            return None
        spread = self.spread.spread * self.reduced.noise
        plan = seeds_to_equate if claim.expect == "close" else seeds_to_find
        seeds = plan(in_scale(claim, matters), spread, alpha, freedom)
        return (MOST_SEEDS, None) if seeds is None else (seeds, seeds)


def judged(reduced: Reduced, seeds: int) -> Judged:
    """Test one claim on so many of its seeds; before its first look there is no test."""
    claim, sign, values = reduced.claim, reduced.sign, reduced.values[:, :seeds]
    spread = reduced.spread(seeds if reduced.is_watched else None)
    if not values.size:
        nothing = np.array([math.nan])
        return Judged(reduced, values, Estimate(nothing, nothing, nothing), spread, 0, None)
    estimate = paired(values)
    if claim.test == "pooled" and spread is not None:
        estimate = pooled(values, reduced.noise, spread)
    known = np.isfinite(estimate.error) & (estimate.error > NO_SPREAD * reduced.scale(seeds))
    is_unknown = not np.isfinite(values).all() or not known.any()
    if is_unknown or (claim.test == "pooled" and spread is None) or reduced.is_early(seeds):
        unclear = np.where(np.isnan(estimate.effect), -np.inf, sign * estimate.effect)
        return Judged(reduced, values, estimate, spread, int(unclear.argmin()), None)
    error = np.where(known, estimate.error, np.nan)
    estimate = Estimate(estimate.effect, error, estimate.df)
    tested = tested_parts(claim, estimate, sign)
    return Judged(reduced, values, estimate, spread, decisive(tested), all_of(tested))
