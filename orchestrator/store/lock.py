"""One driver at a time on a local store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from orchestrator.errors import StoreError, StoreLockedError
from orchestrator.store.store import Store

LOCK = ".lock"


@contextmanager
def holding(store: Store, holder: Callable[[], str]) -> Iterator[None]:
    """Lock a local store for this process; a bucket has no lock.

    The lock ends with the process.

    Args:
        store: a store whose folder exists.
        holder: describes the driver that holds the lock, for the message.

    Raises:
        StoreLockedError: another process holds it.
        StoreError: the lock file cannot be written.
    """
    import filelock  # here, so that commands that only read need not import it

    root = store.files.local
    if root is None:
        yield
        return
    lock = filelock.FileLock(root / LOCK, blocking=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise StoreLockedError(
            f"{store.files} is in use: {holder()} runs a sweep in it; wait for it, or stop it"
        ) from None
    except OSError as error:
        raise StoreError(f"{store.files} cannot be written ({error.strerror})") from None
    try:
        yield
    finally:
        lock.release()
