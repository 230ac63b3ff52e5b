"""One trial under way: it drives the trainable, and makes durable what comes out."""

from __future__ import annotations

import copy
import importlib.metadata
import json
import math
import os
import platform
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pyarrow as pa

from orchestrator.code import Trainable
from orchestrator.columns import BEST, Status
from orchestrator.errors import MetricsChangedError, TrialError
from orchestrator.running import failures
from orchestrator.running.job import Job, Task
from orchestrator.store import Writer
from orchestrator.store.checkpoint import Checkpoint
from orchestrator.store.schema import PROBE_SCHEMA

_NO_PROBES = PROBE_SCHEMA.empty_table()


@dataclass(frozen=True)
class Epoch:
    """What one epoch yielded."""

    number: int
    """From 1."""
    metrics: Mapping[str, float]


@dataclass
class _LiveTrial:
    """The `orchestrator.trial.Trial` that a trainable is given."""

    task: Task
    smoke: bool
    checkpoint_every: int
    writer: Writer
    state: bytes | None
    epoch: int
    """The epoch under way."""
    saved: bytes | None = None
    facts: dict[str, str] = field(default_factory=dict)
    probes: list[tuple[Any, ...]] = field(default_factory=list)

    @property
    def threads(self) -> int:
        return self.task.threads

    @property
    def gpus(self) -> float:
        return self.task.gpu

    @property
    def checkpoint_due(self) -> bool:
        # A smoke run has one epoch, and a large network's state is a gigabyte to write.
        return not self.smoke and self.epoch % self.checkpoint_every == 0

    def probe(
        self,
        probe: str,
        layer: str,
        value: float,
        *,
        index: int,
        unit: int | None = None,
        at: float | None = None,
    ) -> None:
        self.probes.append((self.epoch, probe, layer, index, unit, at, float(value)))

    def load(self) -> bytes | None:
        return self.state

    def save(self, state: bytes) -> None:
        if not isinstance(state, bytes):
            raise TrialError(f"trial.save takes bytes, not {type(state).__name__}")
        self.saved = state

    def step(self, images: int, *, of: int) -> None:
        """Only a pilot listens."""

    def record(self, **facts: str) -> None:
        self.facts.update({name: str(fact) for name, fact in facts.items()})

    def log(self, text: str) -> None:
        self.writer.log(self.task.trial_id, f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {text}")


class Execution:
    """Runs one trial, an epoch at a time, from its last checkpoint on."""

    def __init__(
        self, job: Job, task: Task, writer: Writer, trainable: Trainable, attempt: int
    ) -> None:
        self._clock = time.perf_counter()
        self._job, self._task, self._writer, self._attempt = job, task, writer, attempt
        self._expected = job.layout.metrics
        self._epochs: list[dict[str, float]] = []
        self._probes: list[pa.Table] = [_NO_PROBES]
        self._seconds = 0.0
        self._started_at = datetime.now(UTC)
        self._status: Status | None = None
        found = self._resume()
        self._resumed = found is not None
        """Whether the driver has yet to learn of the epoch that the trial continues from."""
        self._trial = _LiveTrial(
            task=task,
            smoke=job.smoke,
            checkpoint_every=job.checkpoint_every,
            writer=writer,
            state=found.state if found else None,
            epoch=len(self._epochs) + 1,
            facts=dict(found.facts) if found else {},
        )
        origin = f"from epoch {self._trial.epoch}" if found else "from the start"
        who = f"process {os.getpid()} on {socket.gethostname()}"
        self._trial.log(f"attempt {attempt}, {who}, {origin}")
        self._generator: Iterator[Mapping[str, float]] = trainable(
            copy.deepcopy(dict(task.params)), self._trial
        )

    def _resume(self) -> Checkpoint | None:
        """Take over what an earlier attempt saved, unless other code made it."""
        found = self._writer.store.checkpoint(self._task.trial_id)
        if found is None or found.code_digest != self._job.code_digest:
            return None
        self._epochs = found.epochs.to_pylist()
        self._probes.append(found.probes)
        self._seconds, self._started_at = found.seconds, found.started_at
        return found

    def advance(self) -> Epoch | None:
        """Run one more epoch; None when the trial has ended and its rows are committed.

        Raises:
            GpuMemoryError: the trial needs more of a GPU's memory than it has.
            MetricsChangedError: it yields other metrics than those before it.
            TrialError: it broke the contract.
            Exception: whatever the trainable raises.
        """
        if self._resumed:
            self._resumed = False
            return Epoch(len(self._epochs), self._metrics(self._epochs[-1]))
        self._require_known_metrics()
        if self._status is None:
            try:
                yielded = next(self._generator)
            except StopIteration:
                self._status = Status.COMPLETED
            except Exception as error:
                if full := failures.of_gpu_memory(error, self._task.gpu):
                    raise full from error
                raise
            else:
                return self._take(self._checked(yielded))
        self._commit()
        return None

    @property
    def seconds(self) -> float:
        """Spent on the trial so far, in all attempts."""
        return self._seconds + time.perf_counter() - self._clock

    def close(self) -> None:
        """Drop what the trainable holds."""
        close = getattr(self._generator, "close", None)
        if close is not None:
            close()

    def _checked(self, yielded: object) -> dict[str, float]:
        if not isinstance(yielded, Mapping) or not yielded:
            raise TrialError(f"the trainable yielded {yielded!r}, not a mapping of metrics")
        try:
            metrics = {str(name): float(value) for name, value in yielded.items()}
        except (TypeError, ValueError):
            raise TrialError(f"the trainable yielded {yielded!r}, not numbers by name") from None
        if self._epochs:
            self._require_same(tuple(metrics), tuple(self._metrics(self._epochs[0])), "before")
        return metrics

    def _require_known_metrics(self) -> None:
        """Compare with what the store expects, which the driver wrote at the first epoch."""
        if not self._epochs:
            return
        own = tuple(self._metrics(self._epochs[0]))
        if not self._expected:
            layout = self._writer.store.layout()
            self._expected = (layout.metrics if layout else ()) or own
        self._require_same(own, self._expected, "of other trials")

    def _require_same(self, own: tuple[str, ...], known: tuple[str, ...], whose: str) -> None:
        if set(own) != set(known):
            raise MetricsChangedError(
                f"the trial yields {', '.join(own)}, but the epochs {whose} have {', '.join(known)}"
            )

    def _metrics(self, epoch: Mapping[str, float]) -> dict[str, float]:
        return {name: value for name, value in epoch.items() if name not in {"epoch", "seconds"}}

    def _take(self, metrics: dict[str, float]) -> Epoch:
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
            device=self._device(),
            facts=self._trial.facts,
        )
        self._writer.save_checkpoint(self._task.trial_id, checkpoint)

    def _all_probes(self) -> pa.Table:
        self._probes = [pa.concat_tables(self._probes).unify_dictionaries()]
        return self._probes[0]

    def _commit(self) -> None:
        """Write the trial's rows, unless another driver's worker did so meanwhile."""
        if not self._epochs:
            raise TrialError("the trainable ended without a single yield")
        task, job = self._task, self._job
        if not self._writer.is_finished(task.trial_id, job.code_digest):
            layout = job.layout.with_metrics(self._expected)
            epochs = pa.Table.from_pylist(self._epochs)
            self._writer.commit(self._row(layout.select_metric), epochs, self._all_probes(), layout)
        self._writer.drop_checkpoint(task.trial_id)
        self._writer.flush_log()

    def _row(self, select_metric: str) -> dict[str, Any]:
        values = [epoch[select_metric] for epoch in self._epochs]
        finite = [value for value in values if math.isfinite(value)]
        best = max if self._job.layout.mode == "max" else min
        facts = {name: fact for name, fact in self._trial.facts.items() if name != "device"}
        return {
            **self._task.row,
            **self._metrics(self._epochs[-1]),
            f"{BEST}{select_metric}": best(finite, default=None),
            "status": self._status,
            "error": None,
            "attempts": self._attempt,
            "epochs_run": len(self._epochs),
            "seconds": self.seconds,
            "threads": self._task.threads,
            "started_at": self._started_at,
            "ended_at": datetime.now(UTC),
            "host": socket.gethostname(),
            "device": self._device(),
            "code_digest": self._job.code_digest,
            "versions": json.dumps({**versions(), **facts}),
            "params": json.dumps(self._task.fixed),
            "reused_from": None,
        }

    def _device(self) -> str:
        return self._trial.facts.get("device", "gpu" if self._task.gpu else "cpu")


def failed_row(job: Job, task: Task, error: str, attempts: int) -> dict[str, Any]:
    """Make the row in ``trials`` of a trial that failed for good."""
    return {
        **task.row,
        "status": Status.FAILED,
        "error": error,
        "attempts": attempts,
        "epochs_run": 0,
        "seconds": None,
        "threads": task.threads,
        "started_at": None,
        "ended_at": datetime.now(UTC),
        "host": None,
        "device": None,
        "code_digest": job.code_digest,
        "versions": None,
        "params": None,
        "reused_from": None,
    }


@cache
def versions() -> dict[str, str]:
    """Versions of what decides a trial's numbers."""
    found = {"python": platform.python_version()}
    for name in ("orch-sweeps", "ray", "torch", "numpy"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
