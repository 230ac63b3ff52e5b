"""Checks of the names and values that sections of a sweep file share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestrator.columns import STEP, logged_name
from orchestrator.errors import unknown
from orchestrator.spec.keys import Key
from orchestrator.spec.model import Sweep
from orchestrator.spec.problems import Problem
from orchestrator.spec.values import Value, by_value, unknown_value


def matcher(
    entry: Mapping[str, Value], axes: Mapping[str, tuple[Value, ...]], what: str, key: Key
) -> Iterator[Problem]:
    """Check the names and values of a mapping of params to a value each, or a list of them."""
    for name, value in entry.items():
        if name not in axes:
            yield Problem((*key, name), unknown(what, name, axes))
        else:
            yield from on_axis(value, axes[name], (*key, name))


def on_axis(value: Value, axis: tuple[Value, ...], key: Key) -> Iterator[Problem]:
    """Check that a value, or each of a list, is on an axis; a list may itself be on it."""
    known = {by_value(item) for item in axis}
    if by_value(value) in known:
        return
    for item in value if isinstance(value, tuple) else (value,):
        if by_value(item) not in known:
            yield Problem(key, unknown_value(item, axis))


def free(sweep: Sweep, metric: str, key: Key) -> Iterator[Problem]:
    """Refuse the name of a param or of a store's own column, which a metric cannot have."""
    stored = logged_name(metric, {*sweep.factors, *sweep.search, *sweep.fixed})
    if metric == STEP:
        yield Problem(key, "`step` is the trainable's own counter, and no metric")
    elif stored is not None:
        text = (
            f"`{metric}` is a param or a column of the store, and no metric; a metric of that name "
            f"is stored as `{stored}`"
        )
        yield Problem(key, text)
