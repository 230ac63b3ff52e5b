"""Trials one after another in this process, to debug with."""

from __future__ import annotations

import bdb
import contextlib
import functools
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import TypeAlias

from orchestrator.code import Trainable
from orchestrator.code.recorder import Recorder
from orchestrator.errors import EditedError, OrchError, TrialFailedError
from orchestrator.running import failures
from orchestrator.running.attempts import Attempt, Attempts
from orchestrator.running.execution import Epoch, Execution
from orchestrator.running.job import Job
from orchestrator.running.last_words import LastWords
from orchestrator.running.live_trial import ClosedError, LiveTrial, Report, run_trainable
from orchestrator.running.processes.seeding import Seeding, seed_of
from orchestrator.running.runners.inline_programs import run_programs
from orchestrator.running.trial_code import RunCode, TrialCode
from orchestrator.store import Store, Writer

_Handler: TypeAlias = Callable[[int, FrameType | None], object]


class InlineRunner:
    """Runs each trial where a breakpoint stops and a traceback points at the line.

    The traceback of each attempt that raises is printed, and the next attempt starts; a trial
    is retried after all others. Under ``python -m pdb -m orchestrator sweep … --runner inline``
    the debugger stops where it raised. Global generators are seeded for each trial, which starts in
    the job's folder; whatever else a trial changes in the process, the next one meets.
    """

    def run(self, job: Job, attempts: Attempts) -> None:
        """Run attempts one after another."""
        if job.is_program:
            run_programs(job, attempts)
            return
        last_words, writer = LastWords(sys.stderr), Writer(Store(job.store))
        run_code = RunCode(job, writer.store)
        code = TrialCode(run_code)  # of all trials, since each finds what those before have loaded
        with (
            Recorder.installed(job.folder, run_code.archive) as recorder,
            Seeding.installed() as seeding,
            _interruption() as is_interrupted,
            contextlib.redirect_stderr(last_words),
        ):
            recorder.forget_other_versions()
            try:
                trainable = job.enter(recorder)
            finally:
                recorder.require_unedited()
            while attempt := attempts.take():
                attempts.started(attempt)
                last_words.line = ""  # what was said before is not this attempt's
                seconds = 0.0
                try:
                    with contextlib.chdir(job.folder), _trial_errors(is_interrupted):
                        execution = Execution(
                            job,
                            job.tasks[attempt.trial_id],
                            writer,
                            attempt.number,
                            code,
                            lambda: attempts.winds_down,
                        )
                        with contextlib.closing(execution):
                            taking = _Taking(execution, attempts, attempt, recorder, code)
                            seeding.seed(seed_of(execution.start))
                            taking.run(trainable, functools.partial(writer.log, attempt.trial_id))
                            seconds = execution.seconds
                except _RaisedError as raised:
                    error = _edited(raised.cause, recorder) or _reported(
                        writer, attempt.trial_id, raised.cause, last_words.line
                    )
                    attempts.failed(attempt, error)
                else:
                    attempts.committed(attempt, seconds)


@dataclass
class _Taking:
    """Runs a trainable, and takes each epoch as it is handed over."""

    execution: Execution
    attempts: Attempts
    attempt: Attempt
    recorder: Recorder
    code: TrialCode

    def __post_init__(self) -> None:
        self._began = time.monotonic()

    def run(self, trainable: Trainable, log: Callable[[str], None]) -> None:
        """Run the attempt to its commit."""
        execution = self.execution
        if execution.resumed_from is not None:
            self._tell(execution.resumed_from)
        trial = LiveTrial(
            execution.start, execution.state, log, self._take, must_save=execution.must_save
        )
        trial.announce()
        try:
            run_trainable(trainable, trial)
        except ClosedError:
            pass
        except (Exception, SystemExit) as error:
            if not execution.is_over:
                raise
            log(failures.for_log(error))  # of its cleanup, which changes nothing any more
        self._note()
        execution.commit()

    def _take(self, report: Report) -> None:
        if self.execution.is_over:
            raise ClosedError  # once more, to a trainable that has caught the first one
        self._note()
        start = self.execution.start
        if start.timeout is not None and time.monotonic() > self._began + start.timeout:
            raise failures.timed_out(start.timeout)
        self._tell(self.execution.take(report))
        if self.execution.is_over:
            raise ClosedError

    def _note(self) -> None:
        self.recorder.require_unedited()
        self.code.note(self.recorder.loaded())

    def _tell(self, epoch: Epoch) -> None:
        try:
            self.attempts.epoch(self.attempt, epoch)
            self.attempts.require_time()
        except OrchError as error:  # the run's, which no trainable may catch
            raise _RunEndedError(error) from None


class _RunEndedError(BaseException):
    """Takes an error that ends the run through the trainable's frames."""

    def __init__(self, cause: OrchError) -> None:
        self.cause = cause
        super().__init__(cause)


class _RaisedError(Exception):
    """Distinguishes what a trial raised from what is raised about it."""

    def __init__(self, cause: BaseException) -> None:
        self.cause = cause
        super().__init__(cause)


def _edited(cause: BaseException, recorder: Recorder) -> EditedError | None:
    return cause if isinstance(cause, EditedError) else recorder.edited


@contextlib.contextmanager
def _trial_errors(is_interrupted: Callable[[], bool]) -> Iterator[None]:
    """Tell what a trial raises in the block from what the user, or the run, does."""
    try:
        yield
    except _RunEndedError as ended:
        raise ended.cause from None
    except bdb.BdbQuit:
        raise KeyboardInterrupt from None  # the user left the debugger
    except BaseException as error:
        if _in_debugger() or (isinstance(error, KeyboardInterrupt) and is_interrupted()):
            raise
        raise _RaisedError(error) from error


@contextlib.contextmanager
def _interruption() -> Iterator[Callable[[], bool]]:
    """Distinguish Ctrl-C, and SIGTERM if it is handled, from what a trainable raises."""
    received = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield lambda: True
        return
    with contextlib.ExitStack() as restored:
        for number in (signal.SIGINT, signal.SIGTERM):
            before = signal.getsignal(number)
            if callable(before):
                signal.signal(number, _noted(received, before))
                restored.callback(signal.signal, number, before)
        yield received.is_set


def _noted(received: threading.Event, before: _Handler) -> _Handler:
    """Note that a signal has come before it is handled."""

    def note(number: int, frame: FrameType | None) -> object:
        received.set()
        return before(number, frame)

    return note


def _reported(
    writer: Writer, trial_id: str, error: BaseException, last_words: str
) -> BaseException:
    """Print what a trial raised, and return it with all that is known of its reason."""
    text = failures.for_log(error)
    writer.log(trial_id, text)
    writer.flush_log()
    sys.stderr.write(text)
    if isinstance(error, SystemExit):
        return TrialFailedError(failures.reason(error, last_words), *failures.in_user_code(error))
    return error


def _in_debugger() -> bool:
    tracer = getattr(sys.gettrace(), "__self__", None)
    return isinstance(tracer, bdb.Bdb)
