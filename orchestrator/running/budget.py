"""The time that a run may take, and which trials still get somewhere in it."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.results.durations import Durations
from orchestrator.running.clock import Clock
from orchestrator.spec.grid import PlannedTrial

_BEGINNING = 0.9
"""The share of its time that a run has left at its beginning."""


class Budget:
    """What is left of a run's time.

    Args:
        hours: how long the run may take; None for as long as it takes.
        began: when it began, by the clock.
        clock: by which it passes.
        durations: what trials have taken so far.
        epochs: the most that one of them ran; 0 if that is unknown.
        saved: the epochs that the checkpoints of unfinished trials hold, by trial id.
        checkpoint_every: epochs from one checkpoint to the next.
    """

    def __init__(
        self,
        hours: float | None,
        began: float,
        clock: Clock,
        durations: Durations,
        epochs: int,
        saved: Mapping[str, int],
        checkpoint_every: int,
    ) -> None:
        self._clock, self._durations = clock, durations
        self._epochs, self._every = epochs, checkpoint_every
        self._saved = dict(saved)
        self._save: bool | None = None
        """Whether trials save, or have a counter by which they go on; None until that is seen."""
        self._began = began
        self.stops_at = None if hours is None else began + 3600 * hours
        """When the run ends, in seconds since 1970."""

    @property
    def _left(self) -> float:
        return float("inf") if self.stops_at is None else self.stops_at - self._clock.time()

    @property
    def is_spent(self) -> bool:
        """Whether the time is up."""
        return self._left <= 0

    def epoch(self, trial_id: str, number: int, *, is_saved: bool) -> None:
        """A trial has ended an epoch, from which another attempt can go on or not."""
        self._epochs = max(self._epochs, number)
        if is_saved:
            self._saved[trial_id], self._save = number, True
        elif self._save is None and number % self._every == 0:
            self._save = False

    def took(self, trial: PlannedTrial, seconds: float) -> None:
        """A trial has taken so long."""
        self._durations.add(trial, seconds)

    def fits(self, trial: PlannedTrial) -> bool:
        """Tell whether a trial can be expected to end, or to reach a checkpoint, in time.

        At the beginning every trial does: one that takes longer than any run saves near its end.
        """
        if self.stops_at is None:
            return True
        if self._left > _BEGINNING * (self.stops_at - self._began):
            return True
        expected = self._durations.expected(trial)
        if expected is None:
            return not self.is_spent
        left = 1.0
        if self._epochs:
            left = max(0.0, 1 - self._saved.get(trial.trial_id, 0) / self._epochs)
            if self._save is not False:
                left = min(left, self._every / self._epochs)
        return expected * left < self._left
