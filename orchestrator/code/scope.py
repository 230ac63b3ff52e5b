"""Where code is looked for: the working folder, Python's import path, and what a glob may match."""

from __future__ import annotations

import glob
import os
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path, PurePath, PurePosixPath

from orchestrator.errors import InputError

TOOL = "orchestrator"
"""The package that never counts as a trial's code, wherever it lies."""
TOOL_FOLDER = Path(__file__).parents[1]
STANDARD = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
_INSTALLED = {"site-packages", "dist-packages"}


@dataclass(frozen=True)
class Scope:
    """A working folder, and what lies in it without being code."""

    folder: str
    excluded: tuple[str, ...] = ()
    """Absolute paths of files and folders that no glob matches."""

    def name_of(self, path: Path, otherwise: str) -> str:
        """Name a file relative to the working folder; a file elsewhere keeps its other name."""
        path = _direct(path)
        return path.relative_to(self.folder).as_posix() if self._holds(path) else otherwise

    def name_of_loaded(self, path: Path, otherwise: str, entries: Sequence[str]) -> str:
        """Name a file that a trial has loaded, so that `find` finds it again.

        Args:
            path: of the file, which may lie anywhere.
            otherwise: its name relative to its entry of the import path.
            entries: the import path, without what the trial itself has added. A file elsewhere that
                is not found from there, as after ``sys.path.append("..")``, is named from the
                working folder.
        """
        path = _direct(path)
        if self._holds(path) or self.find(otherwise, entries) == path:
            return self.name_of(path, otherwise)
        return PurePath(os.path.relpath(path, self.folder)).as_posix()

    def find(self, name: str, entries: Sequence[str] | None = None) -> Path | None:
        """Find the file that a manifest names; None if there is none now.

        Args:
            name: of the file.
            entries: of the import path; by default this process's.
        """
        here = Path(self.folder, name)
        if here.is_file():
            return here
        top = PurePosixPath(name).parts[0].removesuffix(".py")
        spec = find_top(top, self.folder, entries=entries)
        return next((path for found, path in files_of(spec) if found == name), None)

    def lasts(self, name: str) -> bool:
        """Tell a file that a trial has loaded from one that it has written itself, for a while."""
        path = Path(os.path.normpath(Path(self.folder, name)))
        is_gone = name.startswith("../") and not path.is_file()
        return not is_gone and not self._is_excluded(path)

    def named(self, text: str) -> str | None:
        """Return the name of the file of the working folder that a path leads to, if any does."""
        path = Path(os.path.normpath(Path(self.folder, text)))
        if not self._holds(path) or self._is_installed(path):
            return None
        name = self.name_of(path, "")
        try:
            return name if self._may_match(name) and self._stays(name) else None
        except OSError:  # a text too long for a path
            return None

    def match(self, pattern: str) -> tuple[str, ...]:
        """List the files that a glob matches, sorted, relative to the working folder.

        Raises:
            InputError: it leaves the working folder.
        """
        if ".." in PurePosixPath(pattern).parts or Path(pattern).is_absolute():
            raise InputError(f"`{pattern}` leaves the working folder")
        # Path.glob would walk hidden folders too, such as `.venv`.
        names = glob.glob(pattern, root_dir=self.folder, recursive=True)  # noqa: PTH207
        found = {PurePosixPath(name).as_posix() for name in names if self._may_match(name)}
        for name in found:
            if not self._stays(name):
                raise InputError(f"`{pattern}` leaves the working folder: {name} is a link")
        return tuple(sorted(found))

    def _holds(self, path: Path) -> bool:
        return path.is_relative_to(self.folder)

    def _is_installed(self, path: Path) -> bool:
        """Tell whether a file is of an environment that lies in the working folder."""
        return self._holds(Path(sys.prefix)) and path.is_relative_to(sys.prefix)

    def _stays(self, name: str) -> bool:
        """Tell whether a file of the working folder is no link that leads out of it."""
        return Path(self.folder, name).resolve().is_relative_to(Path(self.folder).resolve())

    def _may_match(self, name: str) -> bool:
        path = Path(self.folder, name)
        hidden = any(part.startswith(".") for part in PurePosixPath(name).parts[:-1])
        return not hidden and path.is_file() and not self._is_excluded(path)

    def _is_excluded(self, path: Path) -> bool:
        return any(map(path.is_relative_to, self.excluded))


def _direct(path: Path) -> Path:
    """Take out the steps back of a path, as ``sys.path.append("..")`` brings them about."""
    return path.resolve() if ".." in path.parts else path


def find_top(name: str, *folders: str, entries: Sequence[str] | None = None) -> ModuleSpec | None:
    """Find a top-level module or package without importing it; not what is already imported.

    Args:
        name: of the module.
        folders: to look in first, in their order. They stay out of this process's own import path,
            from which the tool still imports: a file there may have the name of any module.
        entries: of the import path; by default this process's.
    """
    if name in {"__main__", TOOL} or not name.isidentifier():  # `__main__` here is orch itself
        return None
    for finder in sys.meta_path:
        if type(finder).__module__.startswith(f"{TOOL}."):
            continue  # it asks the others, with this process's import path
        find = getattr(finder, "find_spec", None)
        path = None
        if finder is PathFinder:
            path = [*folders, *(sys.path if entries is None else entries)]
        spec: ModuleSpec | None = find(name, path) if find else None
        if spec is not None:
            return spec
    return None


def files_of(spec: ModuleSpec | None) -> Iterator[tuple[str, Path]]:
    """List the files that count of a top-level module, or of a whole package.

    Yields:
        Each file's name, relative to the entry of the import path, and its path.
    """
    if spec is None:
        return
    if spec.submodule_search_locations is None:
        path = Path(spec.origin or "").absolute()
        if spec.has_location and counts(path):
            yield path.name, path
        return
    found = set[str]()
    for location in spec.submodule_search_locations:
        folder = Path(location).absolute()
        for path in _python_files(folder):
            name = f"{spec.name}/{path.relative_to(folder).as_posix()}"
            if name not in found:  # of two folders with one name, Python looks in the first first
                found.add(name)
                yield name, path


def _python_files(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and name != "__pycache__" and not _goes_round(root, name)
        )
        paths = (Path(root, name) for name in sorted(names) if not name.startswith("."))
        # Editors' files begin with a dot; a link may lead nowhere.
        yield from (path for path in paths if counts(path) and path.is_file())


def _goes_round(root: str, name: str) -> bool:
    """Tell whether a folder is a link to one that it lies in."""
    path = Path(root, name)
    return path.is_symlink() and Path(root).resolve().is_relative_to(path.resolve())


def counts(path: Path) -> bool:
    """Tell whether a file counts as a trial's code: Python that is neither installed nor ours."""
    return (
        path.suffix == ".py"
        and _INSTALLED.isdisjoint(path.parts)
        and not path.is_relative_to(TOOL_FOLDER)
        and not any(map(path.is_relative_to, STANDARD))
    )
