"""Programs: where those that commands start are looked for."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from orchestrator.errors import TrainableError


def program_path(environ: Mapping[str, str]) -> str:
    """Return the PATH of programs: that of the user behind this Python's own folder.

    So ``python``, and what is installed beside it, are as if its environment were activated.
    """
    return os.pathsep.join([_own_folder(), environ.get("PATH", os.defpath)])


def require_program(word: str, folder: str, environ: Mapping[str, str]) -> None:
    """Refuse a program that cannot be started.

    Args:
        word: a command's first one: a path, if there is a slash in it, else a name.
        folder: the working folder, from which paths start.
        environ: has the PATH on which names are looked for.

    Raises:
        TrainableError: it is not found, or not executable.
    """
    if not os.path.dirname(word):  # noqa: PTH120  (of `./train`, Path sees no folder)
        _require_on_path(word, folder, environ)
        return
    path = Path(folder, word)
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "is not found"
        raise TrainableError(f"the program {path} {found}")
    if not os.access(path, os.X_OK):
        raise TrainableError(
            f"{path} is not executable: run `chmod +x {word}`, or put the program that reads it, "
            "such as `python`, before it"
        )


def _require_on_path(name: str, folder: str, environ: Mapping[str, str]) -> None:
    if shutil.which(name, path=program_path(environ)) is None:
        here = Path(folder, name).is_file()
        hint = f"; the file of the working folder is `./{name}`" if here else ""
        raise TrainableError(
            f"the program `{name}` is not found in {_own_folder()}, nor on PATH "
            f"({environ.get('PATH', os.defpath)}){hint}"
        )


def _own_folder() -> str:
    return str(Path(sys.executable).parent)
