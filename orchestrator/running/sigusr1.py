"""SIGUSR1: the time is nearly up, as Slurm and other queues can say before they end a job."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def received(act: Callable[[], object]) -> Iterator[None]:
    """Act when the signal comes while the block runs; in other threads than the first, never."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGUSR1, lambda *_: act())
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)
