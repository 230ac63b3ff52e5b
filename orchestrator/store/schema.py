"""Arrow schemas of the three tables, and the conversion of rows to them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.columns import BEST, STEP, Column, Role, columns_of, logged_name
from orchestrator.errors import StoreError
from orchestrator.labels import quoted
from orchestrator.spec.grid import carried
from orchestrator.spec.model import Sweep
from orchestrator.spec.values import Value, by_value

SCHEMA_FILE = "0-schema.parquet"
"""First by name in its folder, so that pandas reads the columns from it."""

TEXT = pa.dictionary(pa.int32(), pa.string())
JSON = pa.large_string()
"""Text of params that are lists or of mixed types; no other column has this type."""
_TYPES = {
    "string": pa.string(),
    "category": TEXT,
    "int32": pa.int32(),
    "int64": pa.int64(),
    "double": pa.float64(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
FORMAT = 2
"""The format of the stores that this release writes; format 1 is read, and rewritten by a run."""
_FORMAT = b"orch_format"
_ROLE = b"role"
_MODE = b"mode"


@dataclass(frozen=True)
class Layout:
    """What determines the columns of a store: types of params, and metrics in order."""

    params: Mapping[str, pa.DataType]
    metrics: tuple[str, ...]
    select_metric: str
    mode: str
    """Whether the best epoch has the ``max`` or the ``min`` of that metric."""

    @classmethod
    def of(cls, sweep: Sweep) -> Layout:
        """Derive the types of the params from every value in the sweep file."""
        axes, names = sweep.axes, carried(sweep)
        values = {name: list(axes.get(name, (sweep.fixed.get(name),))) for name in names}
        for variant in sweep.variants:
            for name, value in variant.fixed.items():
                values[name].append(value)
        params = {name: param_type(values[name]) for name in names}
        return cls(params, (), sweep.select.metric, sweep.select.mode)

    def with_metrics(self, metrics: Iterable[str]) -> Layout:
        """Set the metrics, in the order that a trial yields them."""
        return replace(self, metrics=tuple(metrics))

    def widened(self, stored: Layout) -> Layout:
        """Widen the columns to hold both this sweep's values and those in a store."""
        params = {
            name: _common(kind, stored.params.get(name, pa.null()))
            for name, kind in self.params.items()
        }
        params.update({name: kind for name, kind in stored.params.items() if name not in params})
        return replace(self, params=params, metrics=stored.metrics)

    def schema(self, table: str) -> pa.Schema:
        """Build a table's schema; metadata holds the format, and marks params and metrics."""
        metrics = [] if table == "probes" else self._metric_fields(best=table == "trials")
        return pa.schema(
            [
                *_fields(table, "id"),
                *(pa.field(n, k, metadata={_ROLE: b"param"}) for n, k in self.params.items()),
                *_fields(table, "result"),
                *metrics,
                *_fields(table, "detail"),
            ],
            metadata={_FORMAT: str(FORMAT).encode()},
        )

    def _metric_fields(self, *, best: bool) -> list[pa.Field]:
        fields = [pa.field(n, pa.float64(), metadata={_ROLE: b"metric"}) for n in self.metrics]
        if best:
            role = {_ROLE: b"best", _MODE: self.mode.encode()}
            fields.append(pa.field(f"{BEST}{self.select_metric}", pa.float64(), metadata=role))
        return fields


def _fields(table: str, role: Role) -> list[pa.Field]:
    return [pa.field(c.name, arrow_type(c)) for c in columns_of(table, role)]


def arrow_type(column: Column) -> pa.DataType:
    """Return the type of a column that every store has."""
    return _TYPES[column.type]


PROBE_SCHEMA = pa.schema(_fields("probes", "result"))
"""Columns of a trial's own rows of `probes`; the commit adds ids and params."""


def require_complete(table: str, names: Collection[str]) -> None:
    """Refuse rows that lack a declared column, which would silently read as null.

    Raises:
        ValueError: columns are missing; it names them.
    """
    missing = [c.name for c in columns_of(table) if c.name not in names]
    if missing:
        raise ValueError(f"rows of `{table}` lack the columns {quoted(missing)}")


