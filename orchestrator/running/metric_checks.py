"""Checks of metrics: when a trial has diverged, which one it must have, and doubtful ones."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.errors import MetricError, unknown
from orchestrator.labels import is_accuracy, quoted
from orchestrator.running.yielded import Metrics
from orchestrator.store import Snapshot
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


def doubts(ended: Snapshot, watched: Collection[str]) -> Iterator[str]:
    """Say what the metrics of a run's trials leave in doubt.

    Args:
        ended: the store after the run.
        watched: the metrics in ``diverged_on``.
    """
    metrics = ended.layout.metrics if ended.layout else ()
    for name in watched:
        if metrics and name not in metrics:  # so that it ended no trial
            yield f"`diverged_on`: {unknown('metric', name, metrics)}"
    for name in filter(is_accuracy, metrics):
        largest = pc.max(ended.rows[name]).as_py()
        if largest is not None and 1 < largest < math.inf:
            yield (
                f"`{name}` reaches {largest:.4g}; a metric whose name ends in `accuracy` is a "
                f"fraction, and shown times 100: yield {largest / 100:.4g}, or rename it, such as "
                f"to `{name}_percent`"
            )
