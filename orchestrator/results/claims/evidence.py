"""From a claim and what its trials came to, to the numbers that are judged: pure functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from orchestrator.results.claims.boundary import Looks
from orchestrator.results.claims.contrasts import Array
from orchestrator.results.claims.matching import Matched, matched, numbers, values_of
from orchestrator.results.claims.parts import in_scale, parts
from orchestrator.results.claims.pooling import Pool, pool
from orchestrator.results.claims.sequential import Evidence
from orchestrator.results.selection import CellSelection
from orchestrator.spec.claim import Claim
from orchestrator.spec.direction import is_cost
from orchestrator.spec.model import Sweep

Measure = Callable[[str, str, int | None], Mapping[str, float]]
"""Looks up a metric or ``probe:NAME``, of some layers, at an epoch: values by trial id."""


@dataclass(frozen=True)
class Reduced:
    """A claim, reduced to numbers per seed.

    Attributes:
        about: the claim's cells.
        seeds: the seeds that count, in their order.
        values: a number per part and seed, shape (parts, seeds).
        looks: the numbers of seeds at which it is judged.
        singles: the values of single cells (of correlations: their Fisher z), whose spread is
            pooled, one array over seeds each.
        sign: that of the effect which the claim expects.
        scales: for each number of seeds from 1, size of the numbers that the claim compares, for
            rounding errors.
        is_watched: whether it is judged seed by seed, as `decide` has it.
    """

    about: Matched
    seeds: tuple[int, ...]
    values: Array
    looks: Looks
    singles: tuple[Array, ...]
    sign: int
    scales: Array
    is_watched: bool

    @property
    def claim(self) -> Claim:
        """The claim."""
        return self.about.claim

    @property
    def waits(self) -> bool:
        """Whether there is a look to come: seeds are lacking, and none so far has no number."""
        cells = self.about.cells
        has_configs = bool(cells) and not any(cell.final and cell.best is None for cell in cells)
        lacks = len(self.seeds) < self.looks.last
        return has_configs and lacks and bool(np.isfinite(self.values).all())

    def is_early(self, seeds: int) -> bool:
        """Whether so many seeds come before the first look at confirm seeds."""
        return not self.about.exploratory and seeds < self.looks.first

    def scale(self, seeds: int) -> float:
        """The size of the numbers of the first seeds."""
        return float(self.scales[seeds - 1]) if seeds else 0.0

    @property
    def noise(self) -> float:
        """The standard deviation of one seed's number, in that of the pooled values."""
        weights = np.ones(1) if self.claim.relate is not None else self.about.weights[0]
        averaged = max(1, len(self.about.groups)) if self.claim.over == "mean" else 1
        return math.sqrt(float(weights @ weights) / averaged)

    def spread(self, seeds: int | None = None) -> Pool | None:
        """Pool the spread of single values over cells, at most of the first seeds of each."""
        return pool([values[:seeds] for values in self.singles])

    @cached_property
    def evidence(self) -> Evidence:
        """What speaks for or against it, as one world."""
        claim = self.claim
        is_close = claim.expect == "close"
        paired = Evidence(
            values=self.values[np.newaxis],
            looks=self.looks,
            sign=self.sign,
            bound=0.0 if is_close else in_scale(claim, claim.margin or 0.0),
            margin=claim.margin if is_close else None,
            smallest=None if claim.smallest is None else in_scale(claim, claim.smallest),
            scale=self.scales[self.looks.first - 1 : self.looks.last],
        )
        return replace(paired, pooled=self._pooled(paired.seen)) if self._is_pooled else paired

    @property
    def _is_pooled(self) -> bool:
        return self.claim.test == "pooled"

    def _pooled(self, seen: Sequence[int]) -> tuple[Array, Array]:
        """Compute the standard errors and degrees of freedom at each look, shape (looks,)."""
        spreads = [self.spread(n if self.is_watched else None) for n in seen]
        spread = np.array([math.nan if s is None else s.spread for s in spreads])
        df = np.array([1 if s is None else s.df for s in spreads])
        return self.noise * spread / np.sqrt(np.array(seen)), df


