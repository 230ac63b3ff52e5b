"""The metrics that a sweep watches: when a trial has diverged, and which one it must have."""

from __future__ import annotations

import math
from collections.abc import Collection

import pyarrow as pa

from orchestrator.errors import MetricError, unknown
from orchestrator.labels import quoted
from orchestrator.running.yielded import Metrics
from orchestrator.store.epochs import last_values, metric_names


def is_diverged(metrics: Metrics, watched: Collection[str]) -> bool:
    """Tell whether a watched metric has a value that is not finite."""
    values = (metrics.get(name) for name in watched)
    return not all(value is None or math.isfinite(value) for value in values)


def require_selected(epochs: pa.Table, metric: str, entry: str) -> None:
    """Refuse a trial that ends without one value of the selection metric.

    Args:
        epochs: its rows of the table ``epochs``.
        metric: the selection metric.
        entry: what runs the trial, as messages name it.

    Raises:
        MetricError: there is none; it names those that there are.
    """
    present = list(last_values(epochs))
    if metric in present:
        return
    if metric in metric_names(epochs):
        raise MetricError(
            f"the metric `{metric}` is null in all epochs; {entry} yields values of "
            f"{quoted(present)}"
        )
    raise MetricError(f"{unknown('metric', metric, present)}; these are what {entry} yields")
