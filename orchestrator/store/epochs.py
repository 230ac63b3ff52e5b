"""The epochs of one trial, which may lack metrics and bring new ones: gaps are null."""

from __future__ import annotations

import hashlib
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


def best_values(
    trial_ids: Iterable[str], epochs: pa.Table, metric: str, mode: str
) -> pa.DoubleArray:
    """Return the best finite value of a metric in each of some trials, null where it has none.

    Args:
        trial_ids: the trials.
        epochs: rows of the table ``epochs``, with the columns ``trial_id`` and that of the metric.
        metric: the metric.
        mode: ``max`` or ``min``.
    """
    finite = epochs.filter(pc.is_finite(epochs[metric]))
    best = finite.group_by("trial_id").aggregate([(metric, mode)])
    columns = (best[name].to_pylist() for name in ("trial_id", f"{metric}_{mode}"))
    of_trial = dict(zip(*columns, strict=True))
    return pa.array([of_trial.get(trial_id) for trial_id in trial_ids], pa.float64())


def metrics_digest(epochs: pa.Table) -> str:
    """Digest a trial's metrics in all epochs, so that equal digests are metrics equal to the bit.

    Counters and durations do not count, nor does the order in which metrics are yielded; a
    metric that is null throughout is as good as absent.

    Args:
        epochs: the trial's rows of the table ``epochs``, in order.

    Returns:
        SHA-256, 64 hex digits.
    """
    digest = hashlib.sha256(f"{len(epochs)} epochs\n".encode())
    for name in sorted(metric_names(epochs)):
        values = epochs[name].combine_chunks()
        if values.null_count < len(values):
            encoded = name.encode()
            digest.update(f"{len(encoded)}:".encode() + encoded)
            digest.update(values.is_valid().to_numpy(zero_copy_only=False).tobytes())
            filled = values.fill_null(0.0).to_numpy(zero_copy_only=False)
            digest.update(filled.astype("<f8").tobytes())
    return digest.hexdigest()
