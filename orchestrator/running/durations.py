"""How long trials take, and the order of work that follows from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from orchestrator.columns import Status
from orchestrator.spec.grid import PlannedTrial
from orchestrator.store.store import Outcome


def longest_first(
    trials: Sequence[PlannedTrial], seconds: Mapping[str, float]
) -> list[PlannedTrial]:
    """Order trials by turn of their seed, within it by duration, unknown ones before all.

    Args:
        trials: as `expand` lists them.
        seconds: known mean durations by config id.
    """
    turns: dict[str, int] = {}
    order: dict[str, tuple[int, float]] = {}
    for trial in trials:
        turn = turns[trial.config.config_id] = turns.get(trial.config.config_id, -1) + 1
        order[trial.trial_id] = (turn, -seconds.get(trial.config.config_id, math.inf))
    return sorted(trials, key=lambda trial: order[trial.trial_id])


class Durations:
    """How long trials take, from those that ended."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = {}
        self._means: dict[str, float] = {}  # thousands of waiting trials ask for the same few

    @classmethod
    def of(cls, trials: Sequence[PlannedTrial], outcomes: Mapping[str, Outcome]) -> Durations:
        """Learn from what a store has."""
        known = cls()
        for trial in trials:
            end = outcomes.get(trial.trial_id)
            if end is not None and end.status == Status.COMPLETED:
                known.add(trial, end.seconds)
        return known

    def add(self, trial: PlannedTrial, seconds: float) -> None:
        """Learn from one more trial."""
        for key in (trial.config.config_id, trial.config.cell_id, ""):
            self._seconds.setdefault(key, []).append(seconds)
            self._means.pop(key, None)

    def by_config(self) -> dict[str, float]:
        """Mean seconds of each config that has some, by config or cell id."""
        return {key: self._mean(key) for key in self._seconds}

    def expected(self, trial: PlannedTrial) -> float | None:
        """Expect what trials of its config took, else of its cell, else of the sweep."""
        for key in (trial.config.config_id, trial.config.cell_id, ""):
            if key in self._seconds:
                return self._mean(key)
        return None

    def _mean(self, key: str) -> float:
        if key not in self._means:
            self._means[key] = fmean(self._seconds[key])
        return self._means[key]

    def total(self, trials: Sequence[PlannedTrial]) -> float | None:
        """Expect the seconds of several trials one after another; None if nothing is known."""
        expected = [self.expected(trial) for trial in trials]
        known = [seconds for seconds in expected if seconds is not None]
        return sum(known) if len(known) == len(expected) else None
