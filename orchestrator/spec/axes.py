"""The axes of a grid: one param each, or several whose values go together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, PlainValidator

from orchestrator.labels import label
from orchestrator.spec.ranges import Range, read_range
from orchestrator.spec.values import Value, by_value, check_param_name, distinct, is_param_value


@dataclass(frozen=True)
class Axis:
    """One axis of a grid.

    Attributes:
        names: the params that it sets, one or more.
        rows: their values at each of its points, shape (points, names).
    """

    names: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


def names_of(key: str) -> tuple[str, ...]:
    """Split the key of an axis, such as ``"lr, warmup"``, into the params that it sets."""
    return tuple(part.strip() for part in key.split(","))


def axis_of(key: str, values: Sequence[Value]) -> Axis:
    """Make the axis that a section of a sweep file gives under a key."""
    names = names_of(key)
    rows = ((value,) for value in values) if len(names) == 1 else map(tuple, values)
    return Axis(names, tuple(rows))


def values_by_name(axes: Sequence[Axis]) -> dict[str, tuple[Value, ...]]:
    """List the distinct values that each param takes, in their order."""
    found: dict[str, dict[str, Value]] = {}
    for axis in axes:
        for row in axis.rows:
            for name, value in zip(axis.names, row, strict=True):
                found.setdefault(name, {}).setdefault(by_value(value), value)
    return {name: tuple(values.values()) for name, values in found.items()}


def product(axes: Sequence[Axis]) -> Iterator[dict[str, Value]]:
    """List the combinations of the points of axes; the last axis varies fastest."""
    for rows in itertools.product(*(axis.rows for axis in axes)):
        points = zip(axes, rows, strict=True)
        yield {
            name: value for axis, row in points for name, value in zip(axis.names, row, strict=True)
        }


def size(axes: Sequence[Axis]) -> int:
    """Count the combinations."""
    return math.prod(len(axis.rows) for axis in axes)


def _axis_key(key: str) -> str:
    names = names_of(key)
    for name in names:
        check_param_name(name)
    if len(set(names)) < len(names):
        raise ValueError("a param stands twice in it")
    return key


def _points(value: Value) -> tuple[Value, ...]:
    """Read the values of an axis."""
    if isinstance(value, dict):
        raise ValueError("expected a list of values; a range is for a param of `search`")
    if not isinstance(value, tuple):
        raise ValueError(f"expected a list of values, such as [{label(value)}]")
    if not value:
        raise ValueError("an empty axis; expected at least one value")
    for item in value:
        if isinstance(item, dict):
            raise ValueError(
                "a mapping is no value; list the values of its params together, as in "
                '"optim.name, optim.lr": [[sgd, 0.1], [adam, 0.001]]'
            )
        is_param_value(item)
    return distinct(value)


def _points_or_range(value: Value) -> tuple[Value, ...] | Range:
    return read_range(value) if isinstance(value, dict) else _points(value)


AxisKey = Annotated[str, AfterValidator(_axis_key)]
Points = Annotated[tuple[Value, ...], PlainValidator(_points)]
Searched = Annotated[tuple[Value, ...] | Range, PlainValidator(_points_or_range)]
