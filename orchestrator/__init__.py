"""Sweeps over cells, search and seeds: planned, run on Ray, stored as Parquet, tabulated."""

from orchestrator.results import open_store

__all__ = ["open_store"]
