"""What the Pythons of a program import, as they record it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

HOOK = Path(__file__).parent / "hook"
"""The folder whose sitecustomize.py records imports; first in a program's PYTHONPATH."""


class Imports:
    """The record of one program.

    Args:
        folder: a private one, in which the record is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "imports"
        self._path.touch()
        self._read = 0

    def environment(self, python_path: str | None) -> dict[str, str]:
        """Make the variables that have a Python keep the record.

        Args:
            python_path: the PYTHONPATH that the program would have.
        """
        paths = [str(HOOK), *([python_path] if python_path else [])]
        return {"PYTHONPATH": os.pathsep.join(paths), "ORCH_IMPORTS": str(self._path)}

    def new(self) -> Iterator[tuple[str, Path]]:
        """List what has been imported since the last time: each module's name and file."""
        with self._path.open("rb") as stream:
            stream.seek(self._read)
            *lines, rest = stream.read().split(b"\n")
            self._read = stream.tell() - len(rest)
        for line in lines:
            name, _, origin = line.decode("utf-8", errors="surrogateescape").partition("\t")
            if name:
                yield name, Path(origin)
