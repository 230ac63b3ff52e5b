"""Changes to a store that only the driver makes, under its lock and while no trial runs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pyarrow as pa

from orchestrator.columns import TABLES
from orchestrator.errors import CorruptFileError
from orchestrator.spec.model import Sweep
from orchestrator.store.checkpoints import drop_checkpoint, retire_checkpoint, tidy
from orchestrator.store.index import Index
from orchestrator.store.intact import IntactFiles
from orchestrator.store.merge import copy_rows
from orchestrator.store.names import log_file, rows_file
from orchestrator.store.parts import Part, from_schema
from orchestrator.store.schema import SCHEMA_FILE, Layout, same_columns, to_parquet
from orchestrator.store.snapshot import Snapshot
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


def settle(
    store: Store, sweep: Sweep, drop: Collection[str] = (), *, before: Snapshot | None = None
) -> Snapshot:
    """Give a store the sweep's columns, and merge each table into one file.

    Files that killed workers left are deleted; unreadable files are moved to ``corrupt/``, and
    their trials count as missing.

    Args:
        store: the store, in which no trial runs.
        sweep: the sweep to run next.
        drop: trials whose rows to delete, because they run again or are retired.
        before: what the store holds; by default, it is looked at.

    Returns:
        What the store holds now, ``before`` itself if nothing had to change; the layout has no
        metrics if there is no finished trial.
    """
    snapshot = before or store.snapshot()
    if snapshot.checkpoint_files:
        tidy(store.files, snapshot.checkpoint_files, store.on_corrupt)
        snapshot = store.snapshot()
    store.files.delete_all(snapshot.index.partial)
    intact = IntactFiles(store.files)
    damaged = False
    while True:
        try:
            if _set_damaged_aside(store, snapshot):
                damaged, snapshot = True, store.snapshot()
                continue
            if _settle(store, sweep, snapshot, frozenset(drop), intact, damaged=damaged):
                snapshot = store.snapshot()
            intact.record(snapshot.index.merged_parts)
            return snapshot
        except CorruptFileError as error:
            store.on_corrupt(error)
            store.files.set_aside(error.name)
            damaged, snapshot = True, store.snapshot()
        except FileNotFoundError:
            snapshot = store.snapshot()  # another driver has just merged a bucket's file


def _set_damaged_aside(store: Store, snapshot: Snapshot) -> bool:
    """Move the files aside that a look at all trials finds damaged; tell whether there are any."""
    snapshot.outcomes  # noqa: B018
    for name in snapshot.damaged:
        store.files.set_aside(name)
    return bool(snapshot.damaged)


def _settle(
    store: Store,
    sweep: Sweep,
    snapshot: Snapshot,
    drop: frozenset[str],
    intact: IntactFiles,
    *,
    damaged: bool,
) -> bool:
    """Settle once, and tell whether that has changed anything.

    The schema files are written first, since rows with older columns can be converted to
    newer ones at any time, but not the reverse. Only where files of format 1 are rewritten do
    they come last: until then they say that such files may be there.

    Raises:
        CorruptFileError: a file cannot be read; move it aside and settle again.
    """
    index = snapshot.index
    finished = snapshot.finished - drop
    failed = frozenset(snapshot.outcomes) - finished - drop
    layout = Layout.of(sweep).widened(index.layout) if index.layout else Layout.of(sweep)
    if not finished:
        layout = replace(layout, metrics=())
    for trial_id in finished.intersection(snapshot.checkpoint_ids):
        drop_checkpoint(store.files, trial_id)  # its worker was killed after the commit
    changed = not index.is_old and write_schema(store, layout)
    current = _merge_all(store, index, finished, layout, intact)
    changed |= _convert(store, index, failed, layout)
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
        merged = {part.name for part in index.parts[table] if part.merged}
        changed |= bool(superseded) or bool(current[table] and current[table] not in merged)
    if index.is_old:
        changed |= write_schema(store, layout)
    return changed


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
            if not intact.includes(part):
                for _ in index.pieces(part, finished, schema):
                    pass  # reading the file through reveals damage
            return part.name
    return copy_rows(store, index, table, layout, list(index.assigned(table, finished)))


def _convert(store: Store, index: Index, failed: Collection[str], layout: Layout) -> bool:
    """Rewrite the files of failed trials, which are never merged, if they lack new columns.

    Returns:
        Whether any has been rewritten.
    """
    changed = False
    for table in TABLES:
        schema = layout.schema(table)
        for part, trial_ids in index.assigned(table, failed):
            if not _has_columns(store, part.name, schema):
                rows = [schema.empty_table(), *index.pieces(part, trial_ids, schema)]
                (trial_id,) = trial_ids
                store.files.write(rows_file(table, trial_id), to_parquet(pa.concat_tables(rows)))
                changed = True
    return changed


def _has_columns(store: Store, name: str, schema: pa.Schema) -> bool:
    """Tell whether a file exists and has the columns of a schema."""
    return bool(from_schema(store.files, name, lambda stored: same_columns(stored, schema)))


def write_schema(store: Store, layout: Layout) -> bool:
    """Write the empty files from which pandas reads the columns, where they differ.

    Returns:
        Whether any differed.

    Raises:
        CorruptFileError: an existing one cannot be read.
    """
    changed = False
    for table in reversed(TABLES):
        name, schema = f"{table}/{SCHEMA_FILE}", layout.schema(table)
        if not _has_columns(store, name, schema):
            store.files.write(name, to_parquet(schema.empty_table()))
            changed = True
    return changed


def retire(store: Store, sweep: Sweep, kept: Collection[str]) -> list[str]:
    """Move the trials that a sweep no longer has to ``retired/``.

    Args:
        store: the store, in which no trial runs.
        sweep: the sweep that remains.
        kept: the ids of its trials.

    Returns:
        The ids of the retired trials.
    """
    snapshot = settle(store, sweep)
    committed = snapshot.index.committed - set(kept)
    unfinished = set(snapshot.checkpoint_ids) - set(kept)
    if committed and snapshot.layout:
        for table in TABLES:
            sources = list(snapshot.index.assigned(table, committed))
            copy_rows(store, snapshot.index, table, snapshot.layout, sources, folder="retired/")
        settle(store, sweep, committed, before=snapshot)
    for trial_id in committed | unfinished:
        if store.files.exists(name := log_file(trial_id)):
            store.files.move(name, f"retired/{name}")
        store.artifacts.retire(trial_id)
        retire_checkpoint(store.files, trial_id)
    return sorted(committed | unfinished)
