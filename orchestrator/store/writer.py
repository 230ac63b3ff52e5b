"""Writing a trial's rows when it ends, and its log."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.columns import FINISHED, TABLES, columns_of
from orchestrator.errors import StoreError
from orchestrator.labels import printable
from orchestrator.store.checkpoints import drop_checkpoint
from orchestrator.store.logs import Logs
from orchestrator.store.names import log_file, rows_file
from orchestrator.store.schema import Layout, require_complete, to_parquet, with_ids
from orchestrator.store.store import Store

_IDS = {column.name for column in columns_of("trials", "id")}


class Writer:
    """Writes trials into a store, one after another."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._files = store.files
        self._logs = Logs(store.files)

    def is_finished(self, trial_id: str, is_current: Callable[[str], bool]) -> bool:
        """Tell whether the trial has finished, perhaps under another driver.

        Args:
            trial_id: the trial.
            is_current: tells whether the code of a digest is current.
        """
        data = self._files.read(rows_file("trials", trial_id))
        if data is None:
            return False
        columns = ["status", "code_digest"]
        (row,) = pq.read_table(pa.BufferReader(data), columns=columns).to_pylist()
        others = (rows_file(table, trial_id) for table in TABLES[1:])
        return (
            row["status"] in FINISHED
            and all(map(self._files.exists, others))
            and is_current(row["code_digest"])
        )

    def commit(
        self, row: Mapping[str, Any], epochs: pa.Table, probes: pa.Table, layout: Layout
    ) -> None:
        """Write a trial's rows; its row in ``trials`` comes last and makes them count.

        Args:
            row: the trial's row in ``trials``, whose ids and params the others repeat.
            epochs: ``epoch``, the metrics and ``seconds`` of each epoch.
            probes: the probe rows, with the columns of `schema.PROBE_SCHEMA`.
            layout: the columns of the store.

        Raises:
            ValueError: the rows lack a column that every store has.
        """
        own = {"trials": None, "epochs": epochs, "probes": probes}
        require_complete("trials", row.keys())
        require_complete("epochs", {*_IDS, *epochs.column_names})
        require_complete("probes", {*_IDS, *probes.column_names})
        for table in reversed(TABLES):
            rows = with_ids(row, own[table], layout.schema(table))
            self._files.write(rows_file(table, row["trial_id"]), to_parquet(rows))

    def drop_checkpoint(self, trial_id: str) -> None:
        """Delete the checkpoints and the folder of a trial that is committed."""
        with contextlib.suppress(StoreError):  # the driver deletes what is left
            drop_checkpoint(self._files, trial_id)

    def log(self, trial_id: str, text: str) -> None:
        """Add lines to a trial's log; in a bucket they may wait for `flush_log`."""
        self._logs.add(log_file(trial_id), printable(text).rstrip("\n") + "\n")

    def flush_log(self) -> None:
        """Write pending lines of the log, before this process ends or reports a failure."""
        self._logs.flush()
