"""A trial as its trainable runs it, in whichever process: what it is given, what it hands over."""

from __future__ import annotations

import copy
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from orchestrator import trial as contract
from orchestrator.code import Trainable
from orchestrator.errors import TrialError
from orchestrator.metrics import storable
from orchestrator.nesting import flat
from orchestrator.reporting import reports_to
from orchestrator.running import failures
from orchestrator.running.forks import leaving_forks
from orchestrator.running.yielded import Metrics, YieldedReader

if TYPE_CHECKING:  # it imports pyarrow, which a trial's process has no use for
    from orchestrator.running.job import Task


@dataclass(frozen=True)
class Start:
    """What a process needs to run a trial, besides the state of its checkpoint."""

    trial_id: str
    params: Mapping[str, Any]
    epoch: int
    """The first epoch to run, from 1."""
    facts: Mapping[str, str]
    """Recorded before the checkpoint."""
    threads: int
    gpus: float
    smoke: bool
    checkpoint_every: int
    attempt: int
    folder: str
    """The trial's own folder."""
    timeout: float | None = None
    """Seconds that the attempt may take."""
    stops_at: float | None = None
    """When the run ends, in seconds since 1970."""

    @classmethod
    def unstored(cls, task: Task, checkpoint_every: int, folder: str) -> Start:
        """Start a trial of which nothing is stored."""
        return cls(
            trial_id=task.trial_id,
            params=task.params,
            epoch=1,
            facts={},
            threads=task.threads,
            gpus=task.gpu,
            smoke=False,
            checkpoint_every=checkpoint_every,
            attempt=1,
            folder=folder,
        )


class Report(NamedTuple):
    """What a trainable hands over at the end of an epoch.

    Attributes:
        metrics: by the names of their columns.
        step: the trainable's own counter; None if it has none.
        probes: rows with the columns of `schema.PROBE_SCHEMA`.
        facts: all that were recorded so far.
        state: what was saved in this epoch; None if nothing was.
        loaded: whether the trainable has asked for the state of its checkpoint.
    """

    metrics: Metrics
    step: float | None
    probes: list[tuple[Any, ...]]
    facts: dict[str, str]
    state: bytes | None
    loaded: bool


class Pace:
    """How fast epochs follow one another, by which one tells whether another one ends in time."""

    def __init__(self) -> None:
        self._began, self._seconds = time.time(), 0.0

    def epoch(self) -> None:
        """An epoch has ended."""
        now = time.time()
        self._began, self._seconds = now, now - self._began

    def is_due(
        self, epoch: int, every: int, stops_at: float | None, must_save: Callable[[], bool]
    ) -> bool:
        """Tell whether an epoch is to be kept: in its turn, or since the run may end soon.

        A run may end soon if it may end before an epoch does that follows the one under way.
        """
        ends_soon = stops_at is not None and self._began + 2.5 * self._seconds >= stops_at
        return epoch % every == 0 or ends_soon or must_save()


class ClosedError(BaseException):
    """Ends a trial of which no further epoch is wanted; not an Exception, which it might catch."""


