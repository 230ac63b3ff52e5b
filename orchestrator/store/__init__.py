"""Parquet files that hold what a sweep produced."""

from orchestrator.store.store import Store

__all__ = ["Store"]
