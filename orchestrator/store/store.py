"""The store of one sweep, read: its trials, their rows and their checkpoints."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from orchestrator.errors import CorruptFileError, StoreError
from orchestrator.store.checkpoint import Checkpoint, DamagedError
from orchestrator.store.files import Files
from orchestrator.store.index import MERGED, UNREADABLE, Index, corrupt_file
from orchestrator.store.schema import SCHEMA_FILE, Layout, stored_layout

Result = TypeVar("Result")

_ATTEMPTS = 10


OnCorrupt = Callable[[CorruptFileError], None]
"""What a reader does about a file that cannot be read, before it goes on without it."""


class CorruptFileWarning(UserWarning):
    """A file of the store cannot be read; its trial counts as missing."""


def warn_of_corrupt_file(error: CorruptFileError) -> None:
    """Warn: the default of everything that reads a store."""
    warnings.warn(f"{error}; its trials count as missing", CorruptFileWarning, stacklevel=2)


@dataclass(frozen=True)
class Outcome:
    """What the store knows of one trial that ended."""

    status: str
    code_digest: str
    config_id: str
    seconds: float
    error: str | None
    reused_from: str | None


class Store:
    """One sweep's folder or bucket prefix.

    Reading never blocks or changes anything, and shows each row once whatever a driver is
    doing at the time.
    """

    def __init__(self, location: str, on_corrupt: OnCorrupt = warn_of_corrupt_file) -> None:
        self.files = Files(location)
        self.on_corrupt = on_corrupt

    @property
    def exists(self) -> bool:
        """Whether a sweep was ever run into it."""
        return self.files.exists("sweep.yaml")

    def index(self, on_corrupt: OnCorrupt | None = None) -> Index:
        """List what the table folders hold now."""
        return self.indexed(lambda index: index, on_corrupt)

    def indexed(
        self, read: Callable[[Index], Result], on_corrupt: OnCorrupt | None = None
    ) -> Result:
        """Read by an index of the files; by a new one if a driver merges them meanwhile."""
        for _ in range(_ATTEMPTS):
            try:
                return read(Index(self.files, on_corrupt or self.on_corrupt))
            except FileNotFoundError as error:
                gone = error
        raise StoreError(f"{self.files} changes while it is read ({gone})")

    def layout(self, on_corrupt: OnCorrupt | None = None) -> Layout | None:
        """Read the columns that the store has; None if it has no tables yet."""
        for name in self._schema_sources():
            data = self.files.read(name)
            if data is None:
                continue
            try:
                return stored_layout(pq.read_schema(pa.BufferReader(data)))
            except UNREADABLE as error:
                damaged = CorruptFileError(name, self.files.shown(name), str(error))
                (on_corrupt or self.on_corrupt)(damaged)
        return None

    def _schema_sources(self) -> Iterator[str]:
        """Name the files that tell the columns: the schema file, or else a merged or other one."""
        yield f"trials/{SCHEMA_FILE}"
        names = [name for name in self.files.names("trials") if name.endswith(".parquet")]
        names.sort(key=lambda name: not name.startswith(MERGED))
        yield from (f"trials/{name}" for name in names[:2] if name != SCHEMA_FILE)

    def outcomes(self, on_corrupt: OnCorrupt | None = None) -> dict[str, Outcome]:
        """Read how each trial ended, by trial id."""
        layout = self.layout(on_corrupt)
        if layout is None:
            return {}
        names = ["trial_id", *Outcome.__dataclass_fields__]
        schema = pa.schema([layout.schema("trials").field(name) for name in names])
        rows = self.indexed(lambda i: i.read("trials", i.committed, schema), on_corrupt)
        return {row.pop("trial_id"): Outcome(**row) for row in rows.to_pylist()}

    def trials(self) -> pd.DataFrame:
        """One row per trial that ended, and per trial that has a checkpoint."""
        return self._frame("trials")

    def epochs(self) -> pd.DataFrame:
        """One row per epoch of those trials."""
        return self._frame("epochs")

    def probes(self, probe: str | None = None) -> pd.DataFrame:
        """One row per epoch, probe and layer of those trials.

        Args:
            probe: read the rows of this probe only.
        """
        return self._frame("probes", probe)

    def probe_names(self, *, layerwise: bool = False) -> list[str]:
        """Name the probes that trials took, in order, reading no value of them.

        Args:
            layerwise: leave out those that have units or bins.
        """
        rows = self._frame("probes", columns=("trial_id", "probe", "unit", "at"))
        if layerwise:
            rows = rows[rows["unit"].isna() & rows["at"].isna()]
        return sorted(rows["probe"].unique())

    def _frame(
        self, table: str, probe: str | None = None, columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        layout = self.layout()
        if layout is None:
            raise StoreError(f"{self.files} holds no results yet; run `orch sweep` first")
        # First the checkpoints: a trial that commits meanwhile is then met among the finished.
        saved = {i: found for i in self.checkpoint_ids() if (found := self.checkpoint(i))}
        if saved and not layout.metrics:  # no trial has finished that would tell them
            layout = layout.with_metrics(next(iter(saved.values())).metrics)
        schema = layout.schema(table)
        if columns is not None:
            schema = pa.schema([schema.field(name) for name in columns])

        def read(index: Index) -> tuple[frozenset[str], pa.Table]:
            return index.committed, index.read(table, index.committed, schema, probe)

        committed, rows = self.indexed(read)
        begun = [saved[i].rows(table, schema) for i in saved if i not in committed]
        if probe is not None:
            begun = [part.filter(pc.field("probe") == probe) for part in begun]
        rows = pa.concat_tables([rows, *begun]).unify_dictionaries()
        # Millions of rows are copied once less, and are not held twice.
        frame: pd.DataFrame = rows.to_pandas(split_blocks=True, self_destruct=True)
        return frame

    def checkpoint_ids(self) -> list[str]:
        """List the trials that have a checkpoint."""
        return self.files.names("checkpoints")

    def checkpoint(self, trial_id: str) -> Checkpoint | None:
        """Read a trial's checkpoint; None if it has none that can be read."""
        name = f"checkpoints/{trial_id}"
        data = self.files.read(name)
        if data is None:
            return None
        try:
            return Checkpoint.from_bytes(data)
        except DamagedError as error:
            self.on_corrupt(corrupt_file(self.files, name, error))
            return None

    def log_name(self, trial_id: str) -> str:
        """Name a trial's log file for a person."""
        return self.files.shown(f"logs/{trial_id}.log")
