"""A sweep's store: Parquet files of its results, checkpoints and logs.

Workers write their trials' files; the driver merges them; anyone may read at any time.
"""

from orchestrator.store.snapshot import Outcome, Snapshot
from orchestrator.store.store import Store
from orchestrator.store.stores import Stores
from orchestrator.store.writer import Writer

__all__ = ["Outcome", "Snapshot", "Store", "Stores", "Writer"]
