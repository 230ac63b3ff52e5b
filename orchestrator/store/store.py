"""The store of one sweep: what workers write and everyone reads."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from orchestrator.errors import CorruptFileError, StoreError
from orchestrator.spec.grid import FINISHED
from orchestrator.store.checkpoint import Checkpoint, DamagedError, to_parquet
from orchestrator.store.files import Files
from orchestrator.store.index import MERGED, UNREADABLE, Index, corrupt_file
from orchestrator.store.logs import Logs
from orchestrator.store.schema import SCHEMA_FILE, TABLES, Layout, stored_layout, with_ids

Answer = TypeVar("Answer")

_ATTEMPTS = 10


class CorruptFileWarning(UserWarning):
    """A file of the store cannot be read; its trial counts as missing."""


def warn_of_corrupt_file(error: CorruptFileError) -> None:
    """Warn in words: the default of everything that reads a store."""
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

    def __init__(
        self,
        location: str,
        on_corrupt: Callable[[CorruptFileError], None] = warn_of_corrupt_file,
    ) -> None:
        self.files = Files(location)
        self.on_corrupt = on_corrupt
        self._logs = Logs(self.files)

    @property
    def exists(self) -> bool:
        """Whether a sweep was ever run into it."""
        return self.files.exists("sweep.yaml")

    def index(self) -> Index:
        """Look at what the table folders hold now."""
        return self.ask(lambda index: index)

    def ask(self, question: Callable[[Index], Answer]) -> Answer:
        """Answer by an index of the files; by a new one if a driver merges them meanwhile."""
        for _ in range(_ATTEMPTS):
            try:
                return question(Index(self.files, self.on_corrupt))
            except FileNotFoundError as error:
                gone = error
        raise StoreError(f"{self.files} changes while it is read ({gone})")

    def layout(self) -> Layout | None:
        """Read the columns that the store has; None if it has no tables yet."""
        for name in self._schema_sources():
            data = self.files.read(name)
            if data is None:
                continue
            try:
                return stored_layout(pq.read_schema(pa.BufferReader(data)))
            except UNREADABLE as error:
                self.on_corrupt(CorruptFileError(name, self.files.shown(name), str(error)))
        return None

    def _schema_sources(self) -> Iterator[str]:
        """Name the files that tell the columns: the schema file, or else a merged or other one."""
        yield f"trials/{SCHEMA_FILE}"
        names = [name for name in self.files.names("trials") if name.endswith(".parquet")]
        names.sort(key=lambda name: not name.startswith(MERGED))
        yield from (f"trials/{name}" for name in names[:2] if name != SCHEMA_FILE)

    def outcomes(self) -> dict[str, Outcome]:
        """Tell how each trial ended, by trial id."""
        layout = self.layout()
        if layout is None:
            return {}
        names = ["trial_id", *Outcome.__dataclass_fields__]
        schema = pa.schema([layout.schema("trials").field(name) for name in names])
        rows = self.ask(lambda index: index.read("trials", index.committed, schema))
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

    def _frame(self, table: str, probe: str | None = None) -> pd.DataFrame:
        layout = self.layout()
        if layout is None:
            raise StoreError(f"{self.files} holds no results yet; run `orch sweep` first")
        # First the checkpoints: a trial that commits meanwhile is then met among the finished.
        saved = {i: found for i in self.checkpoint_ids() if (found := self.checkpoint(i))}
        if saved and not layout.metrics:  # no trial has finished that would tell them
            layout = layout.with_metrics(next(iter(saved.values())).metrics)
        schema = layout.schema(table)

        def read(index: Index) -> tuple[frozenset[str], pa.Table]:
            return index.committed, index.read(table, index.committed, schema, probe)

        committed, rows = self.ask(read)
        begun = [saved[i].rows(table, schema) for i in saved if i not in committed]
        if probe is not None:
            begun = [part.filter(pc.field("probe") == probe) for part in begun]
        rows = pa.concat_tables([rows, *begun]).unify_dictionaries()
        # Millions of rows are copied once less, and are not held twice.
        frame: pd.DataFrame = rows.to_pandas(split_blocks=True, self_destruct=True)
        return frame

    def is_finished(self, trial_id: str, code_digest: str) -> bool:
        """Tell whether a trial was finished by this code, also by another driver meanwhile."""
        row = self.files.read(f"trials/{trial_id}.parquet")
        if row is None:
            return False
        (end,) = pq.read_table(pa.BufferReader(row), columns=["status", "code_digest"]).to_pylist()
        others = (f"{table}/{trial_id}.parquet" for table in TABLES[1:])
        return (
            end["status"] in FINISHED
            and end["code_digest"] == code_digest
            and all(map(self.files.exists, others))
        )

    def commit(
        self, row: Mapping[str, Any], epochs: pa.Table, probes: pa.Table, layout: Layout
    ) -> None:
        """Write a trial's rows, ``trials`` last: from then on the trial is finished.

        Args:
            row: the trial's row in ``trials``, whose ids and params the others repeat.
            epochs: ``epoch``, the metrics and ``seconds`` of each epoch.
            probes: the probe rows, with the columns of `schema.PROBE`.
            layout: the columns of the store.
        """
        own = {"trials": None, "epochs": epochs, "probes": probes}
        for table in reversed(TABLES):
            rows = with_ids(row, own[table], layout.schema(table))
            self.files.write(f"{table}/{row['trial_id']}.parquet", to_parquet(rows))

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

    def save_checkpoint(self, trial_id: str, checkpoint: Checkpoint) -> None:
        """Write a trial's checkpoint in place of the one before."""
        self.files.write(f"checkpoints/{trial_id}", checkpoint.to_bytes())

    def drop_checkpoint(self, trial_id: str) -> None:
        """Delete a trial's checkpoint, if it has one."""
        self.files.delete(f"checkpoints/{trial_id}")

    def log_name(self, trial_id: str) -> str:
        """Name a trial's log file for a person."""
        return self.files.shown(f"logs/{trial_id}.log")

    def log(self, trial_id: str, text: str) -> None:
        """Add lines to a trial's log file; in a bucket they may wait for `flush_log`."""
        self._logs.add(f"logs/{trial_id}.log", text.rstrip("\n") + "\n")

    def flush_log(self) -> None:
        """Write what waits of logs, before this process ends or the trial is told of."""
        self._logs.flush()
