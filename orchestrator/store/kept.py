"""Rows that stay in memory between looks at a store, each of which reads only what is new."""

from __future__ import annotations

import threading
from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.store.index import Index
from orchestrator.store.parts import joined
from orchestrator.store.schema import conform

_Key = tuple[str, str | None, tuple[str, ...]]
_Source = tuple[str, str]
"""The name and the stamp of the file that a trial's rows come from."""


_MOST_BYTES = 1 << 28
"""Of one table; a larger one is read anew at each look, as the probes of a large sweep are."""


class Kept:
    """The rows of one look, for the next one: a trial whose file is the same is not read again.

    Several threads may look at the same time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tables: dict[_Key, tuple[dict[str, _Source], pa.Table]] = {}

    def read(
        self,
        index: Index,
        table: str,
        trial_ids: Collection[str],
        schema: pa.Schema,
        probe: str | None = None,
    ) -> pa.Table:
        """Read as `Index.read` does; the order of the rows is that in which trials were added."""
        key = (table, probe, tuple(schema.names))
        sources = {
            trial_id: (part.name, part.stamp)
            for part, ids in index.assigned(table, trial_ids)
            for trial_id in ids
        }
        with self._lock:
            before, rows = self._tables.get(key, ({}, schema.empty_table()))
            same = {i for i, source in sources.items() if before.get(i) == source}
            new = index.read(table, sources.keys() - same, schema, probe)
            if len(same) < len(before):
                rows = rows.filter(pc.field("trial_id").isin(pa.array(same, pa.string())))
            rows = joined([conform(rows, schema), new], schema)
            if rows.nbytes <= _MOST_BYTES:
                self._tables[key] = sources, rows
        return rows