def reduced(
    claim: Claim,
    sweep: Sweep,
    selections: Sequence[CellSelection],
    measure: Measure,
    diverged: Collection[str],
) -> Reduced:
    """Reduce a claim to numbers per seed.

    Args:
        claim: the claim.
        sweep: the sweep.
        selections: of its cells.
        measure: looks up the values of trials.
        diverged: ids of the trials that diverged. On confirm seeds they have no number, whatever
            they have measured before.
    """
    about = matched(claim, sweep, selections)
    without = frozenset(() if about.exploratory else diverged)
    measured = [
        _without(measure(name, claim.layers, claim.epoch), without) for name in claim.measured
    ]
    seeds = _seeds(about, sweep, selections)
    in_matches = numbers(about, measured, seeds)
    if claim.relate is not None:
        singles = [*in_matches[0]]
    else:
        own = {cell.cell.cell_id for cell in about.cells if sweep.decide}
        seen = [seeds if cell.cell.cell_id in own else _beside(about, cell) for cell in selections]
        singles = [
            np.array(values_of(cell, measured[0], of_cell))
            for cell, of_cell in zip(selections, seen, strict=True)
        ]
    of_cells = [np.array(values_of(cell, measured[0], seeds)) for cell in about.cells]
    compared = singles if claim.relate is not None else of_cells
    sizes = np.zeros(len(seeds))
    for values in compared:
        sizes = np.maximum(sizes, np.where(np.isfinite(values), np.abs(values), 0.0))
    return Reduced(
        about=about,
        seeds=tuple(seeds),
        values=parts(claim, in_matches),
        looks=_looks(about, sweep, len(seeds)),
        singles=tuple(singles),
        sign=_sign(claim, sweep),
        scales=np.maximum.accumulate(sizes),
        is_watched=sweep.decide is not None and not about.exploratory,
    )


def _beside(about: Matched, cell: CellSelection) -> Sequence[int]:
    """List the seeds of another cell that tell of the spread: not those that selected."""
    return cell.reported if about.exploratory or cell.cell.confirm else ()


def _without(values: Mapping[str, float], trial_ids: Collection[str]) -> Mapping[str, float]:
    if not trial_ids:
        return values
    return {trial_id: value for trial_id, value in values.items() if trial_id not in trial_ids}


def _seeds(about: Matched, sweep: Sweep, selections: Sequence[CellSelection]) -> Sequence[int]:
    """List the seeds of a claim that count; to decide, those before the first that a cell lacks.

    No confirm seed counts while another config may be selected. A pooled spread is that of all
    cells: it waits for the confirm seeds of the others, too.
    """
    if about.exploratory:
        return about.seeds
    if about.open_cells or not about.cells:
        return ()
    short = [len(cell.reported) for cell in pooled_with(about, selections) if not cell.complete]
    if sweep.decide is None:
        return () if short else about.seeds
    most = min([len(cell.confirmed) for cell in about.cells] + short)
    return about.cells[0].cell.confirming[:most]


def pooled_with(about: Matched, selections: Sequence[CellSelection]) -> list[CellSelection]:
    """List the other cells whose spread a claim takes, as far as they can have one."""
    if about.claim.test != "pooled":
        return []
    own = {cell.cell.cell_id for cell in about.cells}
    with_seeds = [cell for cell in selections if cell.cell.confirm and cell.cell.cell_id not in own]
    return [cell for cell in with_seeds if not (cell.final and cell.best is None)]


def _looks(about: Matched, sweep: Sweep, seeds: int) -> Looks:
    """Tell when a claim is judged.

    With confirm seeds there is one look when all are in, or one after each; without, one now.
    """
    least = 1 if about.claim.test == "pooled" else 2
    if about.exploratory or not about.cells:
        return Looks(max(least, seeds), max(least, seeds))
    if sweep.decide is not None:
        return Looks(2, sweep.decide.at_most)
    planned = len(set.intersection(*(set(cell.cell.confirm) for cell in about.cells)))
    return Looks(max(least, planned), max(least, planned))


def _sign(claim: Claim, sweep: Sweep) -> int:
    """Return the sign of the effect that the claim expects."""
    if claim.expect != "best":
        return 1 if claim.expect in {"greater", "increasing"} else -1
    (name,) = claim.measured
    if name == sweep.select.metric:
        return 1 if sweep.select.mode == "max" else -1
    return -1 if is_cost(name) else 1
