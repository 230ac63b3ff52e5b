"""What a sweep's trials came to, as far as it decides which trials the sweep asks for."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from orchestrator.columns import FINISHED, Status
from orchestrator.errors import ShowError
from orchestrator.spec.grid import cells, factors_of_cells
from orchestrator.spec.model import Sweep
from orchestrator.spec.searched import grid_of

if TYPE_CHECKING:
    from orchestrator.results.results import Results


@dataclass
class Observed:
    """What trials came to.

    Attributes:
        outcomes: the selection metric of each trial that has ended, by id; None if it failed.
        measured: what claims are about, if they are to be decided: for each value, layers and
            epoch the values by trial id.
        diverged: ids of the trials that diverged, if claims are to be decided.
    """

    outcomes: dict[str, float | None] = field(default_factory=dict)
    measured: dict[tuple[str, str, int | None], dict[str, float]] = field(default_factory=dict)
    diverged: set[str] = field(default_factory=set)

    def add(self, other: Observed) -> None:
        """Add what other trials came to."""
        self.outcomes |= other.outcomes
        self.diverged |= other.diverged
        for key, values in other.measured.items():
            self.measured.setdefault(key, {}).update(values)

    def measure(self, name: str, layers: str, epoch: int | None) -> Mapping[str, float]:
        """Look up a value of the claims by trial id; see `Results.measure`."""
        return self.measured.get((name, layers, epoch), {})


def grows(sweep: Sweep) -> bool:
    """Tell whether results may ask for trials that the file alone does not name."""
    if sweep.race is not None:
        return True
    if sweep.smoke or not (sweep.confirm or any(variant.confirm for variant in sweep.variants)):
        return False
    return any(grid_of(sweep, factors).confirm for factors in factors_of_cells(sweep))


def is_followed(sweep: Sweep) -> bool:
    """Tell whether what trials come to matters while the sweep runs, beside its progress."""
    return grows(sweep) or sweep.artifacts == "winners"


def observe(results: Results, trial_ids: Collection[str] | None = None) -> Observed:
    """Look up what trials came to that have ended, as far as it matters while the sweep runs.

    A value that the store lacks decides nothing: tables and claims say so when they are shown.

    Args:
        results: the results of the sweep.
        trial_ids: the trials; by default all.
    """
    if not is_followed(results.sweep):
        return Observed()
    trial_ids = results.snapshot.outcomes.keys() if trial_ids is None else trial_ids
    return came_to(results, trial_ids, deciding_seeds(results.sweep))


def deciding_seeds(sweep: Sweep) -> frozenset[int]:
    """List the seeds on which claims are decided; it expands the grid."""
    if sweep.decide is None:
        return frozenset()
    return frozenset(seed for cell in cells(sweep) for seed in cell.confirming)


def came_to(results: Results, trial_ids: Collection[str], deciding: Collection[int]) -> Observed:
    """Look up what trials came to, as `observe`, without an expansion of the grid.

    Args:
        results: the results of a sweep that is followed.
        trial_ids: the trials.
        deciding: the sweep's `deciding_seeds`.
    """
    sweep, snapshot = results.sweep, results.snapshot
    values, ends = snapshot.selecting(trial_ids, sweep.select), snapshot.outcomes
    observed = Observed(values)
    for trial_id, value in values.items():
        if value is None and ends[trial_id].status in FINISHED:
            observed.outcomes[trial_id] = math.nan  # it has none that is finite, and did not fail
    confirmed = snapshot.with_seeds(values, deciding) if deciding else ()
    if not confirmed:
        return observed
    observed.diverged = {i for i in confirmed if ends[i].status == Status.DIVERGED}
    for claim in sweep.claims:
        for name in claim.measured:
            try:
                measured = results.measure(name, claim.layers, claim.epoch)
            except ShowError:
                continue
            observed.measured[name, claim.layers, claim.epoch] = {
                trial_id: measured[trial_id] for trial_id in confirmed if trial_id in measured
            }
    return observed
