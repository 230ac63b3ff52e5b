"""Which file holds which trial's rows, so that every reader gets each row once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from orchestrator.columns import TABLES
from orchestrator.errors import CorruptFileError, StoreError
from orchestrator.store import bucket, format1
from orchestrator.store.files import Files
from orchestrator.store.schema import SCHEMA_FILE, conform, is_old

Result = TypeVar("Result")

UNREADABLE = (pa.ArrowException, OSError, LookupError, ValueError)
"""What reading a damaged Parquet file raises."""

MERGED = "merged-"
"""Prefix of merged files, named by the time they were written; the latest wins."""
TRIAL_IDS = b"trial_ids"
"""Footer key of a merged file that lists its trials."""

_MAX_PENDING = 256
"""Small tables to hold before they are joined into one."""
_LARGE = 1024
"""Rows from which a table is not small."""


@dataclass(frozen=True)
class Part:
    """One Parquet file of a table, and the trials whose rows it holds."""

    name: str
    trial_ids: frozenset[str]
    schema: pa.Schema | None = None
    """The columns of a merged file."""

    @property
    def merged(self) -> bool:
        """Whether the driver merged it, rather than a worker wrote a single trial."""
        return self.name.rpartition("/")[2].startswith(MERGED)


class Index:
    """The files of the table folders at one moment.

    It lists the folders and reads the footers of merged files; the file of a single trial is
    named by its id. If a driver deletes a file meanwhile, the constructor and the methods that
    read raise FileNotFoundError: make a new index.
    """

    def __init__(self, files: Files, on_corrupt: Callable[[CorruptFileError], None]) -> None:
        self._files = files
        self._on_corrupt = on_corrupt
        listed = {table: row_files(files, table) for table in TABLES}
        self.parts: dict[str, list[Part]] = {
            table: self._merged_parts(table, merged) for table, (merged, _) in listed.items()
        }
        self.is_old = self._has_old_files()
        """Whether files of format 1 may be among them."""
        for table, (_, singles) in listed.items():
            self.parts[table] += [self._single(f"{table}/{name}") for name in singles]
        ids = [
            frozenset[str]().union(*(part.trial_ids for part in self.parts[table]))
            for table in TABLES
        ]
        self.committed: frozenset[str] = ids[0].intersection(*ids[1:])
        """Trials whose rows are in all three tables."""
        self.uncommitted: frozenset[str] = ids[0].union(*ids[1:]) - self.committed
        """Trials whose rows are in some tables only."""

    def _merged_parts(self, table: str, names: list[str]) -> list[Part]:
        """Read the footers of a table's merged files, the latest first."""
        return [part for name in reversed(names) if (part := self._merged(f"{table}/{name}"))]

    def _merged(self, name: str) -> Part | None:
        try:
            with self._files.open(name) as stream:
                schema = pq.read_schema(stream)
            trial_ids = schema.metadata[TRIAL_IDS].decode().split()
            return Part(name, self._present(trial_ids, schema), schema)
        except FileNotFoundError:
            raise
        except (*UNREADABLE, TypeError) as error:
            self._on_corrupt(corrupt_file(self._files, name, error))
            return None

    def _has_old_files(self) -> bool:
        """Look into merged files and the schema file, which a rewrite changes last."""
        if any(
            part.schema and is_old(part.schema) for parts in self.parts.values() for part in parts
        ):
            return True
        try:
            return from_schema(self._files, f"trials/{SCHEMA_FILE}", is_old) or False
        except CorruptFileError:
            return True  # so that each file is looked into

    def _single(self, name: str) -> Part:
        trial_ids = [name.rpartition("/")[2].removesuffix(".parquet")]
        try:
            schema = from_schema(self._files, name, lambda s: s) if self.is_old else None
        except CorruptFileError:
            schema = None  # it is reported when its rows are read
        return Part(name, self._present(trial_ids, schema))

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
        try:
            with self._opened(part) as stream, _parquet(stream) as file:
                names, old = file.schema_arrow.names, is_old(file.schema_arrow)
                wanted = [format1.old_name(name) if old else name for name in schema.names]
                columns = [name for name in wanted if name in names]
                for group in range(file.num_row_groups):
                    share = _Share.ALL if probe is None else _share(file, group, probe)
                    if share is _Share.NONE:
                        continue
                    rows = file.read_row_group(group, columns)
                    if share is _Share.SOME:
                        rows = rows.filter(pc.field("probe") == probe)
                    if old:
                        rows = format1.converted(rows, self._renamed)
                    if trial_ids != part.trial_ids:
                        rows = rows.filter(pc.field("trial_id").isin(sorted(trial_ids)))
                    yield conform(rows, schema)
        except FileNotFoundError:
            raise
        except UNREADABLE as error:
            raise corrupt_file(self._files, part.name, error) from None

    def _opened(self, part: Part) -> pa.NativeFile:
        """Open a file; that of a single trial is small, and is read whole."""
        if part.merged:
            return self._files.open(part.name)
        data = self._files.read(part.name)
        if data is None:
            raise FileNotFoundError(part.name)
        return pa.BufferReader(data)


