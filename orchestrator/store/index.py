"""Which file holds which trial's rows, so that every reader gets each row once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.columns import TABLES
from orchestrator.errors import CorruptFileError
from orchestrator.store import format1
from orchestrator.store.checkpoints import OnCorrupt
from orchestrator.store.files import Files, is_partial
from orchestrator.store.parts import (
    MERGED,
    UNREADABLE,
    Part,
    corrupt_file,
    from_schema,
    joined,
    read_footer,
)
from orchestrator.store.schema import SCHEMA_FILE, Layout, conform, is_old, stored_layout

TRIAL_IDS = b"trial_ids"
"""Footer key of a merged file that lists its trials."""
_SCHEMA_SOURCES = 2
"""Files of rows whose columns are looked at where the schema file is missing or damaged."""


class Index:
    """The files of the table folders at one moment.

    It lists the folders and reads the footers of merged files; the file of a single trial is
    named by its id. If a driver deletes a file meanwhile, the constructor and the methods that
    read raise FileNotFoundError: make a new index.

    Args:
        files: of the store.
        on_corrupt: called with each file that cannot be read.
        trial_id: index the files of this trial alone.

    Attributes:
        parts: the files of rows of each table: merged ones, the latest first, then single ones.
        partial: files that a writer has not finished, or never will.
        layout: the columns; None if the store has no tables yet.
        is_old: whether files of format 1 may be among them.
        committed: trials whose rows are in all three tables.
    """

    def __init__(self, files: Files, on_corrupt: OnCorrupt, trial_id: str | None = None) -> None:
        self._files = files
        self._on_corrupt = on_corrupt
        stamps = _all_files(files) if trial_id is None else _files_of(trial_id)
        self.partial = [name for name in stamps if is_partial(name)]
        rows = {n: s for n, s in stamps.items() if n.endswith(".parquet") and not is_partial(n)}
        schemas = {n for n in rows if n.endswith(f"/{SCHEMA_FILE}")}
        merged = [n for n in rows if n.partition("/")[2].startswith(MERGED)]
        singles = [n for n in rows if n not in schemas and n not in merged]
        found = [p for name in reversed(merged) if (p := self._merged(name, rows[name]))]
        old_trials = self._read_columns([*schemas, *merged, *singles])
        self.is_old = old_trials or any(p.schema is not None and is_old(p.schema) for p in found)
        found += [self._single(name, rows[name]) for name in singles]
        self.parts: dict[str, list[Part]] = {
            table: [p for p in found if p.name.startswith(f"{table}/")] for table in TABLES
        }
        ids = [
            frozenset[str]().union(*(part.trial_ids for part in self.parts[table]))
            for table in TABLES
        ]
        self.committed: frozenset[str] = ids[0].intersection(*ids[1:])

    @property
    def merged_parts(self) -> list[Part]:
        """The files that a driver has merged."""
        return [part for parts in self.parts.values() for part in parts if part.merged]

    def _merged(self, name: str, stamp: str) -> Part | None:
        try:
            metadata = read_footer(self._files, name)
            schema = metadata.schema.to_arrow_schema()
            trial_ids = schema.metadata[TRIAL_IDS].decode().split()
            return Part(name, stamp, self._present(trial_ids, schema), metadata)
        except FileNotFoundError:
            raise
        except (*UNREADABLE, TypeError) as error:
            self._on_corrupt(corrupt_file(self._files, name, error))
            return None

    def _read_columns(self, names: Collection[str]) -> bool:
        """Read the layout, and tell whether the schema file is of format 1, or does not tell.

        A rewrite from format 1 changes the schema file of ``trials`` last.
        """
        trials = sorted(name for name in names if name.startswith("trials/"))
        name = f"trials/{SCHEMA_FILE}"
        layout, old = None, False
        if name in trials:
            trials.remove(name)
            try:
                found = from_schema(self._files, name, lambda s: (stored_layout(s), is_old(s)))
                layout, old = found or (None, False)
            except CorruptFileError as error:
                self._on_corrupt(error)
                old = True  # so that each file is looked into
        merged_first = sorted(trials, key=lambda name: not name.startswith(f"trials/{MERGED}"))
        others = merged_first[:_SCHEMA_SOURCES] if layout is None else []
        self.layout = layout or layout_of(self._files, others, self._on_corrupt)
        return old

    def _single(self, name: str, stamp: str) -> Part:
        trial_ids = [name.rpartition("/")[2].removesuffix(".parquet")]
        try:
            schema = from_schema(self._files, name, lambda s: s) if self.is_old else None
        except CorruptFileError:
            schema = None  # it is reported when its rows are read
        return Part(name, stamp, self._present(trial_ids, schema))

    def _present(self, trial_ids: list[str], schema: pa.Schema | None) -> frozenset[str]:
        """Return the present ids of a file's trials."""
        if schema is None or not is_old(schema):
            return frozenset(trial_ids)
        return frozenset(self._renamed.get(trial_id, trial_id) for trial_id in trial_ids)

    @cached_property
    def _renamed(self) -> Mapping[str, str]:
        return format1.new_ids(self._files)

    def assigned(
        self, table: str, trial_ids: Collection[str]
    ) -> Iterator[tuple[Part, frozenset[str]]]:
        """Assign each trial to the first file that holds it."""
        unassigned = set(trial_ids)
        for part in self.parts[table]:
            if from_part := part.trial_ids & unassigned:
                unassigned -= from_part
                yield part, from_part

    def read(
        self, table: str, trial_ids: Collection[str], schema: pa.Schema, probe: str | None = None
    ) -> pa.Table:
        """Read trials' rows of a table, converted to a schema.

        A file that cannot be read is reported, and contributes no rows.

        Args:
            table: one of `TABLES`.
            trial_ids: whose rows.
            schema: the columns to read.
            probe: read the rows of this probe only.
        """
        assigned = list(self.assigned(table, trial_ids))

        def load(assignment: tuple[Part, frozenset[str]]) -> list[pa.Table]:
            try:
                return list(self.pieces(*assignment, schema, probe))
            except CorruptFileError as error:
                self._on_corrupt(error)
                return []

        with ThreadPoolExecutor(self._files.threads) as pool:
            pieces = (piece for pieces in pool.map(load, assigned) for piece in pieces)
            return joined(pieces, schema)

    def pieces(
        self, part: Part, trial_ids: frozenset[str], schema: pa.Schema, probe: str | None = None
    ) -> Iterator[pa.Table]:
        """Read some trials' rows of one file, a row group at a time.

        Raises:
            CorruptFileError: the file, or a part of it, cannot be read.
        """
        old_names = {format1.old_name(name) for name in schema.names} if self.is_old else set()
        try:
            for group in part.row_groups(self._files, {*schema.names, *old_names}, probe):
                rows = format1.converted(group, self._renamed) if is_old(group.schema) else group
                if trial_ids != part.trial_ids:
                    rows = rows.filter(pc.field("trial_id").isin(sorted(trial_ids)))
                yield conform(rows, schema)
        except FileNotFoundError:
            raise
        except UNREADABLE as error:
            raise corrupt_file(self._files, part.name, error) from None


def _all_files(files: Files) -> dict[str, str]:
    """List the files of the table folders, with their stamps."""
    return {
        f"{table}/{name}": stamp for table in TABLES for name, stamp in files.stamps(table).items()
    }


def _files_of(trial_id: str) -> dict[str, str]:
    """Name the files of one trial, and those of the columns; they are not to be compared."""
    names = (SCHEMA_FILE, f"{trial_id}.parquet")
    return {f"{table}/{name}": "" for table in TABLES for name in names}


def layout_of(files: Files, names: Iterable[str], on_corrupt: OnCorrupt) -> Layout | None:
    """Read a store's columns from the first of these files that is there and can be read."""
    for name in names:
        try:
            if layout := from_schema(files, name, stored_layout):
                return layout
        except CorruptFileError as error:
            on_corrupt(error)
    return None
