"""A command's trials one after another; each is a process of its own here too."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator

from orchestrator.running import failures
from orchestrator.running.attempts import Attempt, Attempts
from orchestrator.running.execution import Epoch, Execution
from orchestrator.running.job import Job
from orchestrator.running.processes.descendants import subreaping
from orchestrator.running.processes.host import TrialProcesses
from orchestrator.running.trial_code import RunCode, TrialCode
from orchestrator.store import Store, Writer


def run_programs(job: Job, attempts: Attempts) -> None:
    """Run attempts one after another, and show on the terminal what the programs print."""
    job.set_environment()
    writer = Writer(Store(job.store))
    run_code = RunCode(job, writer.store)
    while attempt := attempts.take():
        attempts.started(attempt)
        threads = job.tasks[attempt.trial_id].threads
        processes = TrialProcesses(job.runs, job.folder, threads, run_code)
        with subreaping(), contextlib.closing(processes):
            error = _run(job, attempt, attempts, writer, processes, TrialCode(run_code))
        if error is not None:
            writer.log(attempt.trial_id, failures.for_log(error))
            writer.flush_log()
            attempts.failed(attempt, error)


def _run(
    job: Job,
    attempt: Attempt,
    attempts: Attempts,
    writer: Writer,
    processes: TrialProcesses,
    code: TrialCode,
) -> Exception | None:
    """Run an attempt; return what ended it, if it is not committed."""

    def log(text: str) -> None:
        writer.log(attempt.trial_id, text)
        print(text, file=sys.stderr)  # standard output is for the tables

    try:
        task = job.tasks[attempt.trial_id]
        execution = Execution(job, task, writer, attempt.number, code, lambda: attempts.winds_down)
    except Exception as error:  # noqa: BLE001  (see `_next`)
        return error
    reports = processes.run(execution.start, execution.state, log, code.note, execution.must_save)
    with contextlib.closing(execution.follow(reports)) as epochs:
        while not isinstance(epoch := _next(epochs), Exception):
            if epoch is None:
                attempts.committed(attempt, execution.seconds)
                return None
            attempts.epoch(attempt, epoch)
            attempts.require_time()
    return epoch


def _next(epochs: Generator[Epoch, None, None]) -> Epoch | Exception | None:
    """Return the attempt's next epoch, None after its commit, or what ended it."""
    try:
        return next(epochs, None)
    except Exception as error:  # noqa: BLE001  (as a Ray worker's, whatever it is)
        return error
