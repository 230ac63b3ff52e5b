"""Trials one after another in this process, to debug with."""

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
    """Runs each trial where a breakpoint stops and a traceback points at the line.

    A trial that raises is not tried again: its traceback is printed, and the next one
    starts. Under ``python -m pdb -m orchestrator sweep … --runner inline`` the debugger
    stops where it raised.
    """

    def run(
        self,
        job: Job,
        todo: Sequence[str],
        retries: int,  # noqa: ARG002  (the same code would fail again in the same process)
        watcher: Watcher,
    ) -> None:
        """Run trials in the given order."""
        trainable, writer = job.enter(), Writer(Store(job.store))
        for trial_id in todo:
            watcher.started(trial_id)
            begun = time.perf_counter()
            try:
                for epoch in _epochs(job, trial_id, writer, trainable):
                    watcher.epoch(trial_id, epoch)
            except _TrialFailedError as error:
                watcher.failed(trial_id, _report(writer, trial_id, error.cause), 1, again=False)
            else:
                watcher.finished(trial_id, time.perf_counter() - begun)


class _TrialFailedError(Exception):
    """Tells what a trial raised from what its watcher raised."""

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