def stored_layout(trials: pa.Schema) -> Layout:
    """Recover the layout from the schema of ``trials``.

    Raises:
        StoreError: it is of a newer format than this release knows.
    """
    is_old(trials)
    roles: dict[bytes, list[pa.Field]] = {b"param": [], b"metric": [], b"best": []}
    for field in trials:
        roles.get((field.metadata or {}).get(_ROLE, b""), []).append(field)
    (best,) = roles[b"best"]
    metrics = (field.name for field in roles[b"metric"])
    return Layout(
        params={field.name: field.type for field in roles[b"param"]},
        # In format 1, `step` and the names of later columns were metrics like others.
        metrics=tuple(logged_name(name, ()) or name for name in metrics if name != STEP),
        select_metric=best.name.removeprefix(BEST),
        mode=best.metadata[_MODE].decode(),
    )


def is_old(schema: pa.Schema) -> bool:
    """Tell whether a file is of format 1.

    Raises:
        StoreError: it is of a newer format than this release knows.
    """
    number = int((schema.metadata or {}).get(_FORMAT, b"1"))
    if number > FORMAT:
        raise StoreError(
            f"the store has format {number}, written by a newer release of orch; this release "
            f"reads formats up to {FORMAT}: install the newer one"
        )
    return number < FORMAT


def same_columns(one: pa.Schema, other: pa.Schema) -> bool:
    """Tell whether two schemas have the same columns and format, whatever else is in them."""
    columns = [*map(_identity, one)] == [*map(_identity, other)]
    return columns and is_old(one) == is_old(other)


def _identity(field: pa.Field) -> tuple[Any, ...]:
    metadata = field.metadata or {}
    return field.name, field.type, metadata.get(_ROLE), metadata.get(_MODE)


def param_type(values: Iterable[Value]) -> pa.DataType:
    """Choose the column type that holds all the values; mixed types become JSON text."""
    kind = pa.null()
    for value in values:
        kind = _common(kind, _type_of(value))
    return kind


def _type_of(value: Value) -> pa.DataType:
    match value:
        case None:
            return pa.null()
        case bool():
            return pa.bool_()
        case int():
            return pa.int64()
        case float():
            return pa.float64()
        case str():
            return TEXT
        case _:
            return JSON


def _common(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if one == other or other == pa.null():
        return one
    if one == pa.null():
        return other
    return pa.float64() if {one, other} == {pa.int64(), pa.float64()} else JSON


def encode(value: Value, kind: pa.DataType) -> Any:
    """Convert a param's value to its column's type; equal values have equal JSON text."""
    if value is None:
        return None
    if kind == JSON:
        return by_value(value)
    return float(value) if kind == pa.float64() else value


def conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Convert rows of an older layout to a schema: missing columns null, types widened."""
    columns = [
        _conform_column(table.column(field.name), field.type)
        if field.name in table.column_names
        else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _conform_column(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if column.type == kind:
        return column
    if column.type == pa.null() or column.null_count == len(column):
        return pa.chunked_array([pa.nulls(len(column), kind)])  # of any type, also null
    if kind == JSON:
        texts = [encode(value, JSON) for value in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, JSON)])
    return column.cast(kind, safe=False)  # as large an integer as 2^53 + 1 is rounded


def with_ids(row: Mapping[str, Any], own: pa.Table | None, schema: pa.Schema) -> pa.Table:
    """Add a trial's ids and params to its own rows; without any, make its row of ``trials``."""
    length = 1 if own is None else len(own)
    columns = {
        field.name: pa.array([encode(row[field.name], field.type)] * length, field.type)
        for field in schema
        if field.name in row and (own is None or field.name not in own.column_names)
    }
    if own is not None:
        columns.update(zip(own.column_names, own.columns, strict=True))
    return conform(pa.table(columns), schema)


def to_parquet(table: pa.Table) -> pa.Buffer:
    """Write a table as one Parquet file in memory, with checksums on its pages."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", write_page_checksum=True)
    return sink.getvalue()
