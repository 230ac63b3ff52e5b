"""Where an attempt goes on: from a state, by the trial's own counter, or from the beginning."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.errors import NotLoadedError, TrialError
from orchestrator.running.live_trial import Report
from orchestrator.store.checkpoint import Checkpoint

COUNTERS = ("step", "logged/epoch")
"""Columns of epochs that count, by rank: a yielded ``step``, else a yielded ``epoch``."""
_AGAIN = "the next attempt starts from the beginning"

Rows = Sequence[Mapping[str, Any]]


class GapError(TrialError):
    """Rows may be missing between those that are kept and those that come."""


def counter_of(epochs: Rows) -> str | None:
    """Name the column by which a trial that never saves counts; None if it does not grow."""
    for name in COUNTERS:
        values = [value for epoch in epochs if (value := epoch.get(name)) is not None]
        if values:
            grows = all(a < b for a, b in itertools.pairwise(values))
            return name if grows and len(values) == len(epochs) else None
    return None


def counters_of(report: Report) -> dict[str, float | None]:
    """Return the counters that an epoch yields, by the names of their columns."""
    return {"step": report.step, "logged/epoch": report.metrics.get("logged/epoch")}


def goes_on_after(report: Report) -> bool:
    """Tell whether an attempt can be expected to go on after an epoch that is kept."""
    return report.state is not None or any(v is not None for v in counters_of(report).values())


def can_go_on(checkpoint: Checkpoint) -> bool:
    """Tell whether an attempt may go on from a checkpoint, rather than begin anew."""
    if not checkpoint.head.epochs:
        return False
    has_state = checkpoint.state is not None
    return has_state or counter_of(checkpoint.rows.epochs.to_pylist()) is not None


def require_loaded(report: Report, epochs: int) -> None:
    """Require that a trial which resumes has taken the state with which it does.

    Raises:
        NotLoadedError: it has not.
    """
    if not report.loaded:
        raise NotLoadedError(
            f"the trial resumes after epoch {epochs}, but the trainable did not call trial.load(); "
            "call it before the first epoch, or do not save"
        )


def rows_before(kept: Rows, first: Mapping[str, Any] | None) -> int:
    """Count the rows that stay when a trial goes on by its own counter.

    Args:
        kept: the rows of earlier attempts, which have a counter.
        first: the attempt's first row; None if it ended without one.

    Raises:
        GapError: rows may be missing between them.
    """
    name = str(counter_of(kept))
    words = name.removeprefix("logged/")
    values = [float(row[name]) for row in kept]
    value = None if first is None else first.get(name)
    if value is None:
        came = "ended without an epoch" if first is None else f"yields no {words}"
        raise GapError(
            f"the trial is kept up to {words} {values[-1]:g}, and {came} when it went on; {_AGAIN}"
        )
    stride = max((b - a for a, b in itertools.pairwise(values)), default=values[0]) or 1.0
    if not value <= values[-1] + stride * (1 + 1e-9):
        raise GapError(
            f"the trial goes on at {words} {value:g}, but is kept up to {values[-1]:g}, and "
            f"the largest stride so far is {stride:g}; {_AGAIN}"
        )
    return sum(v < value for v in values)
