"""Changes to a store that only the driver makes, under its lock and while no trial runs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pyarrow as pa

from orchestrator.columns import FINISHED, TABLES
from orchestrator.errors import CorruptFileError
from orchestrator.spec.model import Sweep
from orchestrator.store.checkpoints import drop_checkpoint, retire_checkpoint, tidy
from orchestrator.store.index import Index, Part, from_schema
from orchestrator.store.intact import IntactFiles
from orchestrator.store.merge import copy_rows
from orchestrator.store.names import log_file, rows_file
from orchestrator.store.schema import SCHEMA_FILE, Layout, same_columns, to_parquet
from orchestrator.store.store import Store

FOLDERS = (*TABLES, "checkpoints", "folders", "logs", "code")


def create(store: Store) -> None:
    """Make the folders of an empty store."""
    for folder in FOLDERS:
        store.files.make_folder(folder)


def clear(store: Store) -> None:
    """Delete everything that a smoke run left, since each one starts anew."""
    for folder in FOLDERS:
        store.files.delete_all([f"{folder}/{name}" for name in store.files.tree(folder)])


def settle(store: Store, sweep: Sweep, drop: Collection[str] = ()) -> Layout:
    """Give a store the sweep's columns, and merge each table into one file.

    Files that killed workers left are deleted; unreadable files are moved to ``corrupt/``, and
    their trials count as missing.

    Args:
        store: the store, in which no trial runs.
        sweep: the sweep to run next.
        drop: trials whose rows to delete, because they run again or are retired.

    Returns:
        The store's columns; without metrics if it holds no finished trial.
    """
    for table in TABLES:
        store.files.clean(table)
    tidy(store.files, store.on_corrupt)
    damaged = False
    while True:
        try:
            return _settle(store, sweep, frozenset(drop), damaged=damaged)
        except CorruptFileError as error:
            store.on_corrupt(error)
            store.files.set_aside(error.name)
            damaged = True
        except FileNotFoundError:
            continue  # a bucket is not locked: another driver has just merged the file


def _refuse(error: CorruptFileError) -> None:
    raise error


def _settle(store: Store, sweep: Sweep, drop: frozenset[str], *, damaged: bool) -> Layout:
    """Settle once.

    The schema files are written first, since rows with older columns can be converted to
    newer ones at any time, but not the reverse. Only where files of format 1 are rewritten do
    they come last: until then they say that such files may be there.

    Raises:
        CorruptFileError: a file cannot be read; move it aside and settle again.
    """
    outcomes, index, stored = store.outcomes(_refuse), store.index(_refuse), store.layout(_refuse)
    finished = frozenset(i for i, end in outcomes.items() if end.status in FINISHED) - drop
    failed = frozenset(outcomes) - finished - drop
    layout = Layout.of(sweep).widened(stored) if stored else Layout.of(sweep)
    if not finished:
        layout = replace(layout, metrics=())
    for trial_id in finished.intersection(store.checkpoint_ids()):
        drop_checkpoint(store.files, trial_id)  # its worker was killed after the commit
    if not index.is_old:
        write_schema(store, layout)
    intact = IntactFiles(store.files)
    current = _merge_all(store, index, finished, layout, intact)
    _convert(store, index, failed, layout)
    for table in TABLES:
        superseded = [
            part
            for part in index.parts[table]
            if part.name != current[table]
            and (
                part.merged
                or _has_old_name(table, part)
                or (_is_complete(store, index, part) and not part.trial_ids & failed)
            )
        ]
        incomplete = [  # a damaged file held the trials' rows of another table
            part
            for part in superseded
            if damaged and part.merged and not part.trial_ids <= index.committed
        ]
        for part in incomplete:
            store.files.set_aside(part.name)
        store.files.delete_all([part.name for part in superseded if part not in incomplete])
    intact.record(name for name in current.values() if name)
    if index.is_old:
        write_schema(store, layout)
    return layout


def _has_old_name(table: str, single: Part) -> bool:
    """Tell whether a file is named by an id of format 1; its rows are in another one now."""
    return all(single.name != rows_file(table, trial_id) for trial_id in single.trial_ids)


def _is_complete(store: Store, index: Index, single: Part) -> bool:
    """Tell whether no worker is still writing the trial's files; a bucket is not locked."""
    return store.files.local is not None or single.trial_ids <= index.committed


