"""Reads what a trial's process prints, and passes it on as lines of the trial's log."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

_CHUNK = 1 << 16
_LONGEST = 1 << 20
"""Bytes without a line break after which a line is cut."""


class Lines:
    """Reads a descriptor to its end in a thread.

    Args:
        descriptor: which it closes.
        log: takes one or more lines, without the last line break.
    """

    def __init__(self, descriptor: int, log: Callable[[str], None]) -> None:
        self._descriptor = descriptor
        self._log = log
        self._thread = threading.Thread(target=self._read, name="trial output", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until everything is passed on; all writers must be gone."""
        self._thread.join()

    def _read(self) -> None:
        rest = b""
        with os.fdopen(self._descriptor, "rb", buffering=0) as stream:
            while chunk := stream.read(_CHUNK):
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > _LONGEST:
                    lines, rest = [*lines, rest], b""
                if lines:
                    self._log("\n".join(map(_final, lines)))
        if rest:
            self._log(_final(rest))


def _final(line: bytes) -> str:
    """Take a line as a terminal shows it in the end: of a progress bar, its last state."""
    text = line.decode("utf-8", errors="backslashreplace").rstrip("\r")
    return text.rpartition("\r")[2]
