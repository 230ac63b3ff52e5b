"""One driver at a time on a local store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from orchestrator.errors import StoreError, StoreLockedError
from orchestrator.store.store import Store

LOCK = ".lock"


@contextmanager
def holding(store: Store, holder: Callable[[], str]) -> Iterator[None]:
    """Lock a local store for this process; a bucket has no lock.

    The lock ends with the process. The store's folder is made where it is missing, and does not
    outlive the block if nothing else is written.

    Args:
        store: the store.
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
    made = [folder for folder in (root, *root.parents) if not folder.exists()]
    store.files.make_folder("")
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
        if made and root.is_dir() and [path.name for path in root.iterdir()] == [LOCK]:
            (root / LOCK).unlink()
            for folder in made:
                with suppress(OSError):  # another sweep has a store in it by now
                    folder.rmdir()
        lock.release()
