"""The worker processes of the Tune runner, and the texts that name an attempt in Tune."""

from __future__ import annotations

import contextlib
import io
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ray import tune

from orchestrator.errors import RunError
from orchestrator.running.execution import Epoch, Execution
from orchestrator.running.job import Job
from orchestrator.store import Store, Writer


@dataclass(frozen=True)
class Attempt:
    """One attempt at a trial, numbered from 1."""

    trial_id: str
    number: int

    def __str__(self) -> str:
        return f"{self.trial_id}-{self.number}"

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Attempt:
        """Read the attempt from a Tune config."""
        trial_id, number, *_ = config["trial"].split()
        return cls(trial_id, int(number))

    def as_text(self, job: Job) -> str:
        """Write what Tune needs, briefly: it copies the texts of all trials for each trial."""
        task = job.tasks[self.trial_id]
        return f"{self.trial_id} {self.number} {task.cpu} {task.gpu}"


class Worker(tune.Trainable):
    """A process that runs one trial after another, one epoch per step."""

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """Request the trial's CPUs and GPUs."""
        *_, cpu, gpu = config["trial"].split()
        return tune.PlacementGroupFactory([{"CPU": float(cpu), "GPU": float(gpu)}])

    def setup(self, config: dict[str, Any], job: Job | None = None) -> None:
        """Prepare the process for its first attempt."""
        if job is None:
            raise RunError("Tune started a worker without its job")
        self._job = job
        self._writer = Writer(Store(self._job.store))
        self._execution: Execution | None = None
        self._attempt = Attempt.of(config)
        self._log = _Log(self._writer, self._attempt.trial_id)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Switch to the next attempt."""
        self._close_execution()
        self._attempt = Attempt.of(new_config)
        self._log.trial_id = self._attempt.trial_id
        return True

    def step(self) -> dict[str, Any]:
        """Run an epoch, with the trainable's output going to the trial's log."""
        try:
            with contextlib.redirect_stdout(self._log), contextlib.redirect_stderr(self._log):
                epoch = self._advance()
        except Exception as error:
            self._log.write("".join(traceback.format_exception(error)))
            self._writer.flush_log()
            raise
        if epoch is None:
            return {"done": True, "seconds": self._execution.seconds if self._execution else 0.0}
        return {"epoch": epoch.number, "metrics": dict(epoch.metrics)}

    def _advance(self) -> Epoch | None:
        if self._execution is None:
            task = self._job.tasks[self._attempt.trial_id]
            self._execution = Execution(
                self._job, task, self._writer, self._job.enter(), self._attempt.number
            )
        return self._execution.advance()

    def cleanup(self) -> None:
        """Close the last attempt."""
        self._close_execution()

    def _close_execution(self) -> None:
        if self._execution is not None:
            self._execution.close()
            self._execution = None


class _Log(io.TextIOBase):
    """The log of a worker's current trial, as a stream that receives the trainable's output.

    A worker has one for its whole life, since `logging` keeps the stream that it first gets.
    """

    def __init__(self, writer: Writer, trial_id: str) -> None:
        self._writer, self.trial_id = writer, trial_id

    def write(self, text: str) -> int:
        if text.strip():
            self._writer.log(self.trial_id, text)
        return len(text)
