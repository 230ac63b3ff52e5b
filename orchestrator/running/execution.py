"""Runs one trial: drives the trainable epoch by epoch and writes its results to the store."""

from __future__ import annotations

import copy
import math
import os
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from orchestrator.code import Trainable
from orchestrator.columns import Status
from orchestrator.errors import MetricsChangedError, TrialError
from orchestrator.running import failures
from orchestrator.running.job import Job, Task
from orchestrator.running.live_trial import LiveTrial
from orchestrator.running.rows import device_of, ended_row, metrics_of
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


class Execution:
    """Runs one trial, an epoch at a time, starting from its last checkpoint."""

    def __init__(
        self, job: Job, task: Task, writer: Writer, trainable: Trainable, attempt: int
    ) -> None:
        self._clock = time.perf_counter()
        self._job, self._task, self._writer, self._attempt = job, task, writer, attempt
        self._expected_metrics = job.layout.metrics
        self._epochs: list[dict[str, float]] = []
        self._probes: list[pa.Table] = [_NO_PROBES]
        self._seconds = 0.0
        self._started_at = datetime.now(UTC)
        self._status: Status | None = None
        checkpoint = self._resume()
        self._resumed = checkpoint is not None
        """Whether the epoch that the trial resumes from is still to be reported."""
        self._trial = LiveTrial(
            task=task,
            smoke=job.smoke,
            checkpoint_every=job.checkpoint_every,
            writer=writer,
            state=checkpoint.state if checkpoint else None,
            epoch=len(self._epochs) + 1,
            facts=dict(checkpoint.facts) if checkpoint else {},
        )
        origin = f"from epoch {self._trial.epoch}" if checkpoint else "from the start"
        process = f"process {os.getpid()} on {socket.gethostname()}"
        self._trial.log(f"attempt {attempt}, {process}, {origin}")
        self._generator: Iterator[Mapping[str, float]] = trainable(
            copy.deepcopy(dict(task.params)), self._trial
        )

    def _resume(self) -> Checkpoint | None:
        """Load the checkpoint of an earlier attempt, unless other code wrote it."""
        checkpoint = self._writer.store.checkpoint(self._task.trial_id)
        if checkpoint is None or checkpoint.code_digest != self._job.code_digest:
            return None
        self._epochs = checkpoint.epochs.to_pylist()
        self._probes.append(checkpoint.probes)
        self._seconds, self._started_at = checkpoint.seconds, checkpoint.started_at
        return checkpoint

    def advance(self) -> Epoch | None:
        """Run one more epoch; None when the trial has ended and its rows are committed.

        Raises:
            GpuMemoryError: the trial runs out of GPU memory.
            MetricsChangedError: the trial's metrics differ from those of earlier epochs or trials.
            TrialError: the trainable breaks the contract of `orchestrator.trial`.
            Exception: whatever the trainable raises.
        """
        if self._resumed:
            self._resumed = False
            return Epoch(len(self._epochs), metrics_of(self._epochs[-1]))
        self._require_store_metrics()
        if self._status is None:
            try:
                yielded = next(self._generator)
            except StopIteration:
                self._status = Status.COMPLETED
            except Exception as error:
                if gpu_error := failures.of_gpu_memory(error, self._task.gpu):
                    raise gpu_error from error
                raise
            else:
                return self._end_epoch(self._checked(yielded))
        self._commit()
        return None

    @property
    def seconds(self) -> float:
        """Time spent on the trial so far, in all attempts."""
        return self._seconds + time.perf_counter() - self._clock

    def close(self) -> None:
        """Close the trainable's generator, which frees what it holds."""
        close = getattr(self._generator, "close", None)
        if close is not None:
            close()

    def _checked(self, yielded: object) -> dict[str, float]:
        if not isinstance(yielded, Mapping) or not yielded:
            raise TrialError(f"the trainable yielded {yielded!r}, not a mapping of metrics")
        try:
            metrics = {str(name): float(value) for name, value in yielded.items()}
        except (TypeError, ValueError):
            raise TrialError(
                f"the trainable yielded {yielded!r}; each metric must be a number"
            ) from None
        if self._epochs:
            earlier = tuple(metrics_of(self._epochs[0]))
            _require_same_metrics(tuple(metrics), earlier, "its earlier epochs")
        return metrics

    def _require_store_metrics(self) -> None:
        """Compare with the store's metrics, which the driver wrote after the first epoch of all."""
        if not self._epochs:
            return
        metrics = tuple(metrics_of(self._epochs[0]))
        if not self._expected_metrics:
            layout = self._writer.store.layout()
            self._expected_metrics = (layout.metrics if layout else ()) or metrics
        _require_same_metrics(metrics, self._expected_metrics, "other trials")

    def _end_epoch(self, metrics: dict[str, float]) -> Epoch:
        number, trial = self._trial.epoch, self._trial
        now = time.perf_counter()
        self._epochs.append({"epoch": number, **metrics, "seconds": now - self._clock})
        self._seconds += now - self._clock
        self._clock = now
        if trial.probes:
            columns = zip(*trial.probes, strict=True)
            arrays = [pa.array(c, t) for c, t in zip(columns, PROBE_SCHEMA.types, strict=True)]
            self._probes.append(pa.table(arrays, schema=PROBE_SCHEMA))
        trial.probes = []
        trial.epoch = number + 1
        if not all(map(math.isfinite, metrics.values())):
            self._status = Status.DIVERGED
            self.close()
        elif trial.saved is not None:
            self._save(trial.saved)
        trial.saved = None
        return Epoch(number, metrics)

    def _save(self, state: bytes) -> None:
        checkpoint = Checkpoint(
            row=dict(self._task.row),
            code_digest=self._job.code_digest,
            state=state,
            epochs=pa.Table.from_pylist(self._epochs),
            probes=self._all_probes(),
            seconds=self._seconds,
            attempts=self._attempt,
            started_at=self._started_at,
            device=device_of(self._task, self._trial.facts),
            facts=self._trial.facts,
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
        if not self._writer.is_finished(task.trial_id, job.code_digest):
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
                facts=self._trial.facts,
            )
            epochs = pa.Table.from_pylist(self._epochs)
            self._writer.commit(row, epochs, self._all_probes(), layout)
        self._writer.drop_checkpoint(task.trial_id)
        self._writer.flush_log()


def _require_same_metrics(metrics: tuple[str, ...], expected: tuple[str, ...], whose: str) -> None:
    if set(metrics) != set(expected):
        raise MetricsChangedError(
            f"the trial yields the metrics {', '.join(metrics)}, but {whose} "
            f"have {', '.join(expected)}"
        )
