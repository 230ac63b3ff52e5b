"""Sweeps over cells, search and seeds: planned, run on Ray, stored as Parquet, tabulated."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.results.results import open_store

__all__ = ["open_store"]


def __getattr__(name: str) -> object:
    """Import on first use: pandas and scipy would cost each command and worker a second."""
    if name == "open_store":
        from orchestrator.results.results import open_store

        return open_store
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
