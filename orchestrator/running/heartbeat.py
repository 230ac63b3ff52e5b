"""The driver's sign of life in a store, by which another terminal follows a sweep."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass, field

from orchestrator.errors import StoreError
from orchestrator.store import Store
from orchestrator.store.lock import holding

FILE = ".driver.json"
INTERVAL = 2.0
"""Seconds between beats."""
STALE_AFTER = 15.0
"""Seconds without a beat after which a driver counts as gone, whatever has its number now."""


@dataclass(frozen=True)
class Heartbeat:
    """Who drives a sweep, and what runs."""

    running: Mapping[str, int]
    """The last finished epoch of each running trial, by trial id."""
    seconds_left: float | None = None
    """What it expects to need still; None before it can tell."""
    pid: int = field(default_factory=os.getpid)
    host: str = field(default_factory=socket.gethostname)
    time: float = field(default_factory=time.time)

    @property
    def alive(self) -> bool:
        """Whether the driver is still there, as far as can be seen from here."""
        if self.host == socket.gethostname():
            try:
                os.kill(self.pid, 0)
            except ProcessLookupError:
                return False
            except PermissionError:
                pass  # it is another user's, and there
        return time.time() - self.time < STALE_AFTER

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@contextmanager
def beating(
    store: Store,
    running: Callable[[], Mapping[str, int]],
    seconds_left: Callable[[], float | None],
) -> Iterator[None]:
    """Leave a sign of life in a store every few seconds, and take it back at the end.

    Args:
        store: where the sweep runs.
        running: tells the last finished epoch of each running trial.
        seconds_left: tells what is expected to be needed still.
    """
    end = threading.Event()

    def beat() -> None:
        while True:
            text = json.dumps(asdict(Heartbeat(running(), seconds_left())))
            with suppress(StoreError):  # a full disk fails the trials, which say so
                store.files.write(FILE, text.encode())
            if end.wait(INTERVAL):
                return

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()
        with suppress(StoreError):
            store.files.delete(FILE)


def driver_of(store: Store) -> Heartbeat | None:
    """Find the driver that runs in a store, if there is one."""
    data = store.files.read(FILE)
    if data is None:
        return None
    heartbeat = Heartbeat(**json.loads(data))
    return heartbeat if heartbeat.alive else None


def exclusively(store: Store) -> AbstractContextManager[None]:
    """Hold a store for this process alone, where a lock can do that.

    Raises:
        StoreError: another process holds it, or it cannot be written.
    """
    return holding(store, lambda: str(driver_of(store) or "another process"))
