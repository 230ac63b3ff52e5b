"""Adds the columns of metrics to a store while its trials run."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.store import Store
from orchestrator.store.schema import Layout
from orchestrator.store.settle import write_schema


class MetricColumns:
    """A store's columns, which grow before the trial that brings a new metric is committed.

    Attributes:
        layout: the columns as they are now.
    """

    def __init__(self, store: Store, layout: Layout) -> None:
        self.layout = layout
        self._store = store
        self._known = set(layout.metrics)

    def add(self, metrics: Iterable[str]) -> None:
        """Add those that the store lacks to its schema files; no other file changes."""
        new = [name for name in metrics if name not in self._known]
        if new:
            self.layout = self.layout.with_metrics([*self.layout.metrics, *new])
            self._known.update(new)
            write_schema(self._store, self.layout)
