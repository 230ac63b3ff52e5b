"""Writes to the store what its sweep has cost, so that a killed driver loses little of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from orchestrator.errors import StoreError
from orchestrator.running.clock import SYSTEM, Clock
from orchestrator.store import Store, cost
from orchestrator.store.cost import Cost

INTERVAL = 30.0
"""Seconds from one record to the next."""


@contextmanager
def recording(store: Store, spent: Callable[[], Cost], clock: Clock = SYSTEM) -> Iterator[None]:
    """Write what a sweep has cost every half minute while the block runs, and after it.

    Args:
        store: the sweep's store.
        spent: returns what it has cost.
        clock: tells when.
    """

    def record() -> None:
        with suppress(StoreError):  # if the disk is full, the trials fail and report it
            cost.write(store.files, spent())

    try:
        with clock.repeating(record, INTERVAL, "cost"):
            yield
    finally:
        record()
