"""Which merged files are intact, so that a run need not read them through again."""

from __future__ import annotations

import json
from collections.abc import Iterable

from orchestrator.store.files import Files

FILE = ".whole.json"


class IntactFiles:
    """A store's record of the files that were whole when last written or read through.

    It holds each file's size and modification time, so that a changed file is not trusted.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        try:
            self._stamps = dict(json.loads(files.read(FILE) or b"{}"))
        except ValueError:
            self._stamps = {}

    def includes(self, name: str) -> bool:
        """Tell whether a file is unchanged since it was recorded."""
        return self._stamps.get(name) == self._files.stamp(name)

    def record(self, names: Iterable[str]) -> None:
        """Record these files as intact, and forget all others."""
        stamps = {name: self._files.stamp(name) for name in names}
        if stamps != self._stamps:
            self._stamps = stamps
            self._files.write(FILE, json.dumps(stamps).encode())
