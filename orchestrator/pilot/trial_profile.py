"""Measures the beginning of one trial, in a worker process of its own, and keeps nothing of it."""

from __future__ import annotations

import contextlib
import copy
import io
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from orchestrator.errors import TrialError
from orchestrator.running import failures
from orchestrator.running.job import Job, Task

SECONDS = 30.0
"""How long a trial is measured once it is warm."""
PATIENCE = 600.0
"""How long a trial may take to get warm."""
WARM_UP_STEPS = 3
"""Steps that first touch memory, compile and choose kernels, and are not counted."""


@dataclass(frozen=True)
class Reading:
    """What was measured of one trial."""

    epochs: tuple[float, ...] = ()
    """Seconds of each epoch that it finished; the set-up is in the first."""
    ended: bool = False
    """Whether that was the whole trial."""
    steps: int = 0
    """Training steps that the trainable told of."""
    images: int | None = None
    """Images in the training steps of an epoch, as it told."""
    images_per_second: float | None = None
    """Of training steps, without those of the warm-up."""
    memory: int = 0
    """Bytes: the process's resident memory at its peak, above that before the import."""
    gpu_peak: int | None = None
    """Bytes of the GPU that the trial held at its peak, as the trainable recorded."""
    gpu_total: int | None = None
    """Bytes that the GPU has."""
    error: str | None = None
    """Why it failed."""


def measure(job: Job, trial_id: str) -> Reading:
    """Run a trial for a moment, writing nothing anywhere.

    Call it in the main thread of a fresh process: memory is that of the process's life, and
    a timer's signal ends the trial wherever it is.
    """
    before = _peak_memory()
    meter = _Meter(job.tasks[trial_id], job.checkpoint_every)
    error = None
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            meter.run(job)
    except Exception as failed:  # noqa: BLE001  (whatever a user's trainable raises)
        error = failures.reason(failures.of_gpu_memory(failed, meter.gpus) or failed)
    return Reading(
        epochs=tuple(meter.epochs),
        ended=meter.ended,
        steps=meter.steps,
        images=meter.images,
        images_per_second=meter.images_per_second,
        memory=_peak_memory() - before,
        gpu_peak=meter.bytes_recorded("peak_memory_bytes"),
        gpu_total=meter.bytes_recorded("gpu_memory_bytes"),
        error=error,
    )


class _EnoughError(BaseException):
    """Ends a trial from within; no Exception, which the trainable might catch."""


@dataclass
class _Meter:
    """The `orchestrator.trial.Trial` of a pilot: it listens, and stores nothing."""

    task: Task
    checkpoint_every: int
    epochs: list[float] = field(default_factory=list)
    ended: bool = False
    steps: int = 0
    images: int | None = None
    smoke: bool = False
    _facts: dict[str, str] = field(default_factory=dict)
    _timed: tuple[int, float] = (0, 0.0)
    """Images of the steps that count, and their seconds."""
    _last_step: float | None = None
    """When the step before ended, within the epoch under way."""
    _warm_since: float | None = None

    def run(self, job: Job) -> None:
        """Run the trial until it ends or enough is known."""
        trainable = job.enter()
        begun = time.perf_counter()
        with _ringing(lambda: self._has_enough(begun)):
            for _ in trainable(copy.deepcopy(dict(self.task.params)), self):
                now = time.perf_counter()
                self.epochs.append(now - begun - sum(self.epochs))
                self._last_step = None
                self._warm_since = self._warm_since or now
            if not self.epochs:
                raise TrialError("the trainable ended without a single yield")
            self.ended = True

    def _has_enough(self, begun: float) -> bool:
        now = time.perf_counter()
        warm = self._warm_since
        return now - begun > PATIENCE if warm is None else now - warm > SECONDS

    @property
    def images_per_second(self) -> float | None:
        images, seconds = self._timed
        return images / seconds if seconds else None

    def bytes_recorded(self, fact: str) -> int | None:
        """Read a fact that the trainable recorded as a number of bytes."""
        return int(self._facts[fact]) if fact in self._facts else None

    @property
    def threads(self) -> int:
        return self.task.threads

    @property
    def gpus(self) -> float:
        return self.task.gpu

    @property
    def checkpoint_due(self) -> bool:
        return (len(self.epochs) + 1) % self.checkpoint_every == 0

    def step(self, images: int, *, of: int) -> None:
        now = time.perf_counter()
        self.steps, self.images = self.steps + 1, of
        if self.steps == WARM_UP_STEPS:
            self._warm_since = self._warm_since or now
        elif self.steps > WARM_UP_STEPS and self._last_step is not None:
            self._timed = (self._timed[0] + images, self._timed[1] + now - self._last_step)
        self._last_step = now

    def record(self, **facts: str) -> None:
        self._facts.update(facts)

    def load(self) -> bytes | None:
        return None

    def probe(self, *_measured: Any, **_where: Any) -> None:
        """Measure it, and forget it."""

    def save(self, state: bytes) -> None:
        """Forget it: what writing it would cost is the store's affair."""

    def log(self, text: str) -> None:
        """Forget it."""


@contextlib.contextmanager
def _ringing(enough: Callable[[], bool]) -> Iterator[None]:
    """Look every second, whatever runs meanwhile, whether the block is to end."""

    def ring(*_: Any) -> None:
        if enough():
            # Time for the trainable to tidy up; again, should Python have dropped the error.
            signal.setitimer(signal.ITIMER_REAL, 10, 10)
            raise _EnoughError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 1, 1)
    try:
        yield
    except _EnoughError:
        return
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _peak_memory() -> int:
    """Bytes that were resident at most in this process's life so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
