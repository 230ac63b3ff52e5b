"""Copies finished trials from the sibling stores of other sweeps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.columns import TABLES
from orchestrator.running.job import Task
from orchestrator.store import Snapshot, Store
from orchestrator.store.merge import copy_rows
from orchestrator.store.schema import Layout, encode


def copy(store: Store, source: Snapshot, tasks: Mapping[str, Task], layout: Layout) -> None:
    """Copy the rows of trials, with this sweep's columns for their ids and params.

    Args:
        store: the store that receives the rows.
        source: what a sibling store holds, in which all the trials are finished.
        tasks: the trials to copy, by id.
        layout: the columns of ``store``.
    """
    ends = [source.outcomes[trial_id] for trial_id in tasks]
    for digests in {(end.code_digest, end.environment_digest) for end in ends}:
        store.archives.copy(source.store.archives, *digests)
    index = source.index
    name = source.store.files.location.rstrip("/").rpartition("/")[2]

    def own(rows: pa.Table) -> pa.Table:
        return _with_own_columns(rows, tasks, name)

    for table in reversed(TABLES):
        copy_rows(store, index, table, layout, list(index.assigned(table, tasks)), change=own)


def differing(snapshot: Snapshot, tasks: Mapping[str, Task]) -> dict[str, Task]:
    """Keep the trials whose rows have not the params and cells of their tasks."""
    if not tasks:
        return {}
    names = [n for n in next(iter(tasks.values())).row if n in snapshot.rows.column_names]
    names = [*names, "params"]
    columns = {name: snapshot.rows[name].to_pylist() for name in names}
    stored = zip(*columns.values(), strict=True)
    found = {row[names.index("trial_id")]: row for row in stored}
    return {
        trial_id: task
        for trial_id, task in tasks.items()
        if (trial_id in found and found[trial_id] != _row_of(task, names, snapshot))
        or len(names) - 1 < len(task.row)
    }


def _row_of(task: Task, names: Sequence[str], snapshot: Snapshot) -> tuple[Any, ...]:
    """Write a task's params as a store's rows have them."""
    values = {**task.row, "params": json.dumps(task.fixed)}
    return tuple(encode(values[name], snapshot.rows.schema.field(name).type) for name in names)


def restamp(store: Store, snapshot: Snapshot, tasks: Mapping[str, Task], layout: Layout) -> None:
    """Write the rows of finished trials anew, with the params and cells that their sweep has now.

    Args:
        store: the store.
        snapshot: what it holds.
        tasks: the trials, by id.
        layout: its columns.
    """

    def own(rows: pa.Table) -> pa.Table:
        return _with_own_columns(rows, tasks)

    for table in reversed(TABLES) if tasks else ():
        sources = list(snapshot.index.assigned(table, tasks))
        copy_rows(store, snapshot.index, table, layout, sources, change=own)


def _with_own_columns(
    rows: pa.Table, tasks: Mapping[str, Task], source: str | None = None
) -> pa.Table:
    position = pc.index_in(rows["trial_id"].cast(pa.string()), pa.array(list(tasks)))
    values: dict[str, list[Any]] = {
        name: [task.row[name] for task in tasks.values()]
        for name in next(iter(tasks.values())).row
        if name != "trial_id"
    }
    if "params" in rows.column_names:
        values["params"] = [json.dumps(task.fixed) for task in tasks.values()]
    for name, column in values.items():
        index = rows.schema.get_field_index(name)
        field = rows.schema.field(index)
        own = pa.array([encode(value, field.type) for value in column], field.type)
        rows = rows.set_column(index, field, own.take(position))
    if source is not None and "reused_from" in rows.column_names:
        index = rows.schema.get_field_index("reused_from")
        field = rows.schema.field(index)
        origin = pc.coalesce(rows["reused_from"].cast(pa.string()), pa.scalar(source))
        rows = rows.set_column(index, field, origin.cast(field.type))
    return rows
