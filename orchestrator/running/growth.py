"""The trials that a run's results ask for beyond those that it started with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from orchestrator.results.observed import Observed
from orchestrator.results.race import Outcomes
from orchestrator.results.selection import CellSelection
from orchestrator.results.wanted import members, seeds_asked, standing
from orchestrator.spec.grid import PlannedTrial, cells
from orchestrator.spec.model import Sweep

if TYPE_CHECKING:  # it imports scipy.stats
    from orchestrator.results.claims.family import Member


class Growth:
    """Looks, after each trial, what race, confirm and decide ask for now.

    Args:
        sweep: the sweep.
        asked: the trials that the run has to see to already.
        in_all: how many it will have asked for.
        observed: what the trials that are done came to.
        observe: tells what a trial came to that has just been committed.
        looked: called with the claims each time that their confirm seeds have been looked at.
        stands: called with where a cell stands, and with what trials came to, after one of its own.

    Attributes:
        in_all: how many trials the run will have asked for, if no claim asks for more.
    """

    def __init__(
        self,
        sweep: Sweep,
        asked: Iterable[PlannedTrial],
        in_all: int,
        observed: Observed,
        observe: Callable[[str], Observed],
        looked: Callable[[Sequence[Member]], object],
        stands: Callable[[CellSelection, Outcomes], object],
    ) -> None:
        self.in_all = in_all
        self._sweep, self._observe, self._looked = sweep, observe, looked
        self._stands = stands
        self._observed = Observed()
        self._observed.add(observed)
        self._known = {trial.trial_id for trial in asked}
        self._done_before = frozenset(observed.outcomes)
        self._cells = {cell.cell_id: cell for cell in cells(sweep)}
        self._standings = {
            cell_id: standing(cell, sweep, observed.outcomes)
            for cell_id, cell in self._cells.items()
        }
        self._members: Sequence[Member] = ()
        self._following: list[PlannedTrial] | None = None
        self._look()

    def after(self, trial: PlannedTrial, *, failed: bool) -> list[PlannedTrial]:
        """List the trials that are asked for once a trial has ended, each once."""
        came_to = Observed({trial.trial_id: None}) if failed else self._observe(trial.trial_id)
        self._observed.add(came_to)
        self._following = None
        cell_id = trial.config.cell_id
        now = standing(self._cells[cell_id], self._sweep, self._observed.outcomes)
        if now.selection.ended_empty and not self._standings[cell_id].selection.ended_empty:
            self.in_all -= len(now.cell.confirm)
        self._standings[cell_id] = now
        self._stands(now.selection, self._observed.outcomes)
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
        if self._following is None:
            self._following = sorted(self._may_follow(), key=lambda trial: trial.seed, reverse=True)
        while self._following:
            trial = self._following.pop()
            if trial.trial_id not in self._known and not self.was_done(trial):
                self._note([trial])
                return trial
        return None

    def _may_follow(self) -> list[PlannedTrial]:
        """List the confirm seeds of claims that have no verdict, and may come to one."""
        open_cells = {
            selection.cell.cell_id
            for member in self._members
            if member.waits and not self._is_stuck(member)
            for selection in member.reduced.about.cells
        }
        return [
            trial
            for cell_id in open_cells
            for trial in self._standings[cell_id].confirming(self._at_most)
        ]

    def was_done(self, trial: PlannedTrial) -> bool:
        """Tell whether a trial was done before the run, perhaps for an earlier text of the file."""
        return trial.trial_id in self._done_before

    def _is_stuck(self, member: Member) -> bool:
        """Tell whether a claim cannot come to its next look, whatever runs."""
        from orchestrator.results.claims.evidence import pooled_with

        about = member.reduced.about
        selections = [standing.selection for standing in self._standings.values()]
        own = any(self._has_failed(cell) or self._has_diverged(cell) for cell in about.cells)
        return own or any(map(self._has_failed, pooled_with(about, selections)))

    def _has_failed(self, selection: CellSelection) -> bool:
        """Tell whether the next confirm seed of a cell has failed."""
        seeds, best = selection.cell.confirming[len(selection.confirmed) :], selection.best
        if best is None or not seeds:
            return False
        return self._observed.outcomes.get(best.config.trial_id(seeds[0]), 0.0) is None

    def _has_diverged(self, selection: CellSelection) -> bool:
        best = selection.best
        ids = (best.config.trial_id(seed) for seed in selection.confirmed) if best else ()
        return not self._observed.diverged.isdisjoint(ids)

    @property
    def _at_most(self) -> int:
        return self._sweep.decide.at_most if self._sweep.decide else 0

    def _look(self) -> None:
        """Judge the claims on the confirm seeds that are in."""
        if any(cell.confirm for cell in self._cells.values()):
            self._members = members(self._sweep, list(self._standings.values()), self._observed)
            self._looked(self._members)

    def _deciding(self) -> Iterator[PlannedTrial]:
        """List the confirm seeds that claims have asked for."""
        for cell_id, count in seeds_asked(self._members if self._sweep.decide else ()).items():
            yield from self._standings[cell_id].confirming(count)

    def _new(self, asked: Iterable[PlannedTrial]) -> list[PlannedTrial]:
        new = {t.trial_id: t for t in asked if t.trial_id not in self._known}
        self._note(new.values())
        return list(new.values())

    def _note(self, trials: Iterable[PlannedTrial]) -> None:
        """Note that trials are asked for, of which the total lacks those of claims alone."""
        for trial in trials:
            self._known.add(trial.trial_id)
            self.in_all += trial.seed in self._cells[trial.config.cell_id].deciding
