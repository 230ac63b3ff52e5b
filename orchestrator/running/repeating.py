"""Does something again and again while a block runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeating(action: Callable[[], object], seconds: float, name: str) -> Iterator[None]:
    """Repeat an action in a thread while the block runs.

    Args:
        action: called first after the pause, and never once the block has ended.
        seconds: the pause before each call.
        name: of the thread.
    """
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(seconds):
            action()

    thread = threading.Thread(target=repeat, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