def _merge_all(
    store: Store, index: Index, finished: frozenset[str], layout: Layout, intact: IntactFiles
) -> dict[str, str | None]:
    """Merge the finished trials' rows of each table into one file; return their names by table."""
    current: dict[str, str | None] = {}
    try:
        for table in reversed(TABLES):
            current[table] = _merge(store, index, table, finished, layout, intact)
    except (CorruptFileError, FileNotFoundError):
        existing = {part.name for parts in index.parts.values() for part in parts}
        for name in current.values():
            if name is not None and name not in existing:
                store.files.delete(name)
        raise
    return current


def _merge(
    store: Store,
    index: Index,
    table: str,
    finished: frozenset[str],
    layout: Layout,
    intact: IntactFiles,
) -> str | None:
    """Merge the finished trials' rows into one file, unless such a file exists already."""
    if not finished:
        return None
    schema = layout.schema(table)
    merged = [part for part in index.parts[table] if part.merged]
    if [part.trial_ids for part in merged] == [finished]:
        (part,) = merged
        if same_columns(part.schema, schema):
            if not intact.includes(part.name):
                for _ in index.pieces(part, finished, schema):
                    pass  # reading the file through reveals damage
            return part.name
    return copy_rows(store, index, table, layout, list(index.assigned(table, finished)))


def _convert(store: Store, index: Index, failed: Collection[str], layout: Layout) -> None:
    """Rewrite the files of failed trials, which are never merged, if they lack new columns."""
    for table in TABLES:
        schema = layout.schema(table)
        for part, trial_ids in index.assigned(table, failed):
            if not _has_columns(store, part.name, schema):
                rows = [schema.empty_table(), *index.pieces(part, trial_ids, schema)]
                (trial_id,) = trial_ids
                store.files.write(rows_file(table, trial_id), to_parquet(pa.concat_tables(rows)))


def _has_columns(store: Store, name: str, schema: pa.Schema) -> bool:
    """Tell whether a file exists and has the columns of a schema."""
    return bool(from_schema(store.files, name, lambda stored: same_columns(stored, schema)))


def write_schema(store: Store, layout: Layout) -> None:
    """Write the empty files from which pandas reads the columns, where they differ.

    Raises:
        CorruptFileError: an existing one cannot be read.
    """
    for table in reversed(TABLES):
        name, schema = f"{table}/{SCHEMA_FILE}", layout.schema(table)
        if not _has_columns(store, name, schema):
            store.files.write(name, to_parquet(schema.empty_table()))


def retire(store: Store, sweep: Sweep, kept: Collection[str]) -> list[str]:
    """Move the trials that a sweep no longer has to ``retired/``.

    Args:
        store: the store, in which no trial runs.
        sweep: the sweep that remains.
        kept: the ids of its trials.

    Returns:
        The ids of the retired trials.
    """
    layout = settle(store, sweep)
    index = store.index()
    committed = index.committed - set(kept)
    unfinished = set(store.checkpoint_ids()) - set(kept)
    if committed:
        for table in TABLES:
            sources = list(index.assigned(table, committed))
            copy_rows(store, index, table, layout, sources, folder="retired/")
        settle(store, sweep, drop=committed)
    for trial_id in committed | unfinished:
        if store.files.exists(name := log_file(trial_id)):
            store.files.move(name, f"retired/{name}")
        retire_checkpoint(store.files, trial_id)
    return sorted(committed | unfinished)
