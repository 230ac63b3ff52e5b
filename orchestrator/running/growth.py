"""The trials that a run's results ask for beyond those that it started with: race and confirm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from orchestrator.results.wanted import possible, wanted_in
from orchestrator.spec.grid import PlannedTrial, cells
from orchestrator.spec.model import Sweep


class Growth:
    """Looks, after each trial, what its cell asks for now.

    Args:
        sweep: the sweep.
        asked: the trials that the run has to see to already.
        outcomes: the selection metric of the trials that are done, by trial id.
        value_of: reads it of a trial that has just been committed.
    """

    def __init__(
        self,
        sweep: Sweep,
        asked: Sequence[PlannedTrial],
        outcomes: Mapping[str, float | None],
        value_of: Callable[[str], float | None],
    ) -> None:
        self._sweep, self._value_of = sweep, value_of
        self._outcomes = dict(outcomes)
        self._known = {trial.trial_id for trial in asked} | outcomes.keys()
        self._cells = {cell.cell_id: cell for cell in cells(sweep)}
        self._cell_of = {trial.trial_id: trial.config.cell_id for trial in possible(sweep)}

    def after(self, trial_id: str, *, failed: bool) -> list[PlannedTrial]:
        """List the trials that are asked for once a trial has ended, each once."""
        self._outcomes[trial_id] = None if failed else self._value_of(trial_id)
        cell = self._cells[self._cell_of[trial_id]]
        asked = wanted_in(cell, self._sweep, self._outcomes)
        new = [trial for trial in asked if trial.trial_id not in self._known]
        self._known |= {trial.trial_id for trial in new}
        return new


def nothing(_trial_id: str, *, failed: bool) -> list[PlannedTrial]:  # noqa: ARG001
    """Ask for nothing more: the growth of a sweep of which every trial is known."""
    return []
