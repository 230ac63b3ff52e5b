"""The driver's heartbeat: a file in the store through which other processes follow a sweep."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass, field

from pydantic import TypeAdapter, ValidationError

from orchestrator.errors import StoreError
from orchestrator.running.clock import SYSTEM, Clock
from orchestrator.store import Store
from orchestrator.store.cost import Cost
from orchestrator.store.lock import holding

FILE = ".driver.json"
INTERVAL = 2.0
"""Seconds between heartbeats."""
STALE_AFTER = 15.0
"""Seconds without a heartbeat after which a driver counts as dead, whoever has its pid now."""


@dataclass(frozen=True)
class Heartbeat:
    """The driver of a sweep, and its running trials."""

    running: Mapping[str, int]
    """The last finished epoch of each running trial, by trial id."""
    seconds_left: float | None = None
    """The expected time to the end; None while it is unknown."""
    quiet: Mapping[str, float] = field(default_factory=dict)
    """Running trials that may hang, and the seconds since they handed over something."""
    cost_left: Cost | None = None
    """What the trials that run or wait are expected to cost; None while it is unknown."""
    pid: int = field(default_factory=os.getpid)
    host: str = field(default_factory=socket.gethostname)
    time: float = field(default_factory=time.time)

    @property
    def alive(self) -> bool:
        """Whether the driver is alive, as far as this host can tell."""
        if self.host == socket.gethostname():
            try:
                os.kill(self.pid, 0)
            except ProcessLookupError:
                return False
            except PermissionError:
                pass  # it exists, and belongs to another user
        return time.time() - self.time < STALE_AFTER

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


_HEARTBEAT = TypeAdapter(Heartbeat)


@contextmanager
def beating(store: Store, look: Callable[[], Heartbeat], clock: Clock = SYSTEM) -> Iterator[None]:
    """Write a heartbeat to a store every few seconds while the block runs; delete it after.

    Args:
        store: the sweep's store.
        look: tells what runs now.
        clock: tells when.
    """

    def beat() -> None:
        text = json.dumps(asdict(look()))
        with suppress(StoreError):  # if the disk is full, the trials fail and report it
            store.files.write(FILE, text.encode())

    try:
        beat()
        with clock.repeating(beat, INTERVAL, "heartbeat"):
            yield
    finally:
        with suppress(StoreError):
            store.files.delete(FILE)


def driver_of(store: Store) -> Heartbeat | None:
    """Return the live driver of a store, if there is one."""
    data = store.files.read(FILE)
    if data is None:
        return None
    try:
        heartbeat = _HEARTBEAT.validate_json(data)
    except ValidationError:
        return None  # it is cut, or of another version; a live driver writes it anew
    return heartbeat if heartbeat.alive else None


def exclusively(store: Store) -> AbstractContextManager[None]:
    """Lock a store for this process, where the file system supports locks.

    Raises:
        StoreError: another process holds the lock, or the store cannot be written.
    """
    return holding(store, lambda: str(driver_of(store) or "another process"))
