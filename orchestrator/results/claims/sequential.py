"""Verdicts that hold however often one looks: functions of arrays over worlds.

A claim reduces to one number per seed (a difference, a slope, a Fisher z), and after every seed
there is an interval for its mean: mean ± critical t · standard error, with the critical t of
`boundary`. All intervals of a claim hold at once with a probability of 1 - alpha (repeated
confidence intervals: Jennison & Turnbull, JRSS B 1989), so that everything which one reads off
them is valid together: that the effect is positive, negative, within a margin, or outside it. A
claim is judged by the first interval that says one of these; later ones do not unmake it.

All claims of a file are one family: Holm's method on boundaries (Maurer & Bretz, Statistics in
Biopharmaceutical Research 2013). While m claims are open, each is tested at alpha / m; when one is
decided, the others are tested at alpha / (m - 1), at looks that have been as well. By the closure
principle the probability of a verdict on any claim at the edge of its null stays below alpha, since
a boundary at a larger level is lower at every look. A claim that says which effect would matter has
two nulls, no effect and one that matters, of which a verdict rejects only one: it keeps its share
of the error. That effects beyond a null come with the right sign is proven for independent claims
and one look only (Shaffer, Annals of Statistics 1980).

A command has one world, the benchmark thousands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

from orchestrator.results.claims.boundary import Looks, critical, rarity, spent
from orchestrator.results.claims.contrasts import ALPHA, NO_SPREAD, Array

Outcomes = npt.NDArray[np.int8]
Flags = npt.NDArray[np.bool_]

UNDECIDED, SUPPORTED, REFUTED, NEGLIGIBLE = 0, 1, -1, 2
"""Outcomes of a look, in order of precedence but for the first."""


@dataclass(frozen=True)
class Evidence:
    """One claim, and the numbers that speak for or against it.

    Attributes:
        values: shape (worlds, parts, seeds), in the order of the seeds. Every part must show the
            claim, and one can refute it: the cells of ``each``, the comparisons of ``best``; a
            claim about a mean has one part. A number that is not finite ends the claim's looks.
        looks: when they are judged; seeds beyond the last look do not count.
        sign: of the effect that the claim expects, 1 or -1.
        bound: how far beyond zero the effect must lie, in the direction of ``sign``.
        margin: the claim expects an effect within ± this instead; None without.
        smallest: a smaller effect would not matter; None if each would.
        scale: size of the numbers whose differences the values are, for the rounding error; a
            number, or an array that broadcasts to (worlds, parts, looks).
        pooled: standard errors and their degrees of freedom from elsewhere, in place of those of
            the values; two arrays that broadcast to (worlds, parts, looks). None without.
    """

    values: Array
    looks: Looks
    sign: int = 1
    bound: float = 0.0
    margin: float | None = None
    smallest: float | None = None
    scale: float | Array = 1.0
    pooled: tuple[Array, Array] | None = None

    @property
    def seen(self) -> range:
        """The number of seeds of each look that the values reach."""
        return self.looks.seeds[: max(0, self.values.shape[-1] - self.looks.first + 1)]

    @cached_property
    def has_ended(self) -> Flags:
        """Whether no further seed can be looked at, shape (worlds,)."""
        is_last = self.seen.stop > self.looks.last
        return np.asarray(is_last | ~np.isfinite(self.values).all(axis=(1, 2)))

    @cached_property
    def moments(self) -> tuple[Array, Array]:
        """Mean and standard error at each look, shape (worlds, parts, looks); NaN without spread.

        Without spread means that no deviation exceeds the rounding error.
        """
        finite = np.isfinite(self.values).all(axis=1, keepdims=True)
        values = np.where(finite, self.values, np.nan)
        shape = (*values.shape[:-1], len(self.seen))
        mean, std = np.empty(shape), np.full(shape, np.nan)
        for look, n in enumerate(self.seen):
            mean[..., look] = values[..., :n].mean(axis=-1)
            if self.pooled is None:
                std[..., look] = values[..., :n].std(axis=-1, ddof=1)
        if self.pooled is not None:
            return mean, np.where(np.isnan(mean), np.nan, self.pooled[0])
        std[std <= NO_SPREAD * np.asarray(self.scale)] = np.nan
        return mean, std / np.sqrt(self.seen)

    @property
    def df(self) -> Array:
        """The degrees of freedom of the standard errors at each look."""
        return np.array(self.seen) - 1 if self.pooled is None else self.pooled[1]

    def critical(self, alpha: float) -> Array:
        """Compute the t that decides at each look; of pooled errors, as rare as of the others.

        A pooled error has more degrees of freedom, so that its t is rarely large: what is rare for
        a t of as many seeds, by the boundary, is a smaller t of those degrees.
        """
        found = critical(self.looks, alpha)[: len(self.seen)]
        if self.pooled is None:
            return found
        return np.asarray(-stdtrit(self.df, rarity(self.looks, alpha)[: len(self.seen)] / 2))

    def intervals(self, alpha: float) -> tuple[Array, Array]:
        """Compute the ends of the sequential intervals, shape (worlds, parts, looks).

        They hold at all looks at once with a probability of 1 - alpha, for each part.
        """
        mean, error = self.moments
        half = self.critical(alpha) * error
        return mean - half, mean + half

    def outcomes(self, alpha: float) -> Outcomes:
        """Judge at each look: by the first that decides, shape (worlds, looks).

        That every part shows the claim is tested at alpha each (an intersection-union test). What
        a single part may say against it is tested at alpha divided by their number, and so is
        that all are negligible, since that may be false of a part where support is not.
        """
        strict = self.intervals(alpha / self.values.shape[1])
        supported = _all(self._shows(*self.intervals(alpha)))
        refuted = self._contradicts(*strict).any(axis=1)
        negligible = np.zeros_like(supported)
        if self.smallest is not None:
            negligible = _all(_within(*strict, self.smallest))
        which = [supported, refuted, negligible]
        found = np.select(which, [SUPPORTED, REFUTED, NEGLIGIBLE], UNDECIDED).astype(np.int8)
        for look in range(1, len(self.seen)):
            before = found[:, look - 1]
            found[:, look] = np.where(before, before, found[:, look])
        return found

    def _shows(self, low: Array, high: Array) -> Flags:
        if self.margin is not None:
            return _within(low, high, self.margin)
        return low > self.bound if self.sign > 0 else high < -self.bound

    def _contradicts(self, low: Array, high: Array) -> Flags:
        if self.margin is not None:
            return (low > self.margin) | (high < -self.margin)
        return high < self.bound if self.sign > 0 else low > -self.bound


def _within(low: Array, high: Array, margin: float) -> Flags:
    return (low > -margin) & (high < margin)


def _all(shown: Flags) -> Flags:
    """Tell for each look whether every part has shown something by then."""
    return np.asarray(np.logical_or.accumulate(shown, axis=-1).all(axis=1))


@dataclass(frozen=True)
class Decisions:
    """How a family of claims is decided; all arrays have the shape (worlds, claims).

    Attributes:
        outcomes: `UNDECIDED`, `SUPPORTED`, `REFUTED` or `NEGLIGIBLE`.
        seeds: number of its seeds when a claim was decided; 0 if it is not.
        shares: the error at which it was decided, or is tested now, is alpha divided by this.
    """

    outcomes: Outcomes
    seeds: npt.NDArray[np.int64]
    shares: npt.NDArray[np.int64]


def decide(claims: Sequence[Evidence], alpha: float = ALPHA) -> Decisions:
    """Judge claims as one family.

    The number of a seed is the family's clock: seed k of every claim comes before seed k + 1 of
    any. A claim that gets no more seeds stays as its last look left it; one whose seeds are to come
    is not tested at a level that a later verdict gives it, so that it does not matter which claim's
    seeds are in first.

    Args:
        claims: at least one, with the same number of worlds.
        alpha: probability of any false verdict, at most.
    """
    shape = (len(claims[0].values), len(claims))
    outcomes, seeds = np.zeros(shape, np.int8), np.zeros(shape, np.int64)
    shares = np.full(shape, len(claims))
    keeps = np.array([claim.smallest is not None for claim in claims])
    by_level: dict[tuple[int, int], Outcomes] = {}
    ends = [claim.seen.stop for claim in claims]
    for n in range(min(claim.looks.first for claim in claims), max(ends)):
        while True:
            news = np.zeros(shape, np.int8)
            for index, claim in enumerate(claims):
                seen = min(n, ends[index] - 1)
                look = seen - claim.looks.first
                undecided = outcomes[:, index] == UNDECIDED
                undecided &= claim.has_ended | (seen == n)
                for share in np.unique(shares[undecided, index]) if look >= 0 else ():
                    key = (index, int(share))
                    if key not in by_level:  # most levels are never needed
                        by_level[key] = claim.outcomes(alpha / share)
                    tested = undecided & (shares[:, index] == share)
                    news[tested, index] = by_level[key][tested, look]
                seeds[news[:, index] != UNDECIDED, index] = seen
            if not news.any():
                break
            outcomes += news
            still = outcomes == UNDECIDED
            shares = np.where(still, (still | keeps).sum(axis=1, keepdims=True), shares)
    return Decisions(outcomes, seeds, shares)


@dataclass(frozen=True)
class Look:
    """One look at one part of a claim, as it is shown.

    Attributes:
        seeds: their number.
        effect: mean over them; NaN once one is not finite.
        low: lower end of the sequential interval; NaN without spread.
        high: its upper end.
        p: two-sided p-value of the t test against zero, or what the effect is to lie beyond or
            within, of this look alone; NaN without spread.
        needed: ``p`` below this decides on which side of it the effect lies.
        spent: error spent up to this look.
    """

    seeds: int
    effect: float
    low: float
    high: float
    p: float
    needed: float
    spent: float


def path(claim: Evidence, alpha: float, part: int = 0) -> list[Look]:
    """List the looks at one part of a claim, of the first world.

    Args:
        claim: the claim.
        alpha: error at which it is tested.
        part: its index.
    """
    low, high = claim.intervals(alpha)
    mean, error = claim.moments
    looks = len(claim.seen)
    errors = np.broadcast_to(error, mean.shape)[0, part]
    effect = mean[0, part]
    distance = effect - claim.sign * claim.bound
    if claim.margin is not None:
        distance = claim.margin - np.abs(effect)
    t = np.abs(distance / errors)
    columns = (
        *(effect, low[0, part], high[0, part], 2 * stdtr(claim.df, -t)),
        *(of_looks(claim.looks, alpha)[:looks] for of_looks in (rarity, spent)),
    )
    return [Look(seeds, *map(float, row)) for seeds, *row in zip(claim.seen, *columns, strict=True)]
