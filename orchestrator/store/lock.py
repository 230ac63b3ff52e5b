"""One driver at a time on a local store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from orchestrator.errors import StoreError, StoreLockedError
from orchestrator.store.store import Store

LOCK = ".lock"


@contextmanager
def holding(store: Store, holder: Callable[[], str]) -> Iterator[None]:
    """Hold a store for this process, where a lock can do that; in a bucket there is none.

    The store is free again the moment the process is gone.

    Args:
        store: a store whose folder exists.
        holder: names the driver that runs in the store, for the message.

    Raises:
        StoreLockedError: another process holds it.
        StoreError: the lock file cannot be written.
    """
    import filelock  # which commands that only read need not wait for

    root = store.files.local
    if root is None:
        yield
        return
    lock = filelock.FileLock(root / LOCK, blocking=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise StoreLockedError(
            f"{store.files} is in use: {holder()} runs a sweep in it; wait for it or stop it first"
        ) from None
    except OSError as error:
        raise StoreError(f"{store.files} cannot be written ({error.strerror})") from None
    try:
        yield
    finally:
        lock.release()
