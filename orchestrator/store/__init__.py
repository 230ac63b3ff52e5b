"""A sweep's store: Parquet files of its results, checkpoints and logs.

Workers write their trials' files; the driver merges them; anyone may read at any time.
"""

from orchestrator.store.store import Outcome, Store
from orchestrator.store.stores import Stores
from orchestrator.store.writer import Writer

__all__ = ["Outcome", "Store", "Stores", "Writer"]
