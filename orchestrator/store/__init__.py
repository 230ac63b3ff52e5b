"""Parquet files that hold what a sweep produced."""

from __future__ import annotations

from orchestrator.store.store import Store

__all__ = ["Store", "open_store"]


def open_store(location: str) -> Store:
    """Open a store to read it, also while a sweep runs in it.

    Args:
        location: a sweep's folder, such as ``results/table1``, or its URI.
    """
    return Store(location)
