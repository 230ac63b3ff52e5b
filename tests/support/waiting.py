"""Waiting for what another process or thread does, however slow the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

HANG_SECONDS = 900.0
"""A bound that only a hang reaches; no test depends on how much sooner something happens."""


class Process(Protocol):
    """What can end before it does what a test waits for."""

    @property
    def pid(self) -> int:
        """The process's id."""

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return the exit code."""

    def send_signal(self, sig: int, /) -> None:
        """Send it a signal."""

    def kill(self) -> None:
        """Kill it."""


def until(
    condition: Callable[[], Any],
    process: Process | None = None,
    *,
    what: str = "the condition",
    output: Callable[[], str] = str,
) -> Any:
    """Wait until a condition holds, and return its value.

    Args:
        condition: returns something true once it holds.
        process: brings the condition about; the wait fails if it ends first.
        what: names the condition in the failure's message.
        output: returns text to append to that message.
    """
    deadline = time.monotonic() + HANG_SECONDS
    while True:
        ended = process is not None and process.poll() is not None
        if value := condition():  # after `poll`, so that a process's last act counts
            return value
        assert not ended, f"the process ended before {what}\n{output()}"
        assert time.monotonic() < deadline, f"hung while waiting for {what}\n{output()}"
        time.sleep(0.05)
