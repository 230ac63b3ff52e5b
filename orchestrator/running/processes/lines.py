"""Reads what a trial's process prints, and passes it on as lines of the trial's log."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable

from orchestrator.errors import StoreError
from orchestrator.labels import printable

CHUNK = 1 << 16
"""Bytes to read at once."""
_LONGEST = 1 << 20
"""Bytes without a line break after which a line is cut; of a progress bar its last state counts."""


class LineBuffer:
    """Makes lines of the chunks in which output comes."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[str]:
        """Return the lines that end in a chunk."""
        *lines, rest = (self._rest + chunk).split(b"\n")
        # A bar that is drawn again and again is one line, in whichever state it is seen meanwhile.
        self._rest = rest[rest.rstrip(b"\r").rfind(b"\r") + 1 :]
        if len(self._rest) > _LONGEST:
            lines.append(self._rest)
            self._rest = b""
        return list(map(_final, lines))

    def rest(self) -> list[str]:
        """Return the last line, if it has no line break."""
        rest, self._rest = self._rest, b""
        return [_final(rest)] if rest else []


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
        buffer = LineBuffer()
        with os.fdopen(self._descriptor, "rb", buffering=0) as stream:
            while chunk := stream.read(CHUNK):
                self._pass_on(buffer.feed(chunk))
        self._pass_on(buffer.rest())

    def _pass_on(self, lines: list[str]) -> None:
        # A trial does not fail for its log, which a full disk may not take.
        with contextlib.suppress(StoreError):
            if lines:
                self._log("\n".join(map(printable, lines)))


def _final(line: bytes) -> str:
    """Take a line as a terminal shows it in the end: of a progress bar, its last state."""
    text = line.decode("utf-8", errors="backslashreplace").rstrip("\r")
    return text.rpartition("\r")[2]
