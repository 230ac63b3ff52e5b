"""Which file holds which trial's rows, so that every reader meets each row once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from orchestrator.errors import CorruptFileError, StoreError
from orchestrator.store import bucket
from orchestrator.store.files import Files
from orchestrator.store.schema import SCHEMA_FILE, TABLES, conform

UNREADABLE = (pa.ArrowException, OSError, LookupError, ValueError)
"""What reading a damaged Parquet file raises."""

MERGED = "merged-"
"""Merged files are named by the time they were made; the latest wins."""
TRIAL_IDS = b"trial_ids"
"""Key of a merged file's footer under which the trials in it are listed."""

_BATCH_ROWS = 128 * 1024
_FORMAT = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True)
)


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
        self.parts = {table: self._parts(table) for table in TABLES}
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
        self,
        table: str,
        wanted: Collection[str],
        schema: pa.Schema,
        only: ds.Expression | None = None,
    ) -> pa.Table:
        """Read the wanted trials' rows of a table, made to fit a schema.

        Of a file that cannot be read no row is given; it is reported.

        Args:
            table: one of `TABLES`.
            wanted: trial ids.
            schema: the columns to read.
            only: a further condition on the rows.
        """
        chosen = list(self.assigned(table, wanted))

        def load(choice: tuple[Part, frozenset[str]]) -> list[pa.Table]:
            try:
                return list(self.batches(*choice, only=only, schema=schema))
            except CorruptFileError as error:
                self._on_corrupt(error)
                return []

        with ThreadPoolExecutor(4) as pool:
            pieces = [piece for pieces in pool.map(load, chosen) for piece in pieces]
        return pa.concat_tables([schema.empty_table(), *pieces]).unify_dictionaries()

    def batches(
        self,
        part: Part,
        taken: frozenset[str],
        schema: pa.Schema,
        only: ds.Expression | None = None,
    ) -> Iterator[pa.Table]:
        """Read some trials' rows of one file in pieces.

        Raises:
            CorruptFileError: it cannot be read, or not to its end.
        """
        if taken != part.trial_ids:
            among = pc.field("trial_id").isin(sorted(taken))
            only = among if only is None else among & only
        try:
            source = ds.dataset(
                self._files.path(part.name), filesystem=self._files.fs, format=_FORMAT
            )
            columns = [name for name in schema.names if name in source.schema.names]
            batches = source.to_batches(
                columns=columns, filter=only, batch_size=_BATCH_ROWS, batch_readahead=2
            )
            for batch in batches:
                yield conform(pa.Table.from_batches([batch]), schema)
        except FileNotFoundError:
            raise
        except UNREADABLE as error:
            raise corrupt_file(self._files, part.name, error) from None


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
