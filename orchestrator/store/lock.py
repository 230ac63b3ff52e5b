"""One driver at a time on a local store."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.errors import StoreError, StoreLockedError

LOCK = ".lock"


@contextmanager
def locked(root: Path, holder: Callable[[], str]) -> Iterator[None]:
    """Hold a store for this process; it is free again the moment the process is gone.

    Args:
        root: the store's folder.
        holder: names the driver that runs in the store, for the message.

    Raises:
        StoreLockedError: another process holds it.
        StoreError: the lock file cannot be written.
    """
    try:
        stream = (root / LOCK).open("a")
    except OSError as error:
        raise StoreError(f"{root} cannot be written ({error.strerror})") from None
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreLockedError(
                f"{root} is in use: {holder()} runs a sweep in it; wait for it or stop it first"
            ) from None
        yield
