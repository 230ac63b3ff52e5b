"""One Parquet file of a table: its footer, its rows, and what to do where it is damaged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from orchestrator.errors import CorruptFileError, StoreError
from orchestrator.store import bucket
from orchestrator.store.files import Files

Derived = TypeVar("Derived")

UNREADABLE = (pa.ArrowException, OSError, LookupError, ValueError)
"""What reading a damaged Parquet file raises."""

MERGED = "merged-"
"""Prefix of merged files, named by the time they were written; the latest wins."""

_MAX_PENDING = 256
"""Small tables to hold before they are joined into one."""
_LARGE = 1024
"""Rows from which a table is not small."""
_FOOTER_BYTES = 2**20
"""Read at the end of a file at first: a footer that lists 10,000 trials takes a fifth of it."""


@dataclass(frozen=True)
class Part:
    """One Parquet file of a table, and the trials whose rows it holds."""

    name: str
    stamp: str
    """Its size and time, as `Files.stamps` lists them."""
    trial_ids: frozenset[str]
    metadata: pq.FileMetaData | None = None
    """The footer of a merged file."""

    @property
    def merged(self) -> bool:
        """Whether the driver merged it, rather than a worker wrote a single trial."""
        return self.name.rpartition("/")[2].startswith(MERGED)

    @cached_property
    def schema(self) -> pa.Schema | None:
        """The columns of a merged file."""
        return self.metadata and self.metadata.schema.to_arrow_schema()

    def row_groups(
        self, files: Files, names: Iterable[str], probe: str | None = None
    ) -> Iterator[pa.Table]:
        """Read some columns of the file, those that it has, a row group at a time.

        Args:
            files: the store.
            names: the columns.
            probe: read the rows of this probe only.

        Raises:
            CorruptFileError: the file, or a part of it, cannot be read.
            FileNotFoundError: it is gone.
        """
        try:
            with self._opened(files) as stream, self._parquet(stream) as file:
                present = file.schema_arrow.names
                columns = [name for name in names if name in present]
                for group in range(file.num_row_groups):
                    share = _Share.ALL if probe is None else _share(file, group, probe)
                    if share is _Share.NONE:
                        continue
                    rows = file.read_row_group(group, columns)
                    if share is _Share.SOME:
                        rows = rows.filter(pc.field("probe") == probe)
                    yield rows
        except FileNotFoundError:
            raise
        except UNREADABLE as error:
            raise corrupt_file(files, self.name, error) from None

    def _opened(self, files: Files) -> pa.NativeFile:
        """Open the file; that of a single trial is small, and is read whole."""
        if self.merged:
            return files.open(self.name)
        data = files.read(self.name)
        if data is None:
            raise FileNotFoundError(self.name)
        return pa.BufferReader(data)

    def _parquet(self, stream: pa.NativeFile) -> pq.ParquetFile:
        return pq.ParquetFile(
            stream, metadata=self.metadata, pre_buffer=True, page_checksum_verification=True
        )


def read_footer(files: Files, name: str) -> pq.FileMetaData:
    """Read the footer of a Parquet file, in one request to a bucket unless it is large.

    Raises:
        FileNotFoundError: there is no such file.
    """
    with files.open(name) as stream:
        size = stream.size()
        tail = stream.read_at(min(size, _FOOTER_BYTES), max(0, size - _FOOTER_BYTES))
        needed = min(int.from_bytes(tail[-8:-4], "little") + 8, size)
        if needed > len(tail):
            tail = stream.read_at(needed, size - needed)
    return pq.read_metadata(pa.BufferReader(tail))


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


def from_schema(files: Files, name: str, derive: Callable[[pa.Schema], Derived]) -> Derived | None:
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
