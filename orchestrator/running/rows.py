"""A trial's row in the table ``trials``."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pyarrow as pa

from orchestrator.columns import BEST, Status
from orchestrator.running.job import Job, Task
from orchestrator.running.processor import processor_of
from orchestrator.store.epochs import best_value, last_values, metrics_digest


def ended_row(
    job: Job,
    task: Task,
    epochs: pa.Table,
    *,
    status: Status | None,
    attempts: int,
    seconds: float,
    started_at: datetime,
    resumed_at: Sequence[int],
    facts: Mapping[str, str],
) -> dict[str, Any]:
    """Make the row of a trial that completed or diverged.

    Args:
        job: the trial's job.
        task: the trial's task.
        epochs: the trial's rows of the table ``epochs``.
        status: how the trial ended.
        attempts: number of the attempt that ended the trial.
        seconds: time spent on the trial in all attempts.
        started_at: start of the first attempt.
        resumed_at: the epochs after which later attempts went on.
        facts: what the trainable recorded.
    """
    metric, mode = job.layout.select_metric, job.layout.mode
    other_facts = {n: fact for n, fact in facts.items() if n not in {"device", "data_digest"}}
    return {
        **task.row,
        **last_values(epochs),
        f"{BEST}{metric}": best_value(epochs, metric, mode),
        "status": status,
        "error": None,
        "attempts": attempts,
        "epochs_run": len(epochs),
        "seconds": seconds,
        "threads": task.threads,
        "started_at": started_at,
        "ended_at": datetime.now(UTC),
        "host": socket.gethostname(),
        "device": device_of(task, facts),
        "code_digest": job.code_digest,
        "environment_digest": None,
        "data_digest": facts.get("data_digest"),
        "metrics_digest": metrics_digest(epochs),
        "processor": processor_of(task.gpu),
        "gpus": task.gpu,
        "resumed_at": json.dumps(list(resumed_at)),
        "facts": json.dumps({**_versions(), **other_facts}),
        "params": json.dumps(task.fixed),
        "reused_from": None,
    }


def failed_row(job: Job, task: Task, error: str, attempts: int) -> dict[str, Any]:
    """Make the row of a trial that has failed for good."""
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
        "environment_digest": None,
        "data_digest": None,
        "metrics_digest": None,
        "processor": None,
        "gpus": task.gpu,
        "resumed_at": None,
        "facts": None,
        "params": None,
        "reused_from": None,
    }


def device_of(task: Task, facts: Mapping[str, str]) -> str:
    """Return the device that the trainable recorded, else the kind that it was given."""
    return facts.get("device", "gpu" if task.gpu else "cpu")


@cache
def _versions() -> dict[str, str]:
    """Return the versions of the packages that affect a trial's numbers."""
    versions = {"python": platform.python_version()}
    for name in ("orch-sweeps", "ray", "torch", "numpy"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
