"""Epochs as matches of a regular expression in a program's output."""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.running.programs import Epoch, Source
from orchestrator.running.programs.epochs import Epochs, LastLines, number_in


class Matches(Source):
    """Makes an epoch of each match, in stdout and stderr, of the groups that have names.

    Args:
        pattern: a regular expression, searched for within each line.
        epochs: makes epochs of what is found.
    """

    def __init__(self, pattern: str, epochs: Epochs) -> None:
        self._pattern = re.compile(pattern)
        self._epochs = epochs
        self._matched = False
        self._last = LastLines()

    def line(self, text: str, *, stdout: bool) -> Iterator[Epoch]:  # noqa: ARG002
        """Read the matches of a line."""
        self._last.add(text)
        for match in self._pattern.finditer(text):
            self._matched = True
            groups = match.groupdict().items()
            yield from self._epochs.of((name, number_in(found)) for name, found in groups)

    def nothing(self) -> str:
        """Say that nothing matches, or no number does."""
        found = "matches, but no group is a number" if self._matched else "matches nothing"
        return f"the regex `{self._pattern.pattern}` of `metrics` {found}; {self._last}"
