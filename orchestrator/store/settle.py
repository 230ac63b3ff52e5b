"""What only the driver does to a store, under its lock and while no trial runs."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.columns import FINISHED, TABLES
from orchestrator.errors import CorruptFileError
from orchestrator.spec.model import Sweep
from orchestrator.store.index import UNREADABLE, Index, Part
from orchestrator.store.intact import Known
from orchestrator.store.merge import copy_rows
from orchestrator.store.schema import SCHEMA_FILE, Layout, fits, to_parquet
from orchestrator.store.store import Store

FOLDERS = (*TABLES, "checkpoints", "logs", "code")


def create(store: Store) -> None:
    """Make the folders of an empty store."""
    for folder in FOLDERS:
        store.files.make_folder(folder)


def clear(store: Store) -> None:
    """Delete what a smoke run left: it is tried anew as a whole."""
    for folder in FOLDERS:
        store.files.delete_all([f"{folder}/{name}" for name in store.files.names(folder)])


def settle(store: Store, sweep: Sweep, drop: Collection[str] = ()) -> Layout:
    """Bring a store into one shape: the sweep's columns, and one file per table.

    What killed workers left behind is deleted; unreadable files are moved aside, and their
    trials count as missing.

    Args:
        store: the store, in which no trial runs.
        sweep: what is to run next.
        drop: trials whose rows go, because they run again or were retired.

    Returns:
        The columns that the store now has; without metrics if it holds no finished trial.
    """
    for table in TABLES:
        store.files.clean(table)
    store.files.clean("checkpoints")
    _set_aside_checkpoints(store)
    damaged = False
    while True:
        try:
            return _settle(store, sweep, frozenset(drop), damaged=damaged)
        except CorruptFileError as error:
            store.on_corrupt(error)
            _set_aside(store, error.name)
            damaged = True
        except FileNotFoundError:
            continue  # in a bucket, where nothing is locked, another driver has just merged it


def _refuse(error: CorruptFileError) -> None:
    raise error


def _settle(store: Store, sweep: Sweep, drop: frozenset[str], *, damaged: bool) -> Layout:
    """Settle once.

    The new columns come first, since rows of older ones can be made to fit them at any
    time, but not the other way round.

    Raises:
        CorruptFileError: a file cannot be read; without it, settle again.
    """
    outcomes, index, stored = store.outcomes(_refuse), store.index(_refuse), store.layout(_refuse)
    done = frozenset(i for i, end in outcomes.items() if end.status in FINISHED) - drop
    failed = frozenset(outcomes) - done - drop
    layout = Layout.of(sweep).widened(stored) if stored else Layout.of(sweep)
    if not done:
        layout = replace(layout, metrics=())
    for trial_id in done.intersection(store.checkpoint_ids()):
        store.files.delete(f"checkpoints/{trial_id}")  # its worker was killed between the two
    write_schema(store, layout)
    known = Known(store.files)
    current = _merge_all(store, index, done, layout, known)
    _convert(store, index, failed, layout)
    for table in TABLES:
        over = [
            part
            for part in index.parts[table]
            if part.name != current[table]
            and (part.merged or (_is_over(store, index, part) and not part.trial_ids & failed))
        ]
        lost = [  # their partner in another table
            part
            for part in over
            if damaged and part.merged and not part.trial_ids <= index.committed
        ]
        for part in lost:
            _set_aside(store, part.name)
        store.files.delete_all([part.name for part in over if part not in lost])
    known.keep(name for name in current.values() if name)
    return layout


def _is_over(store: Store, index: Index, single: Part) -> bool:
    """Tell whether nobody may still be writing a trial's files; a bucket is not locked."""
    return store.files.local is not None or single.trial_ids <= index.committed


def _merge_all(
    store: Store, index: Index, done: frozenset[str], layout: Layout, known: Known
) -> dict[str, str | None]:
    """Bring each table's rows to keep into one file; name the files by table."""
    current: dict[str, str | None] = {}
    try:
        for table in reversed(TABLES):
            current[table] = _merge(store, index, table, done, layout, known)
    except (CorruptFileError, FileNotFoundError):
        before = {part.name for parts in index.parts.values() for part in parts}
        for name in current.values():
            if name is not None and name not in before:
                store.files.delete(name)
        raise
    return current


def _merge(
    store: Store, index: Index, table: str, done: frozenset[str], layout: Layout, known: Known
) -> str | None:
    """Bring the rows to keep into one file, unless they are in just such a file already."""
    if not done:
        return None
    merged = [part for part in index.parts[table] if part.merged]
    schema = layout.schema(table)
    if len(merged) == 1 and merged[0].trial_ids == done and fits(merged[0].schema, schema):
        if not known.has(merged[0].name):
            for _ in index.pieces(merged[0], done, schema):
                pass  # reading it through tells if it is whole
        return merged[0].name
    return copy_rows(store, index, table, layout, list(index.assigned(table, done)))


def _convert(store: Store, index: Index, failed: Collection[str], layout: Layout) -> None:
    """Rewrite the files of failed trials, which are never merged, where columns are new."""
    for table in TABLES:
        schema = layout.schema(table)
        for part, taken in index.assigned(table, failed):
            if not _has_columns(store, part.name, schema):
                rows = [schema.empty_table(), *index.pieces(part, taken, schema)]
                store.files.write(part.name, to_parquet(pa.concat_tables(rows)))


def _has_columns(store: Store, name: str, schema: pa.Schema) -> bool:
    data = store.files.read(name)
    if data is None:
        return False
    try:
        return fits(pq.read_schema(pa.BufferReader(data)), schema)
    except UNREADABLE as error:
        raise CorruptFileError(name, store.files.shown(name), str(error)) from None


def _set_aside_checkpoints(store: Store) -> None:
    for trial_id in store.checkpoint_ids():
        name = f"checkpoints/{trial_id}"
        if store.checkpoint(trial_id) is None and store.files.exists(name):
            _set_aside(store, name)


def _set_aside(store: Store, name: str) -> None:
    """Move an unreadable file to ``corrupt/``, beside others of its name."""
    target = f"corrupt/{name}"
    if store.files.exists(target):
        target += f".{time.time_ns()}"
    if store.files.exists(name):
        store.files.move(name, target)


def write_schema(store: Store, layout: Layout) -> None:
    """Write the files of no rows from which pandas takes the columns, where they differ.

    Raises:
        CorruptFileError: one that is there cannot be read.
    """
    for table in reversed(TABLES):
        name, schema = f"{table}/{SCHEMA_FILE}", layout.schema(table)
        if not _has_columns(store, name, schema):
            store.files.write(name, to_parquet(schema.empty_table()))


def retire(store: Store, sweep: Sweep, wanted: Collection[str]) -> list[str]:
    """Move what a sweep no longer asks for to ``retired/``.

    Args:
        store: the store, in which no trial runs.
        sweep: what stays.
        wanted: the trials that stay.

    Returns:
        The trials that went.
    """
    layout = settle(store, sweep)
    index = store.index()
    going = index.committed - set(wanted)
    unfinished = set(store.checkpoint_ids()) - set(wanted)
    if going:
        for table in TABLES:
            chosen = list(index.assigned(table, going))
            copy_rows(store, index, table, layout, chosen, folder="retired/")
        settle(store, sweep, drop=going)
    for trial_id in going | unfinished:
        for name in (f"logs/{trial_id}.log", f"checkpoints/{trial_id}"):
            if store.files.exists(name):
                store.files.move(name, f"retired/{name}")
    return sorted(going | unfinished)
