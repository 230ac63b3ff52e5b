"""Runs one trial: drives the trainable epoch by epoch and writes its results to the store."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from orchestrator.columns import Status
from orchestrator.errors import MetricsChangedError, TrialError
from orchestrator.running.job import Job, Task
from orchestrator.running.live_trial import Report, Start
from orchestrator.running.rows import device_of, ended_row, metrics_of
from orchestrator.running.trial_code import TrialCode
from orchestrator.store import Writer
from orchestrator.store.checkpoint import Checkpoint
from orchestrator.store.schema import PROBE_SCHEMA

_NO_PROBES = PROBE_SCHEMA.empty_table()


@dataclass(frozen=True)
class Epoch:
    """The metrics of one epoch."""

    number: int
    """From 1."""
    metrics: Mapping[str, float]


Launch = Callable[[Start, bytes | None], Generator[Report, None, None]]
"""Runs a trial's trainable, given the state of its checkpoint; closing it ends the trial."""


class Execution:
    """Runs one trial, an epoch at a time, starting from its last checkpoint."""

    def __init__(
        self, job: Job, task: Task, writer: Writer, launch: Launch, attempt: int, code: TrialCode
    ) -> None:
        self._clock = time.perf_counter()
        self._job, self._task, self._writer, self._attempt = job, task, writer, attempt
        self._code = code
        self._expected_metrics = job.layout.metrics
        self._epochs: list[dict[str, Any]] = []
        self._probes: list[pa.Table] = [_NO_PROBES]
        self._seconds = 0.0
        self._started_at = datetime.now(UTC)
        self._status: Status | None = None
        checkpoint = self._resume()
        self._resumed = checkpoint is not None
        """Whether the epoch that the trial resumes from is still to be reported."""
        self._facts = dict(checkpoint.facts) if checkpoint else {}
        start = Start(
            params=task.params,
            epoch=len(self._epochs) + 1,
            facts=self._facts,
            threads=task.threads,
            gpus=task.gpu,
            smoke=job.smoke,
            checkpoint_every=job.checkpoint_every,
            attempt=attempt,
        )
        self._reports = self._run(launch, start, checkpoint.state if checkpoint else None)

    def _run(
        self, launch: Launch, start: Start, state: bytes | None
    ) -> Generator[Report, None, None]:
        self._code.run.require_inputs_unedited()
        yield from launch(start, state)

    def _resume(self) -> Checkpoint | None:
        """Load the checkpoint of an earlier attempt, unless other code wrote it."""
        checkpoint = self._writer.store.checkpoint(self._task.trial_id)
        if checkpoint is None:
            return None
        if stale := self._code.run.why_stale(checkpoint.code_digest):
            self._writer.log(
                self._task.trial_id,
                "the checkpoint of an earlier attempt is dropped, since "
                f"{stale}; the trial begins anew",
            )
            return None
        self._epochs = checkpoint.epochs.to_pylist()
        self._probes.append(checkpoint.probes)
        self._seconds, self._started_at = checkpoint.seconds, checkpoint.started_at
        return checkpoint

    def advance(self) -> Epoch | None:
        """Run one more epoch; None when the trial has ended and its rows are committed.

        Raises:
            GpuMemoryError: the trial runs out of GPU memory.
            EditedError: a file that the trial needs was edited while the sweep ran.
            MetricsChangedError: the trial's metrics differ from those of earlier epochs or trials.
            TrialError: the trainable breaks the contract of `orchestrator.trial`.
            Exception: whatever the trainable raises.
        """
        if self._resumed:
            self._resumed = False
            return Epoch(len(self._epochs), metrics_of(self._epochs[-1]))
        self._require_store_metrics()
        if self._status is None:
            report = next(self._reports, None)
            if report is not None:
                return self._end_epoch(report)
            self._status = Status.COMPLETED
        self._commit()
        return None

    @property
    def seconds(self) -> float:
        """Time spent on the trial so far, in all attempts."""
        return self._seconds + time.perf_counter() - self._clock

    def close(self) -> None:
        """End the trial's process, or close its generator, which frees what it holds."""
        self._reports.close()

    def _require_store_metrics(self) -> None:
        """Compare with the store's metrics, which the driver wrote after the first epoch of all."""
        if not self._epochs:
            return
        metrics = tuple(metrics_of(self._epochs[0]))
        if not self._expected_metrics:
            layout = self._writer.store.layout()
            self._expected_metrics = (layout.metrics if layout else ()) or metrics
        _require_same_metrics(metrics, self._expected_metrics, "other trials")

    def _end_epoch(self, report: Report) -> Epoch:
        metrics, number = dict(report.metrics), len(self._epochs) + 1
        if self._epochs:
            earlier = tuple(metrics_of(self._epochs[0]))
            _require_same_metrics(tuple(metrics), earlier, "its earlier epochs")
        now = time.perf_counter()
        self._epochs.append(
            {"epoch": number, "step": None, **metrics, "seconds": now - self._clock}
        )
        self._seconds += now - self._clock
        self._clock = now
        self._facts = report.facts
        if report.probes:
            columns = zip(*report.probes, strict=True)
            arrays = [pa.array(c, t) for c, t in zip(columns, PROBE_SCHEMA.types, strict=True)]
            self._probes.append(pa.table(arrays, schema=PROBE_SCHEMA))
        if not all(map(math.isfinite, metrics.values())):
            self._status = Status.DIVERGED
            self.close()
        elif report.state is not None:
            self._save(report.state)
        return Epoch(number, metrics)

    def _save(self, state: bytes) -> None:
        checkpoint = Checkpoint(
            row=dict(self._task.row),
            code_digest=self._code.digest(),
            state=state,
            epochs=pa.Table.from_pylist(self._epochs),
            probes=self._all_probes(),
            seconds=self._seconds,
            attempts=self._attempt,
            started_at=self._started_at,
            device=device_of(self._task, self._facts),
            facts=self._facts,
        )
        self._writer.save_checkpoint(self._task.trial_id, checkpoint)

    def _all_probes(self) -> pa.Table:
        self._probes = [pa.concat_tables(self._probes).unify_dictionaries()]
        return self._probes[0]

    def _commit(self) -> None:
        """Write the trial's rows, unless a worker of another driver has already done so."""
        if not self._epochs:
            raise TrialError("the trainable ended without yielding metrics")
        task, job = self._task, self._job
        self._code.run.require_inputs_unedited()
        if not self._writer.is_finished(task.trial_id, self._code.run.is_current):
            layout = job.layout.with_metrics(self._expected_metrics)
            row = ended_row(
                job,
                task,
                self._epochs,
                select_metric=layout.select_metric,
                status=self._status,
                attempts=self._attempt,
                seconds=self.seconds,
                started_at=self._started_at,
                facts=self._facts,
            )
            epochs = pa.Table.from_pylist(self._epochs)
            self._writer.commit({**row, **self._code.columns()}, epochs, self._all_probes(), layout)
        self._writer.drop_checkpoint(task.trial_id)
        self._writer.flush_log()


def _require_same_metrics(metrics: tuple[str, ...], expected: tuple[str, ...], whose: str) -> None:
    if set(metrics) != set(expected):
        raise MetricsChangedError(
            f"the trial yields the metrics {', '.join(metrics)}, but {whose} "
            f"have {', '.join(expected)}"
        )
