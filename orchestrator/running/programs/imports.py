"""What the Pythons of a program run and import, as they record it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path, PurePosixPath

from orchestrator.code.recorder import Recorder

HOOK = Path(__file__).parent / "hook"
"""The folder whose sitecustomize.py records imports; first in a program's PYTHONPATH."""
PYTHON = "Python"
"""What stands among the packages of a program that ran in another environment than this one."""


class Imports:
    """The record of one program.

    Args:
        folder: a private one, in which the record is kept.
        recorder: takes what is imported.
    """

    def __init__(self, folder: Path, recorder: Recorder) -> None:
        self._path = folder / "imports"
        self._path.touch()
        self._recorder = recorder
        self._read = 0
        self._names: set[str] = set()
        self._others: dict[str, tuple[str, list[str]]] = {}
        """Other environments than this one, by prefix: version of Python, and import path."""

    def environment(self, python_path: str | None) -> dict[str, str]:
        """Make the variables that have a Python keep the record.

        Args:
            python_path: the PYTHONPATH that the program would have.
        """
        paths = [str(HOOK), *([python_path] if python_path else [])]
        return {"PYTHONPATH": os.pathsep.join(paths), "ORCH_IMPORTS": str(self._path)}

    def note(self) -> None:
        """Hand over what has been imported since the last time.

        Raises:
            EditedError: a module was edited while the sweep ran.
        """
        with self._path.open("rb") as stream:
            stream.seek(self._read)
            *lines, rest = stream.read().split(b"\n")
            self._read = stream.tell() - len(rest)
        for line in lines:
            name, *origin = line.decode("utf-8", errors="surrogateescape").split("\t")
            if name:
                self._names.add(name.partition(".")[0])
                self._recorder.note(name, Path(*origin))
            elif len(origin) > 1 and origin[1] != sys.prefix:
                version, prefix, *path = origin
                self._others[prefix] = version, path

    def note_packages(self) -> None:
        """Hand over the versions of what was imported from other environments than this one."""
        for version, path in self._others.values():
            found = {name: number for name, number in _packages(path) if name in self._names}
            self._recorder.note_packages({PYTHON: version, **found})


def _packages(path: list[str]) -> Iterator[tuple[str, str]]:
    """List the packages of an import path by their top-level names, with their versions."""
    for distribution in metadata.distributions(path=path):
        declared = distribution.read_text("top_level.txt")
        files = declared.split() if declared else map(str, distribution.files or ())
        for top in {PurePosixPath(file).parts[0].removesuffix(".py") for file in files}:
            yield top, distribution.version
