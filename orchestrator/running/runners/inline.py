"""Runs trials one after another in this process, for debugging."""

from __future__ import annotations

import bdb
import sys
import time
import traceback
from collections.abc import Iterator, Sequence

from orchestrator.code import Trainable
from orchestrator.running import failures
from orchestrator.running.execution import Epoch, Execution
from orchestrator.running.job import Job
from orchestrator.running.runners import Watcher
from orchestrator.store import Store, Writer


class InlineRunner:
    """Runs each trial in this process, so that breakpoints and tracebacks work.

    A trial that raises is not retried: its traceback is printed, and the next one starts. Under
    ``python -m pdb -m orchestrator sweep … --runner inline`` the debugger stops where the
    trainable raised.
    """

    def run(
        self,
        job: Job,
        todo: Sequence[str],
        retries: int,  # noqa: ARG002  (a retry in the same process would fail again)
        watcher: Watcher,
    ) -> None:
        """Run trials in the given order."""
        trainable, writer = job.enter(), Writer(Store(job.store))
        for trial_id in todo:
            watcher.started(trial_id)
            started = time.perf_counter()
            try:
                for epoch in _epochs(job, trial_id, writer, trainable):
                    watcher.epoch(trial_id, epoch)
            except _TrialFailedError as error:
                watcher.failed(trial_id, _report(writer, trial_id, error.cause), 1, again=False)
            else:
                watcher.finished(trial_id, time.perf_counter() - started)


class _TrialFailedError(Exception):
    """Wraps an error of a trial, to distinguish it from one of the watcher."""

    def __init__(self, cause: Exception) -> None:
        self.cause = cause
        super().__init__(cause)


def _epochs(job: Job, trial_id: str, writer: Writer, trainable: Trainable) -> Iterator[Epoch]:
    try:
        execution = Execution(job, job.tasks[trial_id], writer, trainable, attempt=1)
        while epoch := execution.advance():
            yield epoch
    except bdb.BdbQuit:
        raise KeyboardInterrupt from None  # the user left the debugger
    except Exception as error:
        if _in_debugger():
            raise
        raise _TrialFailedError(error) from error


def _report(writer: Writer, trial_id: str, error: Exception) -> str:
    text = "".join(traceback.format_exception(error))
    writer.log(trial_id, text)
    writer.flush_log()
    sys.stderr.write(text)
    return failures.reason(error)


def _in_debugger() -> bool:
    tracer = getattr(sys.gettrace(), "__self__", None)
    return isinstance(tracer, bdb.Bdb)
