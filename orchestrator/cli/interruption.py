"""Ctrl-C and SIGTERM: the first ends what runs, in order, and further ones do not disturb that."""

from __future__ import annotations

import os
import signal
import time
from types import FrameType

_PATIENCE = 10.0
"""Seconds after which a further signal ends the process at once; the store can bear that."""


class Handler:
    """Raises a KeyboardInterrupt in the main thread for the first signal.

    Attributes:
        number: the signal; until there is one, that of Ctrl-C.
    """

    def __init__(self) -> None:
        self.number = signal.SIGINT
        self._received: float | None = None

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Take a signal."""
        now = time.monotonic()
        if self._received is None:
            self.number, self._received = signal.Signals(number), now
            raise KeyboardInterrupt
        if now - self._received > _PATIENCE:
            os._exit(128 + number)

    @property
    def exit_code(self) -> int:
        """The exit code that shells have for the signal."""
        return 128 + self.number


def handled() -> Handler:
    """Handle both from now on, also where a shell has its background jobs ignore Ctrl-C."""
    handler = Handler()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)
    # Of a sweep it means more while trials run; before and after, it is not to end the process.
    signal.signal(signal.SIGUSR1, lambda *_: None)
    return handler
