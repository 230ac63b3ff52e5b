"""Runs one trial: drives the trainable epoch by epoch and writes its results to the store."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.columns import Status
from orchestrator.errors import TrialError
from orchestrator.running.job import Job, Task
from orchestrator.running.live_trial import Report, Start
from orchestrator.running.resuming import (
    GapError,
    can_go_on,
    counters_of,
    require_loaded,
    rows_before,
)
from orchestrator.running.rows import device_of, ended_row
from orchestrator.running.trial_code import TrialCode
from orchestrator.running.watched import is_diverged, require_selected
from orchestrator.running.yielded import Metrics
from orchestrator.store import Writer
from orchestrator.store.checkpoint import About, Checkpoint, Part
from orchestrator.store.epochs import metric_names, metrics_of, table_of
from orchestrator.store.saving import Saving
from orchestrator.store.schema import PROBE_SCHEMA, Layout
from orchestrator.store.trial_folder import TrialFolder

_NO_PROBES = pa.Table.from_batches([], PROBE_SCHEMA)  # `empty_table` would import pandas


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
        """The probe rows since the last checkpoint."""
        self._seconds = 0.0
        self._started_at = datetime.now(UTC)
        self._resumed_at: tuple[int, ...] = ()
        self._facts: dict[str, str] = {}
        self._status: Status | None = None
        self._placed = False
        """Whether the attempt's first epoch has shown where it goes on."""
        files = writer.store.files
        self._folder = TrialFolder(files, task.trial_id)
        checkpoint = writer.store.checkpoint(task.trial_id, with_state=True)
        if checkpoint is not None:
            self._attempt = max(attempt, checkpoint.head.attempt + 1)
        self._saving = Saving(files, task.trial_id, self._attempt, self._folder)
        self._state = self._resume(checkpoint)
        self._resumed = self._state is not None
        """Whether the epoch that the trial resumes from is still to be reported."""
        start = Start(
            params=task.params,
            epoch=len(self._epochs) + 1,
            facts=self._facts,
            threads=task.threads,
            gpus=task.gpu,
            smoke=job.smoke,
            checkpoint_every=job.checkpoint_every,
            attempt=self._attempt,
            folder=str(self._folder.path),
        )
        self._reports = self._run(launch, start, self._state)

    def _run(
        self, launch: Launch, start: Start, state: bytes | None
    ) -> Generator[Report, None, None]:
        self._code.run.require_inputs_unedited()
        yield from launch(start, state)

    def _resume(self, checkpoint: Checkpoint | None) -> bytes | None:
        """Take over what an earlier attempt has left, and return its state."""
        if checkpoint is None or self._is_stale(checkpoint) or not can_go_on(checkpoint):
            if checkpoint is not None and checkpoint.head.epochs:
                self._saving.begin_anew(self._about())
            self._folder.empty()
            return None
        about = checkpoint.head.about
        self._folder.fetch(checkpoint.head.folder)
        self._epochs = checkpoint.rows.epochs.to_pylist()
        self._probes.append(checkpoint.rows.probes)
        self._seconds, self._started_at = about.seconds, about.started_at
        self._resumed_at, self._facts = about.resumed_at, dict(about.facts)
        self._code.inherit(about.code_digest)
        return checkpoint.state

    def _is_stale(self, checkpoint: Checkpoint) -> bool:
        """Tell whether other code has written a checkpoint, and say so in the log."""
        stale = self._code.run.why_stale(checkpoint.head.about.code_digest)
        if stale and checkpoint.head.epochs:
            self._writer.log(
                self._task.trial_id,
                f"the checkpoint of an earlier attempt is dropped, since {stale}; "
                "the trial begins anew",
            )
        return bool(stale)

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
            if not self._placed:
                self._place(report)
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
        self._folder.close()

    def _place(self, report: Report | None) -> None:
        """Compare the attempt's first epoch, if it has one, with those of earlier attempts."""
        self._placed = True
        count = len(self._epochs)
        if not count:
            return
        if self._state is None:
            try:
                count = rows_before(self._epochs, report and counters_of(report))
            except GapError:
                self._saving.begin_anew(self._about())
                raise
        elif report is not None:
            require_loaded(report, count)
        self._epochs = self._epochs[:count]
        self._probes = [probes.filter(pc.field("epoch") <= count) for probes in self._probes]
        earlier = (epoch for epoch in self._resumed_at if epoch < count)
        self._resumed_at = (*earlier, count) if count else ()

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
            rows = ((number, *row[1:]) for row in report.probes)
            columns = zip(*rows, strict=True)
            arrays = [pa.array(c, t) for c, t in zip(columns, PROBE_SCHEMA.types, strict=True)]
            self._probes.append(pa.table(arrays, schema=PROBE_SCHEMA))
        if is_diverged(metrics, self._job.watched):
            self._status = Status.DIVERGED
            self.close()
        elif report.state is not None or self._is_kept_unsaved(number):
            self._save(report.state)
        return Epoch(number, metrics)

    def _is_kept_unsaved(self, epoch: int) -> bool:
        """Tell whether an epoch's rows are kept though the trial has not saved a state so far."""
        has_state = self._state is not None or self._saving.has_state
        return not (has_state or self._job.smoke) and epoch % self._job.checkpoint_every == 0

    def _save(self, state: bytes | None) -> None:
        new = self._epochs[self._saving.epochs :]
        part = Part(table_of(new), pa.concat_tables(self._probes))
        self._saving.save(part, state, self._about())
        self._probes = [_NO_PROBES]

    def _about(self) -> About:
        return About(
            row=dict(self._task.row),
            code_digest=self._code.digest(),
            seconds=self._seconds,
            started_at=self._started_at,
            resumed_at=self._resumed_at,
            device=device_of(self._task, self._facts),
            facts=self._facts,
        )

    def _all_probes(self) -> pa.Table:
        return pa.concat_tables([self._saving.probes, *self._probes]).unify_dictionaries()

    def _commit(self) -> None:
        """Write the trial's rows, unless a worker of another driver has already done so."""
        if not self._epochs:
            raise TrialError("the trainable ended without yielding metrics")
        task, job, epochs = self._task, self._job, table_of(self._epochs)
        if self._status is Status.COMPLETED:
            require_selected(epochs, job.layout.select_metric, job.entry)
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
                resumed_at=self._resumed_at,
                facts=self._facts,
            )
            row |= self._code.columns()
            self._writer.commit(row, epochs, self._all_probes(), self._layout(epochs))
        self._writer.drop_checkpoint(task.trial_id)
        self._folder.close()
        self._writer.flush_log()

    def _layout(self, epochs: pa.Table) -> Layout:
        """Return the store's columns, to which the driver has added those of the last epoch."""
        layout, names = self._job.layout, metric_names(epochs)
        if not set(names) <= set(layout.metrics):
            stored = self._writer.store.layout() or layout
            layout = layout.with_metrics(dict.fromkeys([*stored.metrics, *names]))
        return layout
