"""Profiles the beginning of one trial in its own worker process; stores none of its results."""

from __future__ import annotations

import contextlib
import io
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.code.recorder import Recorder
from orchestrator.errors import TrialError
from orchestrator.running import failures
from orchestrator.running.job import Job, Task
from orchestrator.running.live_trial import LiveTrial, Report, Start, run_trainable
from orchestrator.temporary import temporary

SECONDS = 30.0
"""How long a trial is profiled after warm-up."""
WARM_UP_SECONDS = 600.0
"""How long warm-up may take."""
WARM_UP_STEPS = 3
"""Initial steps that allocate memory, compile and select kernels; they are not timed."""


@dataclass(frozen=True)
class TrialProfile:
    """The speed and memory of one trial."""

    epochs: tuple[float, ...] = ()
    """Seconds of each finished epoch; the first includes the set-up."""
    ended: bool = False
    """Whether the trial ran to its end."""
    steps: int = 0
    """Training steps that the trainable reported."""
    images: int | None = None
    """Training images per epoch, as the trainable reported."""
    images_per_second: float | None = None
    """Speed of the training steps after warm-up."""
    memory: int = 0
    """Bytes: the process's peak resident memory, less what it held before the import; of a program
    that of its largest process, which Linux counts from that of the process that started it."""
    gpu_peak: int | None = None
    """Bytes: the trial's peak GPU memory, as the trainable recorded."""
    gpu_total: int | None = None
    """Bytes: the GPU's memory."""
    error: str | None = None
    """Why the trial failed."""


def profile_trial(job: Job, trial_id: str) -> TrialProfile:
    """Run a trial for a short time, without writing anything.

    Call it in the main thread of a fresh process: peak memory is that of the process's whole
    life, and a timer signal interrupts the trial.
    """
    memory_before = _peak_memory()
    folder = temporary("folder")
    trial = _ProfiledTrial(job.tasks[trial_id], job.checkpoint_every, Path(folder.name))
    error = None
    silence = io.StringIO()
    try:
        with folder, contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence):
            trial.run(job)
    except Exception as raised:  # noqa: BLE001  (a trainable may raise anything)
        error = failures.reason(failures.of_gpu_memory(raised, trial.gpus) or raised)
    return TrialProfile(
        epochs=tuple(trial.epochs),
        ended=trial.ended,
        steps=trial.steps,
        images=trial.images,
        images_per_second=trial.images_per_second,
        memory=_peak_memory(resource.RUSAGE_CHILDREN)
        if job.is_program
        else _peak_memory() - memory_before,
        gpu_peak=trial.recorded_bytes("peak_memory_bytes"),
        gpu_total=trial.recorded_bytes("gpu_memory_bytes"),
        error=error,
    )


class _TimeUpError(BaseException):
    """Ends a trial from within; not an Exception, which the trainable might catch."""


class _ProfiledTrial(LiveTrial):
    """The trial of a pilot: times epochs and steps, stores nothing."""

    def __init__(self, task: Task, checkpoint_every: int, folder: Path) -> None:
        start = Start.unstored(task, checkpoint_every, str(folder))
        super().__init__(start, None, lambda _text: None, self._end_epoch)
        self.epochs: list[float] = []
        self.ended = False
        self.steps = 0
        self.images: int | None = None
        self._started = time.perf_counter()
        self._timed_images, self._timed_seconds = 0, 0.0
        self._last_step: float | None = None
        """When the previous step of the current epoch ended."""
        self._warm_since: float | None = None

    def run(self, job: Job) -> None:
        """Run the trial until it ends or its time is up."""
        trainable = job.enter(Recorder(job.folder, None))
        self._started = time.perf_counter()
        with _until(self._is_time_up):
            run_trainable(trainable, self)
            if not self.epochs:
                raise TrialError("the trainable ended without a metric: it yields or reports none")
            self.ended = True

    def _end_epoch(self, _report: Report) -> None:
        now = time.perf_counter()
        self.epochs.append(now - self._started - sum(self.epochs))
        self._last_step = None
        self._warm_since = self._warm_since or now

    def _is_time_up(self) -> bool:
        now = time.perf_counter()
        if self._warm_since is None:
            return now - self._started > WARM_UP_SECONDS
        return now - self._warm_since > SECONDS

    @property
    def images_per_second(self) -> float | None:
        return self._timed_images / self._timed_seconds if self._timed_seconds else None

    def recorded_bytes(self, fact: str) -> int | None:
        """Return a fact that the trainable recorded as a number of bytes."""
        return int(self.facts[fact]) if fact in self.facts else None

    def step(self, images: int, *, of: int) -> None:
        now = time.perf_counter()
        self.steps, self.images = self.steps + 1, of
        if self.steps == WARM_UP_STEPS:
            self._warm_since = self._warm_since or now
        elif self.steps > WARM_UP_STEPS and self._last_step is not None:
            self._timed_images += images
            self._timed_seconds += now - self._last_step
        self._last_step = now

    def probe(self, *_value: Any, **_place: Any) -> None:
        """Discard the value; the trainable has spent the time to compute it."""


@contextlib.contextmanager
def _until(is_time_up: Callable[[], bool]) -> Iterator[None]:
    """End the block when the time is up; check every second, by a signal."""

    def on_alarm(*_: Any) -> None:
        if is_time_up():
            # Leave the trainable time to clean up, then raise again: Python may have dropped the
            # error, as it does in a finalizer.
            signal.setitimer(signal.ITIMER_REAL, 10, 10)
            raise _TimeUpError

    handler_before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 1, 1)
    try:
        yield
    except _TimeUpError:
        return
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler_before)


def _peak_memory(who: int = resource.RUSAGE_SELF) -> int:
    """Return a peak of resident memory so far, in bytes."""
    peak = resource.getrusage(who).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
