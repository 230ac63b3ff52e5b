"""What the top of the page shows: progress, running trials with their curves, and failures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from orchestrator.errors import CorruptFileError
from orchestrator.labels import assignments, duration, printable, unit
from orchestrator.results import Results
from orchestrator.results.wanted import possible
from orchestrator.running.status import SweepStatus
from orchestrator.spec import PlannedTrial
from orchestrator.store import Store
from orchestrator.store.kept import Kept
from orchestrator.watching.curves import Curve, Curves
from orchestrator.watching.ended import Ended

_FAILURES = 20
"""Failed trials to list, the latest first; the report lists all."""


@dataclass(frozen=True)
class Look:
    """One look at a sweep that may be running.

    Attributes:
        facts: what to show, as plain data for JSON; its size does not depend on finished trials.
        curves: of each running trial, by trial id.
    """

    facts: Mapping[str, Any]
    curves: Mapping[str, Curve]


class Follower:
    """Looks at one store again and again, as long as its sweep stays the same.

    Args:
        results: the results of the sweep as of now.

    Attributes:
        results: as of the last `read`, to tell which trials the sweep asks for.
        changes: how many looks have found that trials had ended, or been replaced.
    """

    def __init__(self, results: Results) -> None:
        self.results = results
        self.changes = 0
        self._kept = Kept()
        self._damaged: dict[str, str] = {}
        self._store.on_corrupt = self._note
        self._text = self._read_sweep()
        self._ended = Ended(self._store, self._kept)
        self._curves = Curves(self._store, results.sweep.select.metric)

    @property
    def _store(self) -> Store:
        return self.results.store

    def _note(self, error: CorruptFileError) -> None:
        self._damaged[error.name] = f"{error}; its trials count as missing"

    def _read_sweep(self) -> bytes | None:
        return self._store.files.read("sweep.yaml")

    @property
    def is_current(self) -> bool:
        """Whether the store still holds the sweep, as it was when this began."""
        return self._text is not None and self._read_sweep() == self._text

    @property
    def has_ended(self) -> bool:
        """Whether any trial has ended."""
        return bool(self._ended.outcomes)

    def read(self) -> Results:
        """Open the results as of now, of which only what is new is read.

        They are not kept here, since they keep all that they compute with.

        Raises:
            StoreError: the store cannot be read.
        """
        snapshot = self._store.snapshot(self._kept)
        asking = Results(self.results.sweep, self._store, snapshot)
        asking.wanted  # noqa: B018  (computed here, so that no look waits for it)
        self.results = asking
        return Results(asking.sweep, self._store, snapshot)

    def look(self) -> Look:
        """Look at the store now.

        Raises:
            StoreError: it cannot be read.
        """
        begun = self._store.checkpoint_ids()  # first: a trial that commits meanwhile is then done
        self.changes += self._ended.look()
        status = SweepStatus.given(self.results, self._ended.outcomes, begun)
        # The driver says every few seconds what runs: some of that has ended since.
        running = {i: epoch for i, epoch in status.running.items() if i not in self._ended.outcomes}
        curves = self._curves.of(running.keys())
        metric = self.results.sweep.select.metric
        facts = {
            "metric": unit(metric).heading(metric),
            "warnings": list(self._damaged.values()),
            "progress": {**self._progress(status), "running": len(running)},
            "running": [self._running(i, n, curves[i], status) for i, n in running.items()],
            "failures": self._failures(status),
        }
        return Look(facts, curves)

    def _progress(self, status: SweepStatus) -> dict[str, Any]:
        left = status.seconds_left
        return {
            "done": len(status.done),
            "trials": self.results.wanted.in_all,
            "failed": len(status.failed),
            "interrupted": len(status.interrupted),
            "left": f"about {duration(left)} left" if left else None,
            "driver": f"driven by {status.driver}" if status.driver else "no driver is running",
        }

    def _running(
        self, trial_id: str, epoch: int, curve: Curve, status: SweepStatus
    ) -> dict[str, Any]:
        scale = unit(self.results.sweep.select.metric)
        quiet = status.quiet.get(trial_id)
        last, value = curve[-1] if curve else (0, None)
        return {
            "id": trial_id,
            "name": self._name(trial_id),
            "epoch": max(epoch, last),
            "value": None if value is None else scale.text(value / scale.factor),
            "quiet": None if quiet is None else f"quiet for {duration(quiet)}: does it hang?",
        }

    def _failures(self, status: SweepStatus) -> list[dict[str, str]]:
        latest = [i for i in reversed(self._ended.outcomes) if i in status.failed][:_FAILURES]
        return [
            {"id": i, "name": self._name(i), "error": _first_line(self._ended.outcomes[i].error)}
            for i in latest
        ]

    def _name(self, trial_id: str) -> str:
        trial = self._planned.get(trial_id)
        if trial is None:  # the sweep no longer asks for it
            return trial_id
        return assignments(trial.selectors)

    @cached_property
    def _planned(self) -> Mapping[str, PlannedTrial]:
        return {trial.trial_id: trial for trial in possible(self.results.sweep)}


def _first_line(error: str | None) -> str:
    return printable((error or "no message").splitlines()[0])
