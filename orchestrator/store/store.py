"""Reading the store of one sweep: its trials, their rows and their checkpoints."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.errors import CorruptFileError, StoreError
from orchestrator.store.archives import Archives
from orchestrator.store.checkpoint import Checkpoint
from orchestrator.store.checkpoints import checkpoint_ids, read_checkpoint
from orchestrator.store.files import Files
from orchestrator.store.index import Index, Result, from_schema, row_files
from orchestrator.store.names import log_file
from orchestrator.store.schema import SCHEMA_FILE, Layout, stored_layout

_ATTEMPTS = 10
"""Attempts to read while drivers merge files."""

OnCorrupt = Callable[[CorruptFileError], None]
"""What a reader calls with a file that cannot be read, before it continues without it."""


class CorruptFileWarning(UserWarning):
    """A file of the store cannot be read; its trial counts as missing."""


def warn_of_corrupt_file(error: CorruptFileError) -> None:
    """Issue a warning: the default of everything that reads a store."""
    warnings.warn(f"{error}; its trials count as missing", CorruptFileWarning, stacklevel=2)


def _ignore(error: CorruptFileError) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class Outcome:
    """How one trial ended."""

    status: str
    code_digest: str
    environment_digest: str | None
    config_id: str
    seconds: float
    error: str | None
    reused_from: str | None
    resumed_at: str | None
    """Epochs after which it went on, as a JSON list; None in trials of the first format."""
    epochs_run: int | None


class Store:
    """One sweep's folder or bucket prefix.

    Reading never blocks or changes anything, and returns each row once, whatever a driver does
    at the time.
    """

    def __init__(self, location: str, on_corrupt: OnCorrupt = warn_of_corrupt_file) -> None:
        self.files = Files(location)
        self.on_corrupt = on_corrupt

    @cached_property
    def archives(self) -> Archives:
        """The code that its trials ran."""
        return Archives(self.files)

    @property
    def exists(self) -> bool:
        """Whether a sweep has ever run in it."""
        return self.files.exists("sweep.yaml")

    def index(self, on_corrupt: OnCorrupt | None = None) -> Index:
        """Index the files of the table folders as they are now."""
        return self.indexed(lambda index: index, on_corrupt)

    def indexed(
        self, read: Callable[[Index], Result], on_corrupt: OnCorrupt | None = None
    ) -> Result:
        """Read with an index of the files, or a new one if a driver merges them meanwhile."""
        for _ in range(_ATTEMPTS):
            try:
                return read(Index(self.files, on_corrupt or self.on_corrupt))
            except FileNotFoundError as error:
                missing = error
        raise StoreError(f"{self.files} keeps changing while it is read; try again ({missing})")

    def layout(self, on_corrupt: OnCorrupt | None = None) -> Layout | None:
        """Read the store's columns; None if it has no tables yet."""
        for name in self._schema_sources():
            try:
                layout = from_schema(self.files, name, stored_layout)
            except CorruptFileError as error:
                (on_corrupt or self.on_corrupt)(error)
                continue
            if layout is not None:
                return layout
        return None

    def _schema_sources(self) -> Iterator[str]:
        """Name files with the columns: the schema file; without it, merged files or others."""
        yield f"trials/{SCHEMA_FILE}"
        merged, singles = row_files(self.files, "trials")
        yield from (f"trials/{name}" for name in [*merged, *singles][:2])

    def outcomes(self, on_corrupt: OnCorrupt | None = None) -> dict[str, Outcome]:
        """Read how each trial ended, by trial id."""
        layout = self.layout(on_corrupt)
        if layout is None:
            return {}
        names = ["trial_id", *Outcome.__dataclass_fields__]
        schema = pa.schema([layout.schema("trials").field(name) for name in names])
        rows = self.indexed(lambda i: i.read("trials", i.committed, schema), on_corrupt)
        return {row.pop("trial_id"): Outcome(**row) for row in rows.to_pylist()}

    def last_values(
        self, trial_ids: Collection[str], metrics: Collection[str]
    ) -> dict[str, dict[str, float | None]]:
        """Read the last values of some metrics of trials that ended, by trial id and metric.

        Files that cannot be read are left out in silence: `outcomes`, which found the trials,
        reports them.

        Args:
            trial_ids: the trials.
            metrics: their metrics; one that the store lacks is None.
        """
        layout = self.layout()
        if layout is None or not trial_ids:
            return {}
        named = [pa.field(name, pa.float64()) for name in sorted(metrics)]
        schema = pa.schema([layout.schema("trials").field("trial_id"), *named])
        ids = frozenset(trial_ids)
        rows = self.indexed(lambda i: i.read("trials", i.committed & ids, schema), _ignore)
        return {row.pop("trial_id"): row for row in rows.to_pylist()}

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
        """List the names of probes in the store, sorted, without reading their values.

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
        # Checkpoints first: a trial that commits meanwhile is then read from the tables.
        saved = self._unfinished()
        unfinished_metrics = (name for saved_one in saved.values() for name in saved_one.metrics)
        layout = layout.with_metrics(dict.fromkeys([*layout.metrics, *unfinished_metrics]))
        schema = layout.schema(table)
        if columns is not None:
            schema = pa.schema([schema.field(name) for name in columns])

        def read(index: Index) -> tuple[frozenset[str], pa.Table]:
            return index.committed, index.read(table, index.committed, schema, probe)

        committed, rows = self.indexed(read)
        unfinished = [saved[i].table(table, schema) for i in saved if i not in committed]
        if probe is not None:
            unfinished = [part.filter(pc.field("probe") == probe) for part in unfinished]
        rows = pa.concat_tables([rows, *unfinished]).unify_dictionaries()
        # With these options millions of rows are copied once less, and not held twice.
        frame: pd.DataFrame = rows.to_pandas(split_blocks=True, self_destruct=True)
        return frame

    def _unfinished(self) -> dict[str, Checkpoint]:
        """Read the checkpoints that have rows, by trial id."""
        ids = self.checkpoint_ids()
        with ThreadPoolExecutor(self.files.threads) as pool:
            found = dict(zip(ids, pool.map(self.checkpoint, ids), strict=True))
        return {i: saved for i, saved in found.items() if saved and saved.head.epochs}

    def checkpoint_ids(self) -> list[str]:
        """List the trials that have a checkpoint."""
        return checkpoint_ids(self.files)

    def checkpoint(self, trial_id: str, *, with_state: bool = False) -> Checkpoint | None:
        """Read a trial's checkpoint; None if it has no readable one.

        Args:
            trial_id: the trial.
            with_state: read the state too, for the trial's next attempt.
        """
        return read_checkpoint(
            self.files, trial_id, lambda error, _: self.on_corrupt(error), with_state=with_state
        )

    def log_name(self, trial_id: str) -> str:
        """Name a trial's log file in a message."""
        return self.files.shown(log_file(trial_id))
