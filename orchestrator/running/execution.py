"""One attempt at a trial, as the store sees it: where it goes on, its epochs, its commit."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.columns import Status
from orchestrator.errors import StoreError, TrialError
from orchestrator.running.job import Job, Task
from orchestrator.running.live_trial import Pace, Report, Start
from orchestrator.running.metric_checks import is_diverged, require_selected
from orchestrator.running.resuming import (
    GapError,
    can_go_on,
    counters_of,
    goes_on_after,
    require_loaded,
    rows_before,
)
from orchestrator.running.rows import device_of, ended_row
from orchestrator.running.trial_code import TrialCode
from orchestrator.running.yielded import Metrics
from orchestrator.store import Writer
from orchestrator.store.checkpoint import About, Checkpoint, Rows
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
    is_saved: bool = False
    """Whether another attempt could go on from it."""


class Execution:
    """Takes the epochs of one attempt, which starts from the last checkpoint, and stores them.

    Whoever runs the trainable gives it ``start`` and ``state``, hands over each epoch to `take`
    until the trainable has ended or `is_over`, and calls `commit`; `follow` does so for what
    another process reports. ``must_save`` tells whether the run ends once the trial has saved.

    Raises:
        EditedError: a file that the trial needs was edited while the sweep ran.
    """

    def __init__(
        self,
        job: Job,
        task: Task,
        writer: Writer,
        attempt: int,
        code: TrialCode,
        must_save: Callable[[], bool] = lambda: False,
    ) -> None:
        code.run.require_inputs_unedited()
        self._clock = time.perf_counter()
        self._job, self._task, self._writer, self._attempt = job, task, writer, attempt
        self._code, self.must_save = code, must_save
        self._epochs: list[dict[str, Any]] = []
        self._probes: list[pa.Table] = [_NO_PROBES]
        """The probe rows since the last checkpoint."""
        self._seconds = 0.0
        self._started_at = datetime.now(UTC)
        self._resumed_at: tuple[int, ...] = ()
        self._facts: dict[str, str] = {}
        self._status = Status.COMPLETED
        self._placed = False
        """Whether the attempt's first epoch has shown where it goes on."""
        files = writer.store.files
        self._folder = TrialFolder(files, task.trial_id)
        checkpoint = writer.store.checkpoint(task.trial_id, with_state=True)
        if checkpoint is not None:
            self._attempt = max(attempt, checkpoint.head.attempt + 1)
        self._saving = Saving(files, task.trial_id, self._attempt, self._folder)
        self.state = self._resume(checkpoint)
        """Of the checkpoint; None without one."""
        self.start = Start(
            trial_id=task.trial_id,
            params=task.params,
            epoch=len(self._epochs) + 1,
            facts=self._facts,
            threads=task.threads,
            gpus=task.gpu,
            smoke=job.smoke,
            checkpoint_every=job.checkpoint_every,
            attempt=self._attempt,
            folder=str(self._folder.path),
            timeout=job.timeout,
            stops_at=job.stops_at,
        )
        self._pace = Pace()

    @property
    def is_over(self) -> bool:
        """Whether no further epoch is wanted, since the trial has diverged."""
        return self._status is Status.DIVERGED

    @property
    def resumed_from(self) -> Epoch | None:
        """The epoch whose state the attempt resumes from, to be reported before its own."""
        if self.state is None:
            return None
        # A checkpoint's rows have all metrics so far, null where an epoch lacks one.
        return Epoch(len(self._epochs), metrics_of(self._epochs[-1]))

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

    @property
    def seconds(self) -> float:
        """Time spent on the trial so far, in all attempts."""
        return self._seconds + time.perf_counter() - self._clock

    def close(self) -> None:
        """Leave the trial's folder, once nothing runs in it."""
        self._folder.close()

    def _place(self, report: Report | None) -> None:
        """Compare the attempt's first epoch, if it has one, with those of earlier attempts."""
        self._placed = True
        count = len(self._epochs)
        if not count:
            return
        if self.state is None:
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

    def take(self, report: Report) -> Epoch:
        """Take one more epoch, and save what is due.

        Raises:
            TrialError: the attempt does not go on where the checkpoint ends.
        """
        earlier: dict[str, None] = {}
        if not self._placed:
            self._place(report)
            # The driver of this attempt may not know the metrics of the rows that stay.
            earlier = dict.fromkeys(metrics_of(self._epochs[-1]) if self._epochs else ())
        metrics, number = dict(report.metrics), len(self._epochs) + 1
        now = time.perf_counter()
        self._epochs.append(
            {"epoch": number, "step": report.step, **metrics, "seconds": now - self._clock}
        )
        self._seconds += now - self._clock
        self._clock = now
        self._facts = report.facts
        self._pace.epoch()
        if report.probes:
            rows = ((number, *row[1:]) for row in report.probes)
            columns = zip(*rows, strict=True)
            arrays = [pa.array(c, t) for c, t in zip(columns, PROBE_SCHEMA.types, strict=True)]
            self._probes.append(pa.table(arrays, schema=PROBE_SCHEMA))
        if is_diverged(metrics, self._job.watched):
            self._status = Status.DIVERGED
        elif report.state is not None or self._is_kept_unsaved(number):
            self._save(report.state)
            return Epoch(number, {**earlier, **metrics}, is_saved=goes_on_after(report))
        return Epoch(number, {**earlier, **metrics})

    def _is_kept_unsaved(self, epoch: int) -> bool:
        """Tell whether an epoch's rows are kept though the trial has not saved a state so far."""
        has_state = self.state is not None or self._saving.has_state
        every, stops_at = self._job.checkpoint_every, self._job.stops_at
        is_due = self._pace.is_due(epoch, every, stops_at, self.must_save)
        return is_due and not (has_state or self._job.smoke)

    def _save(self, state: bytes | None) -> None:
        new = self._epochs[self._saving.epochs :]
        part = Rows(table_of(new), pa.concat_tables(self._probes))
        self._saving.save(part, state, self._about())
        self._probes = [_NO_PROBES]

    def _about(self) -> About:
        return About(
            row=dict(self._task.row),
            code_digest=self._code.digest(self._task),
            seconds=self._seconds,
            started_at=self._started_at,
            resumed_at=self._resumed_at,
            device=device_of(self._task, self._facts),
            facts=self._facts,
        )

    def _all_probes(self) -> pa.Table:
        return pa.concat_tables([self._saving.probes, *self._probes]).unify_dictionaries()

    def follow(self, reports: Generator[Report, None, None]) -> Generator[Epoch, None, None]:
        """Take what a trial's process reports, up to the commit; close it to end the attempt."""
        with contextlib.closing(self):
            if self.resumed_from is not None:
                yield self.resumed_from
            with contextlib.closing(reports):
                for report in reports:
                    yield self.take(report)
                    if self.is_over:
                        break
            self.commit()

    def commit(self) -> None:
        """Write the trial's rows, unless a worker of another driver has already done so.

        Raises:
            EditedError: a file that the trial needs was edited while the sweep ran.
            MetricError: the trial ends without one value of the selection metric.
            TrialError: the trial ends without an epoch.
        """
        if not self._placed:
            self._place(None)
        if not self._epochs:
            raise TrialError("the trainable ended without a metric: it yields or reports none")
        task, job, epochs = self._task, self._job, table_of(self._epochs)
        if self._status is Status.COMPLETED:
            what = "the command" if job.is_program else job.runs
            require_selected(epochs, job.layout.select_metric, what)
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
            row |= self._code.columns(task)
            if job.keeps_artifacts:
                self._keep_artifact()
            self._writer.commit(row, epochs, self._all_probes(), self._layout(epochs))
        self._writer.drop_checkpoint(task.trial_id)
        self._folder.close()
        self._writer.flush_log()

    def _keep_artifact(self) -> None:
        """Keep what the trial has left; its numbers count even if that cannot be kept."""
        trial_id, artifacts = self._task.trial_id, self._writer.store.artifacts
        try:
            left_out = artifacts.put(trial_id, self._folder.path)
        except StoreError as error:
            self._writer.log(trial_id, f"the artifact is not kept: {error}; the trial counts")
            return
        for path in left_out:
            why = "it is no file of the trial's folder, nor a link to one"
            self._writer.log(trial_id, f"{path} is left out of the artifact: {why}")

    def _layout(self, epochs: pa.Table) -> Layout:
        """Return the store's columns, to which the driver has added those of the last epoch."""
        layout, names = self._job.layout, metric_names(epochs)
        if not set(names) <= set(layout.metrics):
            stored = self._writer.store.layout() or layout
            layout = layout.with_metrics(dict.fromkeys([*stored.metrics, *names]))
        return layout
