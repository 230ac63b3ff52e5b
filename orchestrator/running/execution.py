"""Runs one trial: drives the trainable epoch by epoch and writes its results to the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from orchestrator.columns import Status
from orchestrator.errors import TrialError
from orchestrator.running.job import Job, Task
from orchestrator.running.live_trial import Report, Start
from orchestrator.running.rows import device_of, ended_row
from orchestrator.running.trial_code import TrialCode
from orchestrator.running.watched import is_diverged, require_selected
from orchestrator.running.yielded import Metrics
from orchestrator.store import Writer
from orchestrator.store.checkpoint import Checkpoint
from orchestrator.store.epochs import metric_names, metrics_of, table_of
from orchestrator.store.schema import PROBE_SCHEMA, Layout

_NO_PROBES = PROBE_SCHEMA.empty_table()


@dataclass(frozen=True)
class Epoch:
    """The metrics of one epoch."""

    number: int
    """From 1."""
    metrics: Metrics


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
            EditedError: a file that the trial needs was edited while the sweep ran.
            GpuMemoryError: the trial runs out of GPU memory.
            MetricError: the trial ends without one value of the selection metric.
            TrialError: the trainable breaks the contract of `orchestrator.trial`.
            Exception: whatever the trainable raises.
        """
        if self._resumed:
            self._resumed = False
            # A checkpoint's rows have all metrics so far, null where an epoch lacks one.
            return Epoch(len(self._epochs), metrics_of(self._epochs[-1]))
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

    def _end_epoch(self, report: Report) -> Epoch:
        metrics, number = dict(report.metrics), len(self._epochs) + 1
        now = time.perf_counter()
        self._epochs.append(
            {"epoch": number, "step": report.step, **metrics, "seconds": now - self._clock}
        )
        self._seconds += now - self._clock
        self._clock = now
        self._facts = report.facts
        if report.probes:
            columns = zip(*report.probes, strict=True)
            arrays = [pa.array(c, t) for c, t in zip(columns, PROBE_SCHEMA.types, strict=True)]
            self._probes.append(pa.table(arrays, schema=PROBE_SCHEMA))
        if is_diverged(metrics, self._job.watched):
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
            epochs=table_of(self._epochs),
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
        task, job, epochs = self._task, self._job, table_of(self._epochs)
        if self._status is Status.COMPLETED:
            require_selected(epochs, job.layout.select_metric, job.trainable)
        self._code.run.require_inputs_unedited()
        if not self._writer.is_finished(task.trial_id, self._code.run.is_current):
            row = ended_row(
                job,
                task,
                epochs,
                status=self._status,
                attempts=self._attempt,
                seconds=self.seconds,
                started_at=self._started_at,
                facts=self._facts,
            )
            row |= self._code.columns()
            self._writer.commit(row, epochs, self._all_probes(), self._layout(epochs))
        self._writer.drop_checkpoint(task.trial_id)
        self._writer.flush_log()

    def _layout(self, epochs: pa.Table) -> Layout:
        """Return the store's columns, to which the driver has added those of the last epoch."""
        layout, names = self._job.layout, metric_names(epochs)
        if not set(names) <= set(layout.metrics):
            stored = self._writer.store.layout() or layout
            layout = layout.with_metrics(dict.fromkeys([*stored.metrics, *names]))
        return layout
