"""How long trials take, and what they cost, by those that have completed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from orchestrator.columns import Status
from orchestrator.spec.grid import PlannedTrial
from orchestrator.store import Outcome
from orchestrator.store.cost import Cost


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
        known = self._known(trials)
        return None if known is None else sum(known)

    def cost(self, trials: Sequence[PlannedTrial]) -> Cost | None:
        """Return what trials are expected to cost; None if any of them is unknown."""
        known = self._known(trials)
        if known is None:
            return None
        held = [trial.config.resources for trial in trials]
        return Cost.of(
            1.0,
            cpu=sum(seconds * each.cpu for seconds, each in zip(known, held, strict=True)),
            gpu=sum(seconds * each.gpu for seconds, each in zip(known, held, strict=True)),
        )

    def _known(self, trials: Sequence[PlannedTrial]) -> list[float] | None:
        """Return the expected seconds of each trial; None if any is unknown."""
        expected = [self.expected(trial) for trial in trials]
        known = [seconds for seconds in expected if seconds is not None]
        return known if len(known) == len(expected) else None
