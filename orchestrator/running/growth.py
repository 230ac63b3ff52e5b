"""The trials that a run's results ask for beyond those that it started with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from orchestrator.results.observed import Observed
from orchestrator.results.selection import CellSelection
from orchestrator.results.wanted import confirm_seeds, members, standing
from orchestrator.spec.grid import PlannedTrial, cells
from orchestrator.spec.model import Sweep

if TYPE_CHECKING:  # it imports scipy.stats
    from orchestrator.results.claims.family import Member


class Growth:
    """Looks, after each trial, what race, confirm and decide ask for now.

    Args:
        sweep: the sweep.
        asked: the trials that the run has to see to already.
        observed: what the trials that are done came to.
        observe: tells what a trial came to that has just been committed.
        looked: called with the claims each time that their confirm seeds have been looked at.
    """

    def __init__(
        self,
        sweep: Sweep,
        asked: Iterable[PlannedTrial],
        observed: Observed,
        observe: Callable[[str], Observed],
        looked: Callable[[Sequence[Member]], object],
    ) -> None:
        self._sweep, self._observe, self._looked = sweep, observe, looked
        self._observed = Observed()
        self._observed.add(observed)
        self._known = {trial.trial_id for trial in asked} | observed.outcomes.keys()
        self._cells = {cell.cell_id: cell for cell in cells(sweep)}
        self._standings = {
            cell_id: standing(cell, sweep, observed.outcomes)
            for cell_id, cell in self._cells.items()
        }
        self._members: Sequence[Member] = ()
        self._look()

    def after(self, trial: PlannedTrial, *, failed: bool) -> list[PlannedTrial]:
        """List the trials that are asked for once a trial has ended, each once."""
        came_to = Observed({trial.trial_id: None}) if failed else self._observe(trial.trial_id)
        self._observed.add(came_to)
        cell_id = trial.config.cell_id
        now = standing(self._cells[cell_id], self._sweep, self._observed.outcomes)
        self._standings[cell_id] = now
        confirm = len(now.cell.confirm)
        asked = [*now.selecting, *now.confirming(confirm)]
        if now.selection.final:
            self._look()
            asked += self._deciding()
        return self._new(asked)

    def ahead(self) -> PlannedTrial | None:
        """Find the next confirm seed that a claim without a verdict may ask for later, if any.

        It serves where slots would idle: of all seeds that may be asked for, the first.
        """
        open_cells = {
            selection.cell.cell_id
            for member in self._members
            if member.waits and not any(map(self._is_stuck, member.reduced.about.cells))
            for selection in member.reduced.about.cells
        }
        following = [
            (trial.seed, trial)
            for cell_id in open_cells
            for trial in self._standings[cell_id].confirming(self._at_most)
            if trial.trial_id not in self._known
        ]
        if not following:
            return None
        _, first = min(following, key=lambda pair: pair[0])
        self._known.add(first.trial_id)
        return first

    def is_further(self, trial: PlannedTrial) -> bool:
        """Tell whether a trial is beyond those that the sweep asks for in any case."""
        return trial.seed in self._cells[trial.config.cell_id].deciding

    def _is_stuck(self, selection: CellSelection) -> bool:
        """Tell whether the next confirm seed of a cell has failed."""
        seeds, best = selection.cell.confirming[len(selection.confirmed) :], selection.best
        if best is None or not seeds:
            return False
        return self._observed.outcomes.get(best.config.trial_id(seeds[0]), 0.0) is None

    @property
    def _at_most(self) -> int:
        return self._sweep.decide.at_most if self._sweep.decide else 0

    def _look(self) -> None:
        """Judge the claims on the confirm seeds that are in."""
        if any(cell.confirm for cell in self._cells.values()):
            self._members = members(self._sweep, list(self._standings.values()), self._observed)
            self._looked(self._members)

    def _deciding(self) -> Iterator[PlannedTrial]:
        """List the confirm seeds of all cells that claims have asked for."""
        standings = list(self._standings.values())
        claims = self._members if self._sweep.decide else ()
        for each, count in zip(standings, confirm_seeds(standings, claims), strict=True):
            yield from each.confirming(count)

    def _new(self, asked: Iterable[PlannedTrial]) -> list[PlannedTrial]:
        new = {t.trial_id: t for t in asked if t.trial_id not in self._known}
        self._known |= new.keys()
        return list(new.values())
