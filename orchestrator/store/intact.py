"""Which merged files are known to be whole, so that not every run reads them through."""

from __future__ import annotations

import json
from collections.abc import Iterable

from orchestrator.store.files import Files

FILE = ".whole.json"


class Known:
    """The files that were written or read through since their size or time last changed."""

    def __init__(self, files: Files) -> None:
        self._files = files
        try:
            self._marks = dict(json.loads(files.read(FILE) or b"{}"))
        except ValueError:
            self._marks = {}

    def has(self, name: str) -> bool:
        """Tell whether a file is as it was when it was last known to be whole."""
        return self._marks.get(name) == self._files.mark(name)

    def keep(self, names: Iterable[str]) -> None:
        """Note that these files are whole, and forget all others."""
        marks = {name: self._files.mark(name) for name in names}
        if marks != self._marks:
            self._marks = marks
            self._files.write(FILE, json.dumps(marks).encode())
