"""Which file holds which trial's rows, so that every reader meets each row once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from orchestrator.columns import TABLES
from orchestrator.errors import CorruptFileError, StoreError
from orchestrator.store import bucket
from orchestrator.store.files import Files
from orchestrator.store.schema import SCHEMA_FILE, conform

UNREADABLE = (pa.ArrowException, OSError, LookupError, ValueError)
"""What reading a damaged Parquet file raises."""

MERGED = "merged-"
"""Merged files are named by the time they were made; the latest wins."""
TRIAL_IDS = b"trial_ids"
"""Key of a merged file's footer under which the trials in it are listed."""

_PIECES = 256
"""Small tables that are held before they are joined into one."""
_MANY_ROWS = 1024
"""Rows of a table that is no longer small."""


@dataclass(frozen=True)
class Part:
    """One Parquet file of a table and the trials whose rows it holds."""

    name: str
    trial_ids: frozenset[str]
    schema: pa.Schema | None = None
    """The columns of a merged file."""

    @property
    def merged(self) -> bool:
        """Whether it is the driver's, not a single trial's."""
        return self.name.rpartition("/")[2].startswith(MERGED)


class Index:
    """What the table folders hold at one moment.

    Listing the folders and reading the footers of merged files is enough for it: the file
    of a single trial is named by its id. A file that a driver deletes meanwhile raises
    FileNotFoundError, here and in what reads: then it is time for a new index.
    """

    def __init__(self, files: Files, on_corrupt: Callable[[CorruptFileError], None]) -> None:
        self._files = files
        self._on_corrupt = on_corrupt
        self.parts: dict[str, list[Part]] = {table: self._parts(table) for table in TABLES}
        held = [
            frozenset[str]().union(*(part.trial_ids for part in self.parts[table]))
            for table in TABLES
        ]
        self.committed: frozenset[str] = held[0].intersection(*held[1:])
        """Trials whose rows are in all three tables."""
        self.uncommitted: frozenset[str] = held[0].union(*held[1:]) - self.committed

    def _parts(self, table: str) -> list[Part]:
        names = [name for name in self._files.names(table) if name.endswith(".parquet")]
        merged = [name for name in names if name.startswith(MERGED)]
        parts = [part for name in reversed(merged) if (part := self._merged(f"{table}/{name}"))]
        singles = (name for name in names if not name.startswith(MERGED) and name != SCHEMA_FILE)
        return parts + [
            Part(f"{table}/{name}", frozenset({name.removesuffix(".parquet")})) for name in singles
        ]

    def _merged(self, name: str) -> Part | None:
        try:
            with self._files.open(name) as stream:
                schema = pq.read_schema(stream)
            return Part(name, frozenset(schema.metadata[TRIAL_IDS].decode().split()), schema)
        except FileNotFoundError:
            raise
        except (*UNREADABLE, TypeError) as error:
            self._on_corrupt(corrupt_file(self._files, name, error))
            return None

    def assigned(
        self, table: str, wanted: Collection[str]
    ) -> Iterator[tuple[Part, frozenset[str]]]:
        """Give each wanted trial to the first file that holds it."""
        left = set(wanted)
        for part in self.parts[table]:
            if taken := part.trial_ids & left:
                left -= taken
                yield part, taken

    def read(
        self, table: str, wanted: Collection[str], schema: pa.Schema, probe: str | None = None
    ) -> pa.Table:
        """Read the wanted trials' rows of a table, made to fit a schema.

        Of a file that cannot be read no row is given; it is reported.

        Args:
            table: one of `TABLES`.
            wanted: trial ids.
            schema: the columns to read.
            probe: read the rows of this probe only.
        """
        chosen = list(self.assigned(table, wanted))

        def load(choice: tuple[Part, frozenset[str]]) -> list[pa.Table]:
            try:
                return list(self.pieces(*choice, schema, probe))
            except CorruptFileError as error:
                self._on_corrupt(error)
                return []

        with ThreadPoolExecutor(self._files.threads) as pool:
            pieces = (piece for pieces in pool.map(load, chosen) for piece in pieces)
            return joined(pieces, schema)

    def pieces(
        self, part: Part, taken: frozenset[str], schema: pa.Schema, probe: str | None = None
    ) -> Iterator[pa.Table]:
        """Read some trials' rows of one file, a row group at a time.

        Raises:
            CorruptFileError: it cannot be read, or not to its end.
        """
        try:
            with self._opened(part) as stream, _parquet(stream) as file:
                columns = [name for name in schema.names if name in file.schema_arrow.names]
                for group in range(file.num_row_groups):
                    all_of_it = probe is None or _holds(file, group, probe)
                    if all_of_it is False:
                        continue
                    rows = file.read_row_group(group, columns)
                    if all_of_it is None:
                        rows = rows.filter(pc.field("probe") == probe)
                    if taken != part.trial_ids:
                        rows = rows.filter(pc.field("trial_id").isin(sorted(taken)))
                    yield conform(rows, schema)
        except FileNotFoundError:
            raise
        except UNREADABLE as error:
            raise corrupt_file(self._files, part.name, error) from None

    def _opened(self, part: Part) -> pa.NativeFile:
        """Open a file; that of a single trial is small, and comes in one piece."""
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
    """Join small tables as they come, and pass large ones on.

    Thousands of tables of one row each, as single trials have, would take 20 KB apiece.
    """
    waiting: list[pa.Table] = []
    for piece in pieces:
        waiting.append(piece)
        if len(piece) >= _MANY_ROWS or len(waiting) == _PIECES:
            yield _combined(waiting)
            waiting = []
    if waiting:
        yield _combined(waiting)


def _combined(tables: list[pa.Table]) -> pa.Table:
    if len(tables) == 1:  # and needs no copy
        return tables[0]
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _parquet(stream: pa.NativeFile) -> pq.ParquetFile:
    return pq.ParquetFile(stream, pre_buffer=True, page_checksum_verification=True)


def _holds(file: pq.ParquetFile, group: int, probe: str) -> bool | None:
    """Tell whether a row group holds this probe alone, or not at all; None if it must be read."""
    place = file.schema_arrow.get_field_index("probe")
    span = file.metadata.row_group(group).column(place).statistics
    if span is None or not span.has_min_max:
        return None
    if span.min == span.max == probe:
        return True
    return None if span.min <= probe <= span.max else False


def corrupt_file(files: Files, name: str, error: Exception) -> CorruptFileError:
    """Name a file whose content cannot be read.

    Raises:
        StoreError: the file may be whole, but is not to be had now.
        FileNotFoundError: it is gone.
    """
    if isinstance(error, OSError) and error.errno is not None:
        raise StoreError(f"{files.shown(name)} cannot be opened ({error.strerror})") from None
    if files.local is None and isinstance(error, OSError):
        # A connection that broke raises what damage raises. What comes in one piece tells.
        data = files.read(name)
        if data is None:
            raise FileNotFoundError(name)
        if _is_whole(data):
            raise bucket.in_words(error, files.shown(name)) from None
    return CorruptFileError(name, files.shown(name), str(error))


def _is_whole(data: bytes) -> bool:
    try:
        pq.read_table(pa.BufferReader(data), page_checksum_verification=True)
    except UNREADABLE:
        return False
    return True
