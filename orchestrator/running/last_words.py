"""Remembers the last line on standard error: why a program such as argparse's exits."""

from __future__ import annotations

import sys
from typing import Any, TextIO


class LastWords:
    """Stands in for a stream, passes everything on, and keeps the last line that is not empty."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._rest = ""
        self.line = ""

    @classmethod
    def of_stderr(cls) -> LastWords:
        """Listen to this process's standard error from now on."""
        listener = cls(sys.stderr)
        sys.stderr = listener
        return listener

    def write(self, text: str) -> int:
        """Write text, and remember its last line."""
        *lines, self._rest = (self._rest + text).split("\n")
        self._rest = self._rest[-1000:]
        self.line = next(
            (line for line in reversed([*lines, self._rest]) if line.strip()), self.line
        )
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
