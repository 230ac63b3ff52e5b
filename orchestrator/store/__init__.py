"""Parquet files that hold what a sweep produced: read by everyone, written by its workers."""

from orchestrator.store.store import Outcome, Store
from orchestrator.store.stores import Stores
from orchestrator.store.writer import Writer

__all__ = ["Outcome", "Store", "Stores", "Writer"]
