"""The worker processes of the Tune runner, and the texts that name an attempt in Tune."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Mapping
from typing import Any

from ray import tune

from orchestrator.errors import OrchError, RunError, TrialFailedError
from orchestrator.running import failures
from orchestrator.running.attempts import Attempt
from orchestrator.running.execution import Execution
from orchestrator.running.job import Job, Task
from orchestrator.running.processes.descendants import become_subreaper
from orchestrator.running.processes.host import TrialProcesses
from orchestrator.running.runners.save_request import SaveRequest
from orchestrator.running.trial_code import RunCode, TrialCode
from orchestrator.store import Store, Writer
from orchestrator.temporary import clear_abandoned


def text_of(attempt: Attempt, job: Job) -> str:
    """Write what Tune needs, briefly: it copies the texts of all trials for each trial."""
    task = job.tasks[attempt.trial_id]
    return f"{attempt.trial_id} {attempt.number} {task.cpu} {task.gpu}"


def attempt_of(config: Mapping[str, Any]) -> Attempt:
    """Read the attempt from a Tune config."""
    trial_id, number, *_ = config["trial"].split()
    return Attempt(trial_id, int(number))


class Worker(tune.Trainable):
    """Runs one trial after another, one epoch per step.

    It holds the resources and writes to the store; each trial computes in a process of its own.
    """

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """Request the trial's CPUs and GPUs."""
        *_, cpu, gpu = config["trial"].split()
        return tune.PlacementGroupFactory([{"CPU": float(cpu), "GPU": float(gpu)}])

    def setup(
        self,
        config: dict[str, Any],
        job: Job | None = None,
        save_request: SaveRequest | None = None,
    ) -> None:
        """Prepare for the first attempt."""
        if job is None or save_request is None:
            raise RunError("Tune started a worker without its job")
        self._job, self._save_request = job, save_request
        self._writer = Writer(Store(self._job.store))
        self._run_code = RunCode(job, self._writer.store)
        self._attempt = attempt_of(config)
        self._epochs = self._run()
        clear_abandoned()  # of this node
        job.set_environment()
        become_subreaper()
        self._processes = TrialProcesses(job.runs, job.folder, self._task.threads, self._run_code)
        self._processes.start()  # while Tune learns that the worker is there

    @property
    def _task(self) -> Task:
        return self._job.tasks[self._attempt.trial_id]

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Switch to the next attempt."""
        self._epochs.close()
        self._attempt = attempt_of(new_config)
        self._epochs = self._run()
        return True

    def step(self) -> dict[str, Any]:
        """Run an epoch, with what the trainable prints going to the trial's log.

        A failure is a result too: Tune would end this process for an exception, and start another.
        """
        try:
            return next(self._epochs)
        except Exception as error:
            if not isinstance(error, TrialFailedError):  # whose process has printed its traceback
                self._log(failures.for_log(error))
            self._writer.flush_log()
            if not isinstance(error, OrchError):
                raise
            return {"done": True, "failed": error}

    def _run(self) -> Generator[dict[str, Any], None, None]:
        """Run the attempt; yield the result of each step: an epoch, and then the end."""
        code = TrialCode(self._run_code)
        asked = self._save_request.is_made
        number = self._attempt.number
        execution = Execution(self._job, self._task, self._writer, number, code, asked)
        reports = self._processes.run(execution.start, execution.state, self._log, code.note, asked)
        with contextlib.closing(execution.follow(reports)) as epochs:
            for epoch in epochs:
                yield {
                    "epoch": epoch.number,
                    "metrics": dict(epoch.metrics),
                    "is_saved": epoch.is_saved,
                }
        yield {"done": True, "seconds": execution.seconds}

    def _log(self, text: str) -> None:
        self._writer.log(self._attempt.trial_id, text)

    def cleanup(self) -> None:
        """End the trial, and the processes that wait for the next one."""
        self._epochs.close()
        self._processes.close()
