"""The time, and what is done again and again as it passes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Clock:
    """The machine's clock; tests put a simulated one in its place."""

    def time(self) -> float:
        """Return seconds since 1970, which other hosts can compare."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds since some instant, which no correction of the clock changes."""
        return time.monotonic()

    @contextmanager
    def repeating(self, action: Callable[[], object], seconds: float, name: str) -> Iterator[None]:
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


SYSTEM = Clock()
