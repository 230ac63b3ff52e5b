"""The epochs of one trial, which may lack metrics and bring new ones: gaps are null."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.columns import columns_of
from orchestrator.store.schema import arrow_type

_COUNTERS = {c.name: arrow_type(c) for c in columns_of("epochs") if c.role != "id"}
"""The columns of an epoch that are no metrics."""


def metrics_of(epoch: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the metrics in a row of the table ``epochs``."""
    return {name: value for name, value in epoch.items() if name not in _COUNTERS}


def metric_names(epochs: pa.Table) -> tuple[str, ...]:
    """List the metrics of a trial, those that are null throughout included."""
    return tuple(name for name in epochs.column_names if name not in _COUNTERS)


def table_of(epochs: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Make a trial's own rows of the table ``epochs``.

    Args:
        epochs: the counters and metrics of each epoch; one that lacks a metric has null there.
    """
    rows = list(epochs)
    names = dict.fromkeys(name for row in rows for name in row)
    fields = [(name, _COUNTERS.get(name, pa.float64())) for name in names]
    return pa.Table.from_pylist(rows, schema=pa.schema(fields))


def last_values(epochs: pa.Table) -> dict[str, float]:
    """Return the last value of each metric that has one, in whichever epoch."""
    values = {name: epochs[name].drop_null() for name in metric_names(epochs)}
    return {name: column[-1].as_py() for name, column in values.items() if len(column)}


def best_value(epochs: pa.Table, metric: str, mode: str) -> float | None:
    """Return the ``max`` or ``min`` of a metric over the epochs in which it is finite."""
    if metric not in epochs.column_names:
        return None
    values = epochs[metric].drop_null()
    best: float | None = pc.min_max(values.filter(pc.is_finite(values)))[mode].as_py()
    return best
