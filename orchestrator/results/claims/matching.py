"""Reduces a claim and the selected configs to one number per seed: pure functions.

The seeds are an argument: the same reduction serves any seeds that the selected configs ran.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from orchestrator.labels import label, named_label
from orchestrator.results.claims.contrasts import Array, fisher_z, slope_weights
from orchestrator.results.selection import CellSelection
from orchestrator.results.statistics import TOO_LARGE
from orchestrator.spec.claim import Claim, match
from orchestrator.spec.grid import varied
from orchestrator.spec.model import Sweep

Measured = Mapping[str, float]
"""Values by trial id."""


@dataclass(frozen=True)
class Matched:
    """The cells that a claim is about.

    Attributes:
        claim: the claim.
        groups: the selections of the matched cells, shape (matches, positions of the claim).
    """

    claim: Claim
    groups: tuple[tuple[CellSelection, ...], ...]

    @cached_property
    def cells(self) -> tuple[CellSelection, ...]:
        """All of them."""
        return tuple(cell for group in self.groups for cell in group)

    @property
    def seeds(self) -> list[int]:
        """The reported seeds that all cells have."""
        of_cells = [set(cell.reported) for cell in self.cells]
        return sorted(set.intersection(*of_cells) if of_cells else ())

    @property
    def open_cells(self) -> int:
        """In how many cells a trial is to come that may change the selection."""
        return sum(not cell.final for cell in self.cells)

    @property
    def exploratory(self) -> bool:
        """Whether some of the numbers are of the seeds that also selected."""
        return not all(cell.cell.confirm for cell in self.cells)

    @property
    def flattered(self) -> bool:
        """Whether the seeds that are reported also chose among several configs."""
        return any(not cell.cell.confirm and len(cell.cell.configs) > 1 for cell in self.cells)

    @property
    def searched(self) -> tuple[int, ...] | None:
        """How many configs each side had, if that is not the same; None if it is."""
        for group in self.groups:
            counts = tuple(len(cell.cell.configs) for cell in group)
            if self.claim.relate is None and len(set(counts)) > 1:
                return counts
        return None

    @cached_property
    def weights(self) -> Array:
        """What each position counts in each comparison, shape (comparisons, positions)."""
        count = len(self.groups[0]) if self.groups else 2
        if self.claim.expect in {"increasing", "decreasing"}:
            return slope_weights(count)[np.newaxis]
        if self.claim.expect == "best":
            return np.hstack([np.ones((count - 1, 1)), -np.eye(count - 1)])
        return np.array([[1.0, -1.0, -1.0, 1.0] if self.claim.between else [1.0, -1.0]])

    def part(self, index: int) -> str:
        """Name a part of the claim: the value that it compares with, and the cell."""
        words = []
        comparison = index
        if self.claim.over == "each":
            comparison, place = divmod(index, len(self.groups))
            firsts = [group[0].cell for group in self.groups]
            names = [name for name in varied(firsts) if name not in self.claim.factors]
            cell = [named_label(name, firsts[place].factors[name]) for name in names]
            words = [f"in {', '.join(cell)}"] if cell else []
        if self.claim.expect == "best":
            other = self.groups[0][comparison + 1].cell.factors
            words.insert(0, f"against {label(other[self.claim.factors[0]])}")
        return " ".join(words)


def matched(claim: Claim, sweep: Sweep, selections: Sequence[CellSelection]) -> Matched:
    """Match the cells that a claim is about on the factors that it does not compare."""
    matches = match(claim, sweep, [selection.cell.factors for selection in selections])
    return Matched(claim, tuple(tuple(selections[i] for i in indices) for indices in matches))


def numbers(about: Matched, measured: Sequence[Measured], seeds: Sequence[int]) -> Array:
    """Reduce a claim to one number per seed, in each comparison that it makes and each match.

    A number is a difference (of differences), a slope per step of the list, or Fisher's z of a
    correlation; ``best`` makes one comparison with each other value, all others make one.

    Args:
        about: the claim's cells.
        measured: the values that the claim is about, one mapping each.
        seeds: the seeds, in their order.

    Returns:
        Shape (comparisons, matches, seeds), NaN where a trial lacks a value; (1, 1, 0) without
        cells or seeds.
    """
    positions = len(about.groups[0]) if about.groups else 0
    shape = (len(measured), len(about.groups), positions, len(seeds))
    found = [[values_of(cell, values, seeds) for cell in about.cells] for values in measured]
    arrays = np.array(found, dtype=float).reshape(shape)
    if not arrays.size:
        return np.empty((1, 1, 0))
    if about.claim.relate is not None:
        return fisher_z(arrays[0], arrays[1])[np.newaxis]
    return np.asarray(np.einsum("cp,gps->cgs", about.weights, arrays[0]))


def values_of(cell: CellSelection, measured: Measured, seeds: Sequence[int]) -> list[float]:
    """Return the values of a cell's selected config; NaN where a trial has none to test with."""
    if cell.best is None:
        return [math.nan for _ in seeds]
    config = cell.best.config
    found = (measured.get(config.trial_id(seed), math.nan) for seed in seeds)
    return [value if abs(value) < TOO_LARGE else math.nan for value in found]
