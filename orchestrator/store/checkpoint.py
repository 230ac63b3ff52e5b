"""A checkpoint: a head, and the files that it lists, which never change once written."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import TypeAdapter

from orchestrator.columns import Status
from orchestrator.store.epochs import last_values, metric_names
from orchestrator.store.schema import PROBE_SCHEMA, with_ids


class DamagedError(Exception):
    """The bytes are not those that were written."""


@dataclass(frozen=True)
class StoredFile:
    """A file in a trial's folder of checkpoints."""

    name: str
    size: int
    crc32: int

    @classmethod
    def of(cls, name: str, data: bytes | pa.Buffer) -> StoredFile:
        """Describe a file by its content."""
        return cls(name, memoryview(data).nbytes, zlib.crc32(data))

    def require(self, data: bytes) -> None:
        """Compare what was read with what was written.

        Raises:
            DamagedError: it differs.
        """
        if (len(data), zlib.crc32(data)) != (self.size, self.crc32):
            raise DamagedError("its checksum is wrong")


@dataclass(frozen=True)
class StoredRows:
    """The Parquet files with the rows of consecutive epochs."""

    epochs: StoredFile
    probes: StoredFile


@dataclass(frozen=True)
class Rows:
    """Rows of consecutive epochs."""

    epochs: pa.Table
    """One row per epoch: ``epoch``, ``step``, the metrics, ``seconds``."""
    probes: pa.Table
    """Their probe rows, with the columns of `schema.PROBE_SCHEMA`."""
    stored: StoredRows | None = None
    """Where they are; None until they are written."""

    def __len__(self) -> int:
        """Count the epochs."""
        return len(self.epochs)


def joined_rows(parts: Sequence[Rows]) -> Rows:
    """Join parts that follow each other; metrics that some of them lack are null there."""
    epochs = [part.epochs for part in parts]
    probes = [PROBE_SCHEMA.empty_table(), *(part.probes for part in parts)]
    return Rows(
        pa.concat_tables(epochs, promote_options="permissive"),
        pa.concat_tables(probes).unify_dictionaries().combine_chunks(),
    )


def added(parts: Sequence[Rows], new: Rows) -> tuple[Rows, ...]:
    """Add a part, and merge it with those before it that are less than twice as long.

    So each part is at least twice as long as the next: n epochs are in at most log2(n) + 1 parts,
    and each row is written about as often. Parts that are not merged stay as they are.
    """
    kept = list(parts)
    merged = [new]
    while kept and len(kept[-1]) < 2 * sum(map(len, merged)):
        merged.insert(0, kept.pop())
    return (*kept, joined_rows(merged) if len(merged) > 1 else new)


@dataclass(frozen=True)
class About:
    """What a head says of its trial."""

    row: dict[str, Any]
    """The trial's ids, seed and params, as in its later row of ``trials``."""
    code_digest: str
    seconds: float
    """Time spent on the trial so far, set-up included."""
    started_at: datetime
    resumed_at: tuple[int, ...]
    """The epochs after which later attempts went on."""
    device: str | None
    facts: dict[str, str]


@dataclass(frozen=True)
class Head:
    """The commit of a checkpoint: it lists the files that belong together."""

    attempt: int
    epochs: int
    """How many epochs the trial has so far; 0 makes it begin anew."""
    state: StoredFile | None
    """None until the trial first saves one."""
    parts: tuple[StoredRows, ...]
    folder: dict[str, StoredFile]
    """The files of the trial's own folder by their path in it, where the store is a bucket."""
    about: About

    def files(self) -> set[str]:
        """Name all files that it lists."""
        rows = [file for part in self.parts for file in (part.epochs, part.probes)]
        state = [self.state] if self.state else []
        return {file.name for file in (*rows, *state, *self.folder.values())}

    def to_bytes(self) -> bytes:
        """Write it as a line with a checksum and one of JSON."""
        content = json.dumps(_HEAD.dump_python(self, mode="json")).encode()
        return b"%08x\n%s" % (zlib.crc32(content), content)

    @classmethod
    def from_bytes(cls, data: bytes) -> Head:
        """Read a head back.

        Raises:
            DamagedError: the bytes are not a whole head.
        """
        checksum, _, content = data.partition(b"\n")
        if checksum != b"%08x" % zlib.crc32(content):
            raise DamagedError("its checksum is wrong")
        try:
            head = _HEAD.validate_python(json.loads(content))
        except ValueError as error:
            raise DamagedError(str(error)) from None
        if any("/" in name for name in head.files()) or not all(map(_is_inside, head.folder)):
            raise DamagedError("it lists files outside of its folder")
        return head


_HEAD = TypeAdapter(Head)


def _is_inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and parts[0] != "/" and ".." not in parts


@dataclass(frozen=True)
class Checkpoint:
    """A trial as of a head."""

    head: Head
    rows: Rows
    """All its rows so far; of a head without epochs, empty."""
    state: bytes | None = None
    """Read only for the trial's next attempt."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that the trial yields."""
        return metric_names(self.rows.epochs)

    def table(self, table: str, schema: pa.Schema) -> pa.Table:
        """Build the trial's rows so far like those of a finished trial, except for its status."""
        about = self.head.about
        if table != "trials":
            return with_ids(about.row, getattr(self.rows, table), schema)
        row: Mapping[str, Any] = {
            **about.row,
            **last_values(self.rows.epochs),
            "status": Status.UNFINISHED,
            "epochs_run": self.head.epochs,
            "attempts": self.head.attempt,
            "resumed_at": json.dumps(about.resumed_at),
            **{n: getattr(about, n) for n in ("seconds", "started_at", "code_digest", "device")},
        }
        return with_ids(row, None, schema)

    def first(self, epochs: int) -> Checkpoint:
        """Keep the first epochs only."""
        probes = self.rows.probes.filter(pc.field("epoch") <= epochs)
        return replace(self, rows=Rows(self.rows.epochs.slice(0, epochs), probes))