@dataclass
class LiveTrial:
    """The `orchestrator.trial.Trial` of a sweep: collects what an epoch hands over."""

    start: Start
    state: bytes | None
    write: Callable[[str], None]
    """Takes lines for the log file."""
    hand_over: Callable[[Report], None]
    """Takes each epoch; an error that it raises fails the trial, even if the trainable goes on."""
    is_closed: Callable[[], bool] = lambda: False
    """Tells whether no further epoch is wanted; `hand_over` raises ClosedError then."""
    must_save: Callable[[], bool] = lambda: False
    """Tells whether the run ends as soon as the trial has saved."""
    epoch: int = field(init=False)
    """The current epoch, from 1."""
    facts: dict[str, str] = field(init=False)
    loaded: bool = False
    """Whether the trainable has asked for the state."""
    saved: bytes | None = None
    """The state saved in the current epoch."""
    probes: list[tuple[Any, ...]] = field(default_factory=list)
    """The current epoch's rows of the table ``probes``."""
    error: Exception | None = None
    """What an epoch was refused for."""
    has_ended: bool = False
    """Whether the trainable has returned or raised, after which nobody takes an epoch."""

    def __post_init__(self) -> None:
        self._pace = Pace()
        self.epoch, self.facts = self.start.epoch, dict(self.start.facts)
        self._lock, self._process = threading.Lock(), os.getpid()

    @cached_property
    def _reader(self) -> YieldedReader:
        return YieldedReader(flat(self.start.params), self.log)

    def announce(self) -> None:
        """Write to the log which attempt this is, where it runs, and where it goes on."""
        start = self.start
        origin = "from the start" if start.epoch == 1 else f"from epoch {start.epoch}"
        if start.epoch > 1 and self.state is None:
            origin = f"after epoch {start.epoch - 1}, if its own counter says so"
        process = f"process {os.getpid()} on {socket.gethostname()}"
        self.log(f"attempt {start.attempt}, {process}, {origin}")

    @property
    def id(self) -> str:
        """The trial's id."""
        return self.start.trial_id

    @property
    def attempt(self) -> int:
        """The number of this attempt, from 1."""
        return self.start.attempt

    @property
    def folder(self) -> Path:
        """The trial's own folder."""
        return Path(self.start.folder)

    @property
    def smoke(self) -> bool:
        """Whether one epoch of two small batches is enough."""
        return self.start.smoke

    @property
    def threads(self) -> int:
        """CPU threads that the trial may use."""
        return self.start.threads

    @property
    def gpus(self) -> float:
        """The trial's part of a GPU, or number of GPUs."""
        return self.start.gpus

    @property
    def checkpoint_due(self) -> bool:
        """Whether the current epoch should save a checkpoint."""
        # A smoke run has one epoch, and the state of a large network takes a gigabyte to write.
        every, stops_at = self.start.checkpoint_every, self.start.stops_at
        is_due = self._pace.is_due(self.epoch, every, stops_at, self.must_save)
        return is_due and not self.smoke

    def probe(
        self,
        probe: str,
        layer: str,
        value: float,
        *,
        index: int,
        unit: int | None = None,
        at: float | None = None,
    ) -> None:
        """Keep a value until the epoch ends."""
        names = storable(str(probe)), storable(str(layer))
        place = int(index), None if unit is None else int(unit), None if at is None else float(at)
        self.probes.append((self.epoch, *names, *place, float(value)))

    def load(self) -> bytes | None:
        """Return the state of the checkpoint that the trial resumes from."""
        self.loaded = True
        return self.state

    def save(self, state: bytes) -> None:
        """Keep the state until the epoch ends."""
        if not isinstance(state, bytes):
            raise TrialError(f"trial.save takes bytes, not {type(state).__name__}")
        self.saved = state

    def step(self, images: int, *, of: int) -> None:
        """Ignore the step: only a pilot times steps."""

    def record(self, **facts: str) -> None:
        """Keep facts for the trial's row."""
        self.facts.update({name: storable(str(fact)) for name, fact in facts.items()})

    def log(self, text: str) -> None:
        """Write a line, with the time, to the trial's log."""
        self.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {text}")

    def report(self, metrics: Mapping[str, Any] | None = None, /, **more: Any) -> None:
        """End the epoch under way with these metrics, and hand it over; from any thread."""
        if metrics is not None and not isinstance(metrics, Mapping):
            self.take(metrics)
        self.take({**(metrics or {}), **more})

    def end(self) -> None:
        """Take no further epoch, once the one that a thread hands over now is taken."""
        with self._lock:
            self.has_ended = True

    def take(self, handed: object) -> None:
        """End the epoch under way with what a trainable has yielded, reported or returned.

        Raises:
            TrialError: it is no mapping of metrics, or comes from a process that the trial forked,
                or from a thread that outlives the trainable.
        """
        if os.getpid() != self._process:
            raise TrialError("only the trial's own process can report, and none that it forks")
        with self._lock:
            if self.has_ended:
                raise TrialError(
                    "a thread reports after the trainable has ended, and its epoch is lost; let "
                    "the trainable wait for the threads that it starts"
                )
            try:
                metrics, step = self._reader.read(handed)
                report = Report(
                    metrics, step, self.probes, dict(self.facts), self.saved, self.loaded
                )
                self._pace.epoch()
                self.probes, self.saved = [], None
                self.epoch += 1
                self.hand_over(report)
            except Exception as error:
                self.error = self.error or error
                raise


def run_trainable(trainable: Trainable, trial: LiveTrial) -> None:
    """Run a trainable to its end: a generator that yields, or a function that reports or returns.

    Raises:
        GpuMemoryError: the trial runs out of GPU memory.
        TrialError: the trainable breaks the contract of `orchestrator.trial`.
        Exception: whatever the trainable raises.
    """
    given: contract.Trial = trial
    try:
        with leaving_forks(), reports_to(trial.take):
            returned: object = trainable(copy.deepcopy(dict(trial.start.params)), given)
            if isinstance(returned, Iterator):
                returned = _exhaust(returned, trial)
        if returned is not None:
            _take_returned(returned, trial)
    except Exception as error:
        if gpu_error := failures.of_gpu_memory(error, trial.gpus):
            raise gpu_error from error
        raise
    finally:
        trial.end()
    if trial.error is not None:  # which the trainable has caught
        raise trial.error


def _exhaust(iterator: Iterator[object], trial: LiveTrial) -> object:
    """Hand over all that a generator yields; return what it returns."""
    try:
        while True:
            trial.take(next(iterator))
    except StopIteration as end:
        return end.value
    finally:
        close = getattr(iterator, "close", None)
        if close is not None:
            close()


def _take_returned(returned: object, trial: LiveTrial) -> None:
    """Hand over a last epoch; functions that have reported may return anything else as well.

    One that resumes after its last epoch has nothing left to report.
    """
    if isinstance(returned, Mapping) or trial.epoch == 1:
        trial.take(returned)
    else:
        kind = type(returned).__name__
        trial.log(f"what the trainable returned is no mapping of metrics, but of type {kind}")
