"""Epochs as JSON objects, one on a line of a program's stdout."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from orchestrator.errors import TrialError
from orchestrator.metrics import leaves
from orchestrator.running.programs import Epoch, Source
from orchestrator.running.programs.epochs import Epochs, LastLines, shown

_RECORD = re.compile(r'\{\s*"')
"""How a JSON object begins; a line that begins otherwise is for people."""


class JsonLines(Source):
    """Makes an epoch of each line of stdout that is a JSON object; other lines are only printed.

    Args:
        epochs: makes epochs of the objects.
    """

    def __init__(self, epochs: Epochs) -> None:
        self._epochs = epochs
        self._lines = 0
        self._objects = 0
        self._last = LastLines()

    def line(self, text: str, *, stdout: bool) -> Iterator[Epoch]:
        """Read a line of stdout.

        Raises:
            TrialError: it begins as a JSON object and is none.
        """
        if not stdout:
            return
        self._lines += 1
        self._last.add(text)
        if not _RECORD.match(text):
            return
        try:
            # Metrics are doubles: an integer of any length becomes one here.
            record = json.loads(text, parse_int=float)
        except (ValueError, RecursionError):
            raise TrialError(
                f"line {self._lines} of stdout begins as a JSON object and is none: {shown(text)}; "
                "write each object with one call and flush, as print(json.dumps(…), flush=True) "
                "does, and let one process alone write them"
            ) from None
        self._objects += 1
        yield from self._epochs.of(leaves(record))

    def nothing(self) -> str:
        """Say that no line is an object, or that no object has a number."""
        found = "none of those on stdout has a number" if self._objects else "stdout has none"
        return f"`metrics` expects JSON objects, one a line, and {found}; {self._last}"
