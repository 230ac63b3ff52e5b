"""Sweeps through the real driver, on simulated hosts and by a simulated clock.

The driver, the store and each trial's `Execution` are real; the trials run in this process, one
epoch per simulated second. A test plans what goes wrong, by the second in which it does.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from orchestrator.errors import WorkerDiedError
from orchestrator.running import heartbeat, live_trial, preflight
from orchestrator.running.attempts import Attempt, Attempts
from orchestrator.running.clock import Clock
from orchestrator.running.display import Display
from orchestrator.running.driver import Driver, Options
from orchestrator.running.execution import Epoch, Execution
from orchestrator.running.heartbeat import Heartbeat
from orchestrator.running.job import Job
from orchestrator.running.progress import Progress
from orchestrator.running.trial_code import RunCode, TrialCode
from orchestrator.spec import load
from orchestrator.store import Store, Stores, Writer
from support import comparing, toy
from support.attempts import Trainable, reports
from support.toys import TRAINABLE

DIED = WorkerDiedError("the worker process died")


@dataclass
class _Repeated:
    action: Callable[[], object]
    seconds: float
    due: float
    acts: bool = False


class SimulatedClock(Clock):
    """Time that passes only when it is told to; what is due meanwhile is done."""

    def __init__(self) -> None:
        self.now = 0.0
        self._repeated: list[_Repeated] = []

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    @contextlib.contextmanager
    def repeating(
        self,
        action: Callable[[], object],
        seconds: float,
        name: str,  # noqa: ARG002
    ) -> Iterator[None]:
        repeated = _Repeated(action, seconds, self.now + seconds)
        self._repeated.append(repeated)
        try:
            yield
        finally:
            self._repeated.remove(repeated)

    def advance(self, seconds: float) -> None:
        """Let time pass; an action that takes time itself is not done again before its end."""
        end = self.now + seconds
        while due := [r for r in self._repeated if r.due <= end and not r.acts]:
            first = min(due, key=lambda repeated: repeated.due)
            self.now = max(self.now, first.due)
            first.acts = True
            first.action()
            first.acts = False
            first.due = self.now + first.seconds
        self.now = max(self.now, end)


class EndedError(Exception):
    """Ends a runner early, with what it says of it."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error
        super().__init__(error)


@dataclass
class Live:
    """An attempt that runs on a host."""

    attempt: Attempt
    host: int
    epochs: Generator[Epoch, None, None]
    started: float
    dies: bool = False
    """Whether its worker dies before it tells of the next epoch, or of its commit."""
    frozen_until: float = 0


@dataclass
class FakeRunner:
    """Runs attempts on simulated hosts, an epoch a second each.

    Args:
        train: the trainable.
        clock: passes while it runs.
        hosts: how many slots each host has.
        plan: what goes wrong, by the second in which it does.
        ahead: how many attempts it takes before it has room for them.
        portion: how many attempts it takes before it returns.
        look: called every second.
        lingers: whether what runs at its end goes on to its commit while it closes.
    """

    train: Trainable
    clock: SimulatedClock
    hosts: list[int]
    plan: dict[int, Callable[[FakeRunner], object]]
    ahead: int
    portion: int | None
    look: Callable[[FakeRunner], object]
    lingers: bool
    live: list[Live] = field(default_factory=list)
    cut_off: list[Live] = field(default_factory=list)
    """Attempts on hosts that were cut off: the driver has given them up, and they go on."""
    closing: list[Live] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    """Every attempt, in the order of their starts."""
    calls: int = 0

    def run(self, job: Job, attempts: Attempts) -> Exception | None:
        self.calls += 1
        self.job, self.attempts, self.taken = job, attempts, 0
        self.writer = Writer(Store(job.store))
        self.next: deque[Attempt] = deque()
        try:
            while self._fill():
                attempts.require_time()
                self.look(self)
                self.plan.pop(int(self.clock.now), lambda _: None)(self)
                self.clock.advance(1)
                for live in [*self.live, *self.cut_off]:
                    self._advance(live)
        except EndedError as ended:
            return ended.error
        finally:
            for live in [] if self.lingers else self.live:
                live.epochs.close()
            self.closing, self.live = self.live, []
        return None

    @contextlib.contextmanager
    def opened(self) -> Iterator[FakeRunner]:
        """Close it at the end of the block."""
        yield self
        for live in self.closing:
            for _ in live.epochs:
                self.clock.advance(1)

    def _fill(self) -> bool:
        """Take attempts, start those that there is room for, and tell whether any runs."""
        free = [
            host
            for host, slots in enumerate(self.hosts)
            for _ in range(slots - sum(live.host == host for live in self.live))
        ]
        while len(self.next) < len(free) + self.ahead and self.taken != self.portion:
            if (attempt := self.attempts.take()) is None:
                break
            self.taken += 1
            self.next.append(attempt)
        for host in free[: len(self.next)]:
            self._start(self.next.popleft(), host)
        return bool(self.live)

    def _start(self, attempt: Attempt, host: int) -> None:
        self.started.append(str(attempt))
        self.attempts.started(attempt)
        task = self.job.tasks[attempt.trial_id]
        code = TrialCode(RunCode(self.job, self.writer.store))
        log = functools.partial(self.writer.log, attempt.trial_id)
        asked = functools.partial(getattr, self.attempts, "winds_down")
        execution = Execution(self.job, task, self.writer, attempt.number, code, asked)
        trial = reports(self.train, execution.start, execution.state, log, asked)
        epochs = execution.follow(trial)
        self.live.append(Live(attempt, host, epochs, self.clock.now))

    def _advance(self, live: Live) -> None:
        if live.frozen_until > self.clock.now:
            return
        try:
            epoch = next(live.epochs, None)
        except Exception as error:  # noqa: BLE001  (whatever the trainable raises)
            self._end(live)
            self.attempts.failed(live.attempt, error)
            return
        if live.dies:
            self.crash(live)
        elif epoch is None:
            self._end(live)
            self.attempts.committed(live.attempt, self.clock.now - live.started)
        else:
            self.attempts.epoch(live.attempt, epoch)

    def _end(self, live: Live) -> None:
        (self.live if live in self.live else self.cut_off).remove(live)
        live.epochs.close()

    def crash(self, live: Live) -> None:
        """Kill the worker of an attempt."""
        self._end(live)
        self.attempts.failed(live.attempt, DIED)

    def lose(self, host: int) -> None:
        """Switch a host off; it stays off."""
        self.hosts[host] = 0
        for live in [live for live in self.live if live.host == host]:
            self.crash(live)

    def cut(self, host: int, seconds: float = 0) -> None:
        """Cut a host off: its attempts stand still for a while, then go on unasked."""
        self.hosts[host] = 0
        for live in [live for live in self.live if live.host == host]:
            self.live.remove(live)
            self.cut_off.append(live)
            live.frozen_until = self.clock.now + seconds
            self.attempts.failed(live.attempt, DIED)

    def end(self, error: Exception | None) -> None:
        """End early, as Ray does when a node's memory is full."""
        raise EndedError(error)


