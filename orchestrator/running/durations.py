"""Trial durations, and the order of trials that follows from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from orchestrator.columns import Status
from orchestrator.spec.grid import PlannedTrial
from orchestrator.store import Outcome


def longest_first(
    trials: Sequence[PlannedTrial], seconds: Mapping[str, float], *, by_cell: bool = False
) -> list[PlannedTrial]:
    """Order trials by the position of their seed, then longest first; unknown durations lead.

    Args:
        trials: as `wanted` lists them.
        seconds: mean durations by config id, as far as they are known.
        by_cell: order them by their cell before all else, as they are listed.
    """
    positions: dict[str, int] = {}
    places: dict[str, int] = {}
    order: dict[str, tuple[int, int, float]] = {}
    for trial in trials:
        config_id = trial.config.config_id
        positions[config_id] = positions.get(config_id, -1) + 1
        place = places.setdefault(trial.config.cell_id, len(places)) if by_cell else 0
        order[trial.trial_id] = (place, positions[config_id], -seconds.get(config_id, math.inf))
    return sorted(trials, key=lambda trial: order[trial.trial_id])


class Durations:
    """Expected durations of trials, from the trials that have completed."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = {}
        self._means: dict[str, float] = {}  # thousands of waiting trials share a few of them

    @classmethod
    def of(cls, trials: Sequence[PlannedTrial], outcomes: Mapping[str, Outcome]) -> Durations:
        """Collect the durations of a store's completed trials."""
        durations = cls()
        for trial in trials:
            outcome = outcomes.get(trial.trial_id)
            if outcome is not None and outcome.status == Status.COMPLETED:
                durations.add(trial, outcome.seconds)
        return durations

    def add(self, trial: PlannedTrial, seconds: float) -> None:
        """Add the duration of a trial."""
        for key in (trial.config.config_id, trial.config.cell_id, ""):
            self._seconds.setdefault(key, []).append(seconds)
            self._means.pop(key, None)

    def by_config(self) -> dict[str, float]:
        """Return mean seconds by config id; cell ids are keys too."""
        return {key: self._mean(key) for key in self._seconds}

    def expected(self, trial: PlannedTrial) -> float | None:
        """Return the mean seconds of the trial's config, else of its cell, else of the sweep."""
        for key in (trial.config.config_id, trial.config.cell_id, ""):
            if key in self._seconds:
                return self._mean(key)
        return None

    def _mean(self, key: str) -> float:
        if key not in self._means:
            self._means[key] = fmean(self._seconds[key])
        return self._means[key]

    def total(self, trials: Sequence[PlannedTrial]) -> float | None:
        """Return the expected seconds of trials run one after another; None if any is unknown."""
        expected = [self.expected(trial) for trial in trials]
        known = [seconds for seconds in expected if seconds is not None]
        return sum(known) if len(known) == len(expected) else None
