"""What a store holds, looked at once and handed on."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.columns import BEST, FINISHED
from orchestrator.errors import CorruptFileError, StoreError
from orchestrator.spec.model import Select
from orchestrator.store.checkpoint import Checkpoint
from orchestrator.store.checkpoints import head_ids, read_checkpoint
from orchestrator.store.epochs import best_values
from orchestrator.store.index import Index
from orchestrator.store.kept import Kept
from orchestrator.store.parts import joined
from orchestrator.store.schema import Layout, conform

if TYPE_CHECKING:
    import pandas as pd

    from orchestrator.store.store import Store

Result = TypeVar("Result")

_ATTEMPTS = 10
"""Attempts to read while drivers merge files."""


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


class Snapshot:
    """What a store holds at one moment: its files, columns, trials and checkpoints.

    Each thing is read when it is first asked for, and once: the lists of files, the footers of
    merged files, the rows of ``trials``. If a driver merges files meanwhile, it looks again. To see
    a later state, take another snapshot.

    Args:
        store: the store, whose `on_corrupt` is called with each file that cannot be read, before it
            is left out.
        trial_id: look at this trial alone, which was committed since a driver last merged files.
        kept: what earlier looks have read, and need not be read again.
    """

    def __init__(self, store: Store, trial_id: str | None = None, kept: Kept | None = None) -> None:
        self.store = store
        self._read = kept.read if kept else Index.read
        self._trial_id = trial_id
        self._files = store.files
        self._index: Index | None = None
        self.damaged: dict[str, CorruptFileError] = {}
        """The files that could not be read so far, by name."""

    def _note(self, error: CorruptFileError) -> None:
        if error.name not in self.damaged:
            self.damaged[error.name] = error
            self.store.on_corrupt(error)

    @cached_property
    def checkpoint_files(self) -> list[str]:
        """The files below ``checkpoints``, those included that are partial."""
        if self._trial_id is not None:
            return []
        return self._files.whole_tree("checkpoints")

    @property
    def checkpoint_ids(self) -> list[str]:
        """The trials that have a checkpoint."""
        return head_ids(self.checkpoint_files)

    @property
    def saved_epochs(self) -> dict[str, int]:
        """How many epochs the checkpoint of each unfinished trial holds."""
        return {trial_id: saved.head.epochs for trial_id, saved in self._unfinished.items()}

    @property
    def index(self) -> Index:
        """The files of the table folders."""
        return self._reading(lambda index: index)

    def _reading(self, read: Callable[[Index], Result]) -> Result:
        """Read with an index of the files, or a new one if a driver merges them meanwhile."""
        for _ in range(_ATTEMPTS):
            try:
                if self._index is None:
                    # Checkpoints first: a trial that commits meanwhile is then in the tables.
                    self.checkpoint_files  # noqa: B018
                    self._index = Index(self._files, self._note, self._trial_id)
                return read(self._index)
            except FileNotFoundError as error:
                missing = error
                self._look_again()
        raise StoreError(f"{self._files} keeps changing while it is read; try again ({missing})")

    def _look_again(self) -> None:
        self._index = None
        for name in ("rows", "outcomes"):
            self.__dict__.pop(name, None)

    @property
    def layout(self) -> Layout | None:
        """The store's columns; None if it has no tables yet."""
        return self.index.layout

    @cached_property
    def rows(self) -> pa.Table:
        """The committed rows of ``trials``; without any columns if the store has no tables yet."""
        if self.layout is None:
            return pa.table({})
        schema = self.layout.schema("trials")
        return self._reading(lambda index: self._read(index, "trials", index.committed, schema))

    @cached_property
    def outcomes(self) -> dict[str, Outcome]:
        """How each trial ended, by trial id."""
        if self.layout is None:
            return {}
        rows = self.rows.select(["trial_id", *Outcome.__dataclass_fields__]).to_pylist()
        return {row.pop("trial_id"): Outcome(**row) for row in rows}

    @property
    def finished(self) -> frozenset[str]:
        """The trials that completed or diverged."""
        return frozenset(i for i, end in self.outcomes.items() if end.status in FINISHED)

    def last_values(
        self, trial_ids: Collection[str], metrics: Collection[str]
    ) -> dict[str, dict[str, float | None]]:
        """Look up the last values of some metrics of trials that ended, by trial id and metric.

        Args:
            trial_ids: the trials.
            metrics: their metrics; one that the store lacks is None.
        """
        if not trial_ids or self.layout is None:
            return {}
        known = set(self.layout.metrics).intersection(metrics)
        rows = self.rows.filter(pc.field("trial_id").isin(list(trial_ids)))
        absent = dict.fromkeys(metrics)
        values = rows.select(["trial_id", *sorted(known)]).to_pylist()
        return {row.pop("trial_id"): {**absent, **row} for row in values}

    def selecting(self, trial_ids: Collection[str], select: Select) -> dict[str, float | None]:
        """Look up the values by which trials that ended are selected, by trial id.

        Args:
            trial_ids: the trials.
            select: how; a value that the store lacks is None.
        """
        if select.at == "last":
            values = self.last_values(trial_ids, {select.metric})
            return {trial_id: value[select.metric] for trial_id, value in values.items()}
        if not trial_ids or self.layout is None:
            return {}
        rows = self.rows.filter(pc.field("trial_id").isin(list(trial_ids)))
        rows = self.with_best(rows, select)
        ids, column = rows["trial_id"].to_pylist(), f"{BEST}{select.metric}"
        if column not in rows.column_names:
            return dict.fromkeys(ids)
        return dict(zip(ids, rows[column].to_pylist(), strict=True))

    def with_best(self, trials: pa.Table, select: Select) -> pa.Table:
        """Give rows of ``trials`` the best values of the metric by which a sweep selects now.

        The stored ones are those of the last run, whose metric or mode may have been another.
        """
        layout = self.layout
        if layout is None or select.metric not in layout.metrics:
            return trials
        if (layout.select_metric, layout.mode) == (select.metric, select.mode):
            return trials
        ids, schema = trials["trial_id"].to_pylist(), layout.schema("epochs")
        columns = pa.schema([schema.field(name) for name in ("trial_id", select.metric)])
        epochs = self._reading(lambda index: self._read(index, "epochs", ids, columns))
        values = best_values(ids, epochs, select.metric, select.mode)
        position = trials.schema.get_field_index(f"{BEST}{layout.select_metric}")
        return trials.set_column(position, f"{BEST}{select.metric}", values)

    def with_seeds(self, trial_ids: Collection[str], seeds: Collection[int]) -> list[str]:
        """Keep those of some trials that ended which have one of some seeds."""
        if not trial_ids or self.layout is None:
            return []
        has_seed = pc.field("seed").isin(list(seeds))
        rows = self.rows.filter(has_seed & pc.field("trial_id").isin(list(trial_ids)))
        found: list[str] = rows["trial_id"].to_pylist()
        return found

    def trials(self, select: Select | None = None) -> pd.DataFrame:
        """One row per trial that ended, and per trial that has a checkpoint.

        Args:
            select: see `with_best`; by default the values are as stored.
        """
        schema = self._schema("trials")
        unfinished = self._unfinished_rows("trials", schema, set(self.rows["trial_id"].to_pylist()))
        rows = joined([conform(self.rows, schema), *unfinished], schema)
        if select is not None:
            rows = self.with_best(rows, select)
        frame: pd.DataFrame = rows.to_pandas(split_blocks=True)
        return frame

    def epochs(self) -> pd.DataFrame:
        """One row per epoch of those trials."""
        return self._frame("epochs", self._schema("epochs"))

    def probes(self, probe: str | None = None) -> pd.DataFrame:
        """One row per epoch, probe and layer of those trials.

        Args:
            probe: read the rows of this probe only.
        """
        return self._frame("probes", self._schema("probes"), probe)

    def read(self, table: str, trial_ids: Collection[str], probe: str | None = None) -> pa.Table:
        """Read the rows of some trials that ended, in which a null is no NaN, as it is to pandas.

        Args:
            table: ``trials``, ``epochs`` or ``probes``.
            trial_ids: the trials.
            probe: read the rows of this probe only.
        """
        schema = self._schema(table)
        rows = self._reading(lambda index: self._read(index, table, trial_ids, schema, probe))
        return rows.unify_dictionaries()

    def probe_names(self, *, layerwise: bool = False) -> list[str]:
        """List the names of probes in the store, sorted, without reading their values.

        Args:
            layerwise: leave out those that have units or bins.
        """
        schema = self._schema("probes")
        columns = [schema.field(name) for name in ("trial_id", "probe", "unit", "at")]
        rows = self._frame("probes", pa.schema(columns))
        if layerwise:
            rows = rows[rows["unit"].isna() & rows["at"].isna()]
        return sorted(rows["probe"].unique())

    def _schema(self, table: str) -> pa.Schema:
        """Return the columns of a table, with those that only unfinished trials have."""
        if self.layout is None:
            raise StoreError(f"{self._files} holds no results yet; run its sweep first")
        unfinished = (name for saved in self._unfinished.values() for name in saved.metrics)
        metrics = dict.fromkeys([*self.layout.metrics, *unfinished])
        return self.layout.with_metrics(metrics).schema(table)

    def _frame(self, table: str, schema: pa.Schema, probe: str | None = None) -> pd.DataFrame:
        def read(index: Index) -> tuple[frozenset[str], pa.Table]:
            return index.committed, self._read(index, table, index.committed, schema, probe)

        committed, rows = self._reading(read)
        unfinished = self._unfinished_rows(table, schema, committed)
        if probe is not None:
            unfinished = [part.filter(pc.field("probe") == probe) for part in unfinished]
        rows = pa.concat_tables([rows, *unfinished]).unify_dictionaries()
        # With these options millions of rows are copied once less, and not held twice.
        frame: pd.DataFrame = rows.to_pandas(split_blocks=True, self_destruct=True)
        return frame

    def _unfinished_rows(
        self, table: str, schema: pa.Schema, committed: Collection[str]
    ) -> list[pa.Table]:
        saved = self._unfinished
        return [saved[i].table(table, schema) for i in saved if i not in committed]

    @cached_property
    def _unfinished(self) -> dict[str, Checkpoint]:
        """The checkpoints that have rows, by trial id."""
        ids = self.checkpoint_ids
        if not ids:
            return {}

        def read(trial_id: str) -> Checkpoint | None:
            return read_checkpoint(self._files, trial_id, lambda error, _: self._note(error))

        with ThreadPoolExecutor(self._files.threads) as pool:
            found = dict(zip(ids, pool.map(read, ids), strict=True))
        if None in found.values():
            self._look_again()  # a trial that has committed meanwhile is in the tables by now
        return {i: saved for i, saved in found.items() if saved and saved.head.epochs}
