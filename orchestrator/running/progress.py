"""Tracks the progress of a running sweep: its attempts report to it, displays read it."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from orchestrator.results import Results
from orchestrator.running.clock import SYSTEM, Clock
from orchestrator.running.execution import Epoch
from orchestrator.running.heartbeat import Heartbeat
from orchestrator.running.inventory import Inventory
from orchestrator.spec.grid import PlannedTrial
from orchestrator.spec.model import Sweep
from orchestrator.store import Store
from orchestrator.store.cost import NOTHING, Cost

_RECENT = 100
"""Stretches from which the usual one is taken."""
_TIMES = 10
_LEAST_QUIET = 60.0
"""Seconds: epochs of milliseconds come late whenever the machine is busy."""
_UNKNOWN_QUIET = 1800.0
"""Seconds without the first epoch of any trial."""


@dataclass
class Running:
    """A running trial."""

    trial: PlannedTrial
    started: float
    """By the monotonic clock."""
    epoch: int = 0
    selected: float | None = None
    """The last value of the selection metric."""
    heard: float = 0.0
    """When it started, or handed over its last epoch, by the monotonic clock."""


class Stretches:
    """How long trials usually take from one epoch to the next, and to their first."""

    def __init__(self) -> None:
        self._recent = {is_first: deque[float](maxlen=_RECENT) for is_first in (True, False)}

    def add(self, seconds: float, *, is_first: bool) -> None:
        """A trial has handed over an epoch after so long."""
        self._recent[is_first].append(seconds)

    def limit(self, *, is_first: bool) -> float:
        """Return after how many seconds a trial counts as quiet."""
        usual = self._recent[is_first] or self._recent[not is_first]
        return max(_TIMES * median(usual), _LEAST_QUIET) if usual else _UNKNOWN_QUIET


@dataclass(frozen=True)
class FailedTrial:
    """A failed attempt at a trial."""

    trial: PlannedTrial
    text: str
    log: str
    retried: bool
    """Whether another attempt follows."""


class Progress:
    """Counts events for displays.

    `Attempts` calls it from the driver's main thread; displays read it from other threads, holding
    ``lock``.
    """

    def __init__(
        self, sweep: Sweep, inventory: Inventory, store: Store, clock: Clock = SYSTEM
    ) -> None:
        self.sweep = sweep
        self.total = inventory.wanted.in_all
        self.done = inventory.done
        self._spent = Results(sweep, store, inventory.snapshot).cost
        """What attempts that have ended have cost, those of earlier runs included."""
        self.reused = inventory.reused
        self.running: dict[str, Running] = {}
        self.failures: list[FailedTrial] = []
        self.given_up = 0
        self.not_run = Counter[str]()
        """Trials that an edited file kept from running, by the reason."""
        self.has_started = False
        self.stretches = Stretches()
        self.clock = clock
        self.lock = threading.RLock()
        self._store = store
        self._waiting = {trial.trial_id: trial for trial in inventory.missing}
        self._trials = dict(self._waiting)
        self._durations = inventory.durations
        self._slots = 0

    def asked(self, trials: Iterable[PlannedTrial], *, done: int, total: int) -> None:
        """Results ask for more trials.

        Args:
            trials: those that wait from now on.
            done: how many others were done before the run.
            total: how many the run will have asked for, as far as it is known now.
        """
        with self.lock:
            self.done += done
            self.total = total
            new = {trial.trial_id: trial for trial in trials}
            self._waiting |= new
            self._trials |= new

    def started(self, trial_id: str) -> None:
        """A trial starts, or is retried."""
        with self.lock:
            self.has_started = True
            self._waiting.pop(trial_id, None)
            now = self.clock.monotonic()
            self.running[trial_id] = Running(self._trials[trial_id], now, heard=now)
            self._slots = max(self._slots, len(self.running))

    def epoch(self, trial_id: str, epoch: Epoch) -> None:
        """A trial finishes an epoch."""
        with self.lock:
            running, now = self.running[trial_id], self.clock.monotonic()
            self.stretches.add(now - running.heard, is_first=not running.epoch)
            running.heard, running.epoch = now, epoch.number
            value = epoch.metrics.get(self.sweep.select.metric)
            running.selected = running.selected if value is None else value

    def finished(self, trial_id: str, seconds: float | None = None) -> None:
        """A trial is committed, after so many seconds if that is known."""
        with self.lock:
            self._stop(trial_id)
            self._waiting.pop(trial_id, None)
            if seconds is not None:
                self._durations.add(self._trials[trial_id], seconds)
            self.done += 1

    def ended(self, trial_id: str) -> None:
        """An attempt at a trial fails; what follows is decided later, by `failed`."""
        with self.lock:
            self._stop(trial_id)
            self._waiting[trial_id] = self._trials[trial_id]

    def failed(self, trial_id: str, text: str, *, again: bool) -> None:
        """An attempt at a trial has failed; the trial is retried, or has failed for good."""
        with self.lock:
            trial, log = self._trials[trial_id], self.log_name(trial_id)
            self.failures.append(FailedTrial(trial, text, log, again))
            if not again:
                self.failed_alike([trial_id])

    def failed_alike(self, trial_ids: Iterable[str]) -> None:
        """Trials have failed for good, and one error tells of all."""
        with self.lock:
            for trial_id in trial_ids:
                del self._waiting[trial_id]
                self.given_up += 1

    def log_name(self, trial_id: str) -> str:
        """Name the log of a trial as a user can open it."""
        return self._store.log_name(trial_id)

    def edited(self, trial_id: str, text: str) -> None:
        """A trial is not run, or not committed, since a file was edited; it stays missing."""
        with self.lock:
            self._stop(trial_id)
            self.not_run[text] += 1

    def settled(self, inventory: Inventory, left: Iterable[PlannedTrial]) -> None:
        """The run has ended; the store tells what is done, and which trials are left."""
        with self.lock:
            waiting = {trial.trial_id: trial for trial in left}
            self.done, self.total = inventory.done, inventory.wanted.in_all
            self.running = {i: running for i, running in self.running.items() if i in waiting}
            self._waiting = {i: t for i, t in waiting.items() if i not in self.running}
            self._durations = inventory.durations

    def _stop(self, trial_id: str) -> None:
        """An attempt has ended, whatever came of it."""
        if (running := self.running.pop(trial_id, None)) is not None:
            self._spent += self._cost(running)

    def _cost(self, running: Running) -> Cost:
        resources = running.trial.config.resources
        seconds = self.clock.monotonic() - running.started
        return Cost.of(seconds, cpu=resources.cpu, gpu=resources.gpu)

    def spent(self) -> Cost:
        """Return what the sweep has cost so far."""
        with self.lock:
            return sum(map(self._cost, self.running.values()), self._spent)

    def heartbeat(self) -> Heartbeat:
        """Tell other processes what runs now."""
        with self.lock:
            now = self.clock.monotonic()
            return Heartbeat(
                running={trial_id: running.epoch for trial_id, running in self.running.items()},
                seconds_left=self.seconds_left(),
                quiet={running.trial.trial_id: now - running.heard for running in self.quiet()},
                cost_left=self.cost_left(),
                time=self.clock.time(),
            )

    def quiet(self) -> list[Running]:
        """List the running trials that may hang: nothing has come for ten times the usual time."""
        with self.lock:
            now = self.clock.monotonic()
            limits = {first: self.stretches.limit(is_first=first) for first in (True, False)}
            return [r for r in self.running.values() if now - r.heard > limits[not r.epoch]]

    def seconds_left(self) -> float | None:
        """Estimate the time left from earlier trials.

        Returns:
            None without any, before the first trial of this run starts, or when all is done.
        """
        with self.lock:
            if not self._slots or not (self._waiting or self.running):
                return None
            now = self.clock.monotonic()
            waiting = self._durations.total(list(self._waiting.values()))
            running = self._durations.total([r.trial for r in self.running.values()])
            if waiting is None or running is None:
                return None
            spent = sum(now - r.started for r in self.running.values())
            later = self._later * (waiting + running)
            return (waiting + later + max(running - spent, 0.0)) / self._slots

    def cost_left(self) -> Cost | None:
        """Estimate what is left to spend, as `seconds_left` does the time."""
        with self.lock:
            if not self._waiting and not self.running:
                return None
            waiting = self._durations.cost(list(self._waiting.values()))
            running = self._durations.cost([r.trial for r in self.running.values()])
            if waiting is None or running is None:
                return None
            spent = sum(map(self._cost, self.running.values()), NOTHING)
            return waiting + (waiting + running) * self._later + running.without(spent)

    @property
    def _later(self) -> float:
        """The trials that race and confirm ask for later, as a multiple of those known by now."""
        known = len(self._waiting) + len(self.running)
        ended = self.done + self.given_up + self.not_run.total()
        return max(self.total - ended - known, 0) / known
