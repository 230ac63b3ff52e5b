"""A trial's row in the table ``trials``, and the metrics in its epochs."""

from __future__ import annotations

import importlib.metadata
import json
import math
import platform
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from orchestrator.columns import BEST, Status, columns_of
from orchestrator.running.job import Job, Task

_COUNTERS = {column.name for column in columns_of("epochs") if column.role != "id"}
"""The columns of an epoch that are no metrics."""


def ended_row(
    job: Job,
    task: Task,
    epochs: Sequence[Mapping[str, float]],
    *,
    select_metric: str,
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
        select_metric: the metric that the sweep selects by.
        status: how the trial ended.
        attempts: number of the attempt that ended the trial.
        seconds: time spent on the trial in all attempts.
        started_at: start of the first attempt.
        resumed_at: the epochs after which later attempts went on.
        facts: what the trainable recorded.
    """
    values = [epoch[select_metric] for epoch in epochs]
    finite = [value for value in values if math.isfinite(value)]
    best = max if job.layout.mode == "max" else min
    other_facts = {n: fact for n, fact in facts.items() if n not in {"device", "data_digest"}}
    return {
        **task.row,
        **metrics_of(epochs[-1]),
        f"{BEST}{select_metric}": best(finite, default=None),
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
        "metrics_digest": None,
        "processor": None,
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


def metrics_of(epoch: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics in a row of the table ``epochs``."""
    return {name: value for name, value in epoch.items() if name not in _COUNTERS}


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