def joined(pieces: Iterable[pa.Table], schema: pa.Schema) -> pa.Table:
    """Join tables of one schema."""
    return pa.concat_tables([schema.empty_table(), *gathered(pieces)]).unify_dictionaries()


def gathered(pieces: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Join small tables as they come, and pass on large ones.

    Thousands of tables of one row each, as of single trials, would take 20 KB each.
    """
    pending: list[pa.Table] = []
    for piece in pieces:
        pending.append(piece)
        if len(piece) >= _LARGE or len(pending) == _MAX_PENDING:
            yield _combined(pending)
            pending = []
    if pending:
        yield _combined(pending)


def _combined(tables: list[pa.Table]) -> pa.Table:
    if len(tables) == 1:  # needs no copy
        return tables[0]
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _parquet(stream: pa.NativeFile) -> pq.ParquetFile:
    return pq.ParquetFile(stream, pre_buffer=True, page_checksum_verification=True)


class _Share(Enum):
    """How many rows of a row group are of one probe, as far as its statistics show."""

    NONE = auto()
    SOME = auto()
    ALL = auto()


def _share(file: pq.ParquetFile, group: int, probe: str) -> _Share:
    """Look up in the statistics which rows of a row group are of a probe."""
    column = file.schema_arrow.get_field_index("probe")
    statistics = file.metadata.row_group(group).column(column).statistics
    if statistics is None or not statistics.has_min_max:
        return _Share.SOME
    if statistics.min == statistics.max == probe:
        return _Share.ALL
    return _Share.SOME if statistics.min <= probe <= statistics.max else _Share.NONE


def row_files(files: Files, table: str) -> tuple[list[str], list[str]]:
    """List the names of a table's merged files and of its single trials' files, each sorted."""
    names = [name for name in files.names(table) if name.endswith(".parquet")]
    merged = [name for name in names if name.startswith(MERGED)]
    singles = [name for name in names if not name.startswith(MERGED) and name != SCHEMA_FILE]
    return merged, singles


def from_schema(files: Files, name: str, derive: Callable[[pa.Schema], Result]) -> Result | None:
    """Derive something from the columns of a small Parquet file; None if there is no such file.

    Raises:
        CorruptFileError: the file cannot be read, or ``derive`` fails on its columns.
    """
    data = files.read(name)
    if data is None:
        return None
    try:
        return derive(pq.read_schema(pa.BufferReader(data)))
    except UNREADABLE as error:
        raise CorruptFileError(name, files.shown(name), str(error)) from None


def corrupt_file(files: Files, name: str, error: Exception) -> CorruptFileError:
    """Make the error of a file whose content cannot be read.

    Raises:
        StoreError: the file may be intact, but cannot be read now.
        FileNotFoundError: it is gone.
    """
    if isinstance(error, OSError) and error.errno is not None:
        raise StoreError(f"{files.shown(name)} cannot be opened ({error.strerror})") from None
    if files.local is None and isinstance(error, OSError):
        # A broken connection raises the same errors as damage: read the whole file to tell.
        data = files.read(name)
        if data is None:
            raise FileNotFoundError(name)
        if _is_whole(data):
            raise bucket.refusal(error, files.shown(name)) from None
    return CorruptFileError(name, files.shown(name), str(error))


def _is_whole(data: bytes) -> bool:
    try:
        pq.read_table(pa.BufferReader(data), page_checksum_verification=True)
    except UNREADABLE:
        return False
    return True