class _KeptDisplay(Display):
    """Shows nothing, and keeps what it would show."""

    progress: Progress

    @contextlib.contextmanager
    def following(self, progress: Progress) -> Iterator[None]:
        self.progress = progress
        with super().following(progress):
            yield


class Simulation:
    """A sweep in a working folder, whose runs are simulated."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, **keys: Any) -> None:
        (folder / "toy.py").write_text(TRAINABLE)
        patch.chdir(folder)
        # It starts a process, which imports the trainable and has it check the configs.
        patch.setattr(preflight, "check", lambda *_, meanwhile: meanwhile())
        self.folder = folder
        self.clock = SimulatedClock()
        # A trial tells by the time of its own process whether the run is about to end.
        patch.setattr(live_trial, "time", SimpleNamespace(time=self.clock.time))
        self.keys = {
            "name": "toy",
            "trainable": "toy:train",
            "seeds": [0, 1],
            "factors": {"x": [1, 2]},
            "fixed": {"epochs": 3},
            "select": {"metric": "score", "mode": "max"},
            **keys,
        }
        self.trained: list[tuple[Any, ...]] = []
        """Every epoch that a trial has computed, in all runs: x, seed and epoch."""

    def run(
        self,
        plan: Mapping[int, Callable[[FakeRunner], object]] | None = None,
        *,
        train: Trainable = toy.train,
        hosts: tuple[int, ...] = (1, 1),
        ahead: int = 2,
        portion: int | None = None,
        look: Callable[[FakeRunner], object] = lambda _: None,
        keep_going: bool = False,
        rerun_stale: bool = False,
        hours: float | None = None,
        lingers: bool = False,
    ) -> FakeRunner:
        """Run the sweep by the driver, and return the runner that ran its attempts.

        The seconds of the plan count from the start of this run.
        """
        self.clock.now = 0.0
        self.display = _KeptDisplay(quiet=True)
        runner = FakeRunner(
            self._noting(train),
            self.clock,
            [*hosts],
            dict(plan or {}),
            ahead,
            portion,
            look,
            lingers,
        )
        Driver(
            load(self.keys),
            Stores(str(self.folder / "results")),
            Options(keep_going=keep_going, rerun_stale=rerun_stale, hours=hours),
            self.display,
            lambda _: runner.opened(),
            self.clock,
        ).run()
        return runner

    def _noting(self, train: Trainable) -> Trainable:
        def noting(params: Mapping[str, Any], trial: Any) -> Iterator[Mapping[str, Any]]:
            for metrics in train(params, trial):
                self.trained.append((params["x"], params["seed"], trial.epoch))
                yield metrics

        return noting

    @property
    def progress(self) -> Progress:
        """What the last run has counted."""
        return self.display.progress

    @property
    def store(self) -> Store:
        return Store(str(self.folder / "results/toy"))

    def trials(self) -> pd.DataFrame:
        """Read the trials, by x and seed."""
        return self.store.snapshot().trials().set_index(["x", "seed"]).sort_index()

    def numbers(self) -> dict[str, pd.DataFrame]:
        return comparing.numbers(self.folder / "results/toy")

    def beat(self) -> Heartbeat | None:
        """Read the driver's last heartbeat."""
        data = self.store.files.read(heartbeat.FILE)
        return None if data is None else Heartbeat(**json.loads(data))
