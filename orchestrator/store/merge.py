"""Merge the rows of many trials into one file."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from orchestrator.store.epochs import best_values
from orchestrator.store.files import Files
from orchestrator.store.index import TRIAL_IDS, Index
from orchestrator.store.parts import MERGED, Part, gathered, joined
from orchestrator.store.schema import Layout
from orchestrator.store.store import Store

_ROWS = 1024 * 1024
"""Rows to hold at once: enough for row groups that compress and read well."""


def copy_rows(
    store: Store,
    index: Index,
    table: str,
    layout: Layout,
    sources: Collection[tuple[Part, frozenset[str]]],
    folder: str = "",
    change: Callable[[pa.Table], pa.Table] = lambda rows: rows,
) -> str:
    """Copy the rows of some trials into one merged file.

    Rows are copied in pieces, since a table may be larger than memory.

    Args:
        store: the store to write to.
        index: the files to read.
        table: the name of the table.
        layout: the columns to write.
        sources: files and the trials to copy from each, as from `Index.assigned`.
        folder: a folder within the store, ending in a slash.
        change: a function to apply to each piece.

    Returns:
        The file's name in the store.

    Raises:
        CorruptFileError: one of the files cannot be read; nothing is written.
    """
    schema = layout.schema(table)
    ids = frozenset[str]().union(*(trial_ids for _, trial_ids in sources))
    pieces: Iterable[pa.Table] = (
        change(rows)
        for part, trial_ids in sources
        for rows in index.pieces(part, trial_ids, schema)
    )
    if table == "trials":
        pieces = [_with_best(joined(pieces, schema), index, layout)]
    return write_merged(store.files, f"{folder}{table}", schema, ids, pieces)


def write_merged(
    files: Files, folder: str, schema: pa.Schema, ids: Collection[str], pieces: Iterable[pa.Table]
) -> str:
    """Write rows of some trials as one merged file; each probe has its own row groups.

    Args:
        files: the store to write to.
        folder: the table's folder within the store.
        schema: the columns of each piece.
        ids: the trials whose rows they are.
        pieces: the rows.

    Returns:
        The file's name in the store.
    """
    trial_ids = {TRIAL_IDS: " ".join(sorted(ids)).encode()}
    footer = schema.with_metadata({**(schema.metadata or {}), **trial_ids})
    files.make_folder(folder)
    name = f"{folder}/{MERGED}{_later(files.names(folder)):020d}.parquet"
    with (
        files.writing(name) as stream,
        pq.ParquetWriter(stream, footer, compression="zstd", write_page_checksum=True) as writer,
    ):
        for rows in _row_groups(gathered(pieces), schema.empty_table()):
            for group in _by_probe(rows) if "probe" in schema.names else [rows]:
                table = group.replace_schema_metadata(footer.metadata)
                writer.write_table(table, row_group_size=max(len(table), 1))
    return name


def _later(names: Iterable[str]) -> int:
    """Return the time in nanoseconds, or a later one than any merged file has: clocks go back."""
    times = [name[len(MERGED) :].partition(".")[0] for name in names if name.startswith(MERGED)]
    return max([time.time_ns(), *(int(each) + 1 for each in times if each.isdecimal())])


def _row_groups(pieces: Iterable[pa.Table], empty: pa.Table) -> Iterator[pa.Table]:
    pending, rows = [empty], 0
    for piece in pieces:
        pending.append(piece)
        rows += len(piece)
        if rows >= _ROWS:
            yield pa.concat_tables(pending).unify_dictionaries()
            pending, rows = [empty], 0
    yield pa.concat_tables(pending).unify_dictionaries()


def _by_probe(rows: pa.Table) -> Iterator[pa.Table]:
    """Split rows by probe, so that a reader of one probe skips the others."""
    for probe in rows["probe"].unique().to_pylist():
        yield rows.filter(pc.field("probe") == probe)


def _with_best(trials: pa.Table, index: Index, layout: Layout) -> pa.Table:
    """Fill the best epoch's value from ``epochs``, since the selection metric may be new."""
    metric = layout.select_metric
    if metric not in layout.metrics:
        return trials
    epochs_schema = layout.schema("epochs")
    schema = pa.schema([epochs_schema.field("trial_id"), epochs_schema.field(metric)])
    ids = trials["trial_id"].to_pylist()
    values = best_values(ids, index.read("epochs", ids, schema), metric, layout.mode)
    position = trials.schema.get_field_index(f"best_{metric}")
    return trials.set_column(position, trials.schema.field(position), values)
