"""Which merged files are intact, so that a run need not read them through again."""

from __future__ import annotations

import json
from collections.abc import Iterable

from orchestrator.store.files import Files
from orchestrator.store.parts import Part

FILE = ".whole.json"


class IntactFiles:
    """A store's record of the files that were whole when last written or read through.

    It holds each file's size and modification time, so that a changed file is not trusted.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        try:
            self._stamps = dict(json.loads(files.read(FILE) or b"{}"))
        except (ValueError, TypeError):  # cut, or of another version
            self._stamps = {}

    def includes(self, part: Part) -> bool:
        """Tell whether a file is unchanged since it was recorded."""
        return self._stamps.get(part.name) == part.stamp

    def record(self, parts: Iterable[Part]) -> None:
        """Record these files as intact, and forget all others."""
        stamps = {part.name: part.stamp for part in parts}
        if stamps != self._stamps:
            self._stamps = stamps
            self._files.write(FILE, json.dumps(stamps).encode())
