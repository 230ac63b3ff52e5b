"""The static closure of what runs: every file that its imports can reach, without importing."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import invalidate_caches
from pathlib import Path
from typing import NamedTuple

from orchestrator.code.archive import Archive
from orchestrator.code.history import history
from orchestrator.code.manifest import LARGEST, Content, Manifest
from orchestrator.code.scope import Scope, files_of, find_top
from orchestrator.code.trees import imported
from orchestrator.errors import TrainableError


class Entries(NamedTuple):
    """Where the closure of a command begins.

    Attributes:
        modules: that Python runs by name; one that is not found has no files.
        programs: names of scripts and programs of the working folder.
        words: names of other files of the working folder, which a program may read or write.
    """

    modules: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


def code_of(
    entries: str | Entries, scope: Scope | None = None, patterns: Iterable[str] = ()
) -> Archive:
    """Read the files that a trial's numbers come from, without importing any.

    Args:
        entries: the trainable's module, or what a command runs.
        scope: where files are looked for; by default the working folder.
        patterns: globs of files that count besides what is imported.

    Raises:
        InputError: a glob leaves the working folder.
        TrainableError: the trainable's module cannot be found.
    """
    scope = scope or Scope(str(Path.cwd()))
    invalidate_caches()
    if isinstance(entries, str):
        require_module(entries, scope)
        entries = Entries(modules=(entries,))
    found = _Files(scope)
    found.follow((module.partition(".")[0] for module in entries.modules), scope.folder)
    for name in entries.programs:
        found.run(name)
    globs = {pattern: scope.match(pattern) for pattern in patterns}
    matched = {name for names in globs.values() for name in names}
    words = sorted({*entries.words} - matched - found.files.keys())
    for name in {*matched, *words} - found.files.keys():
        found.read(Path(scope.folder, name), name)
    manifest = Manifest(found.files, globs, tuple(words))
    return Archive.pack(manifest, found.contents, history(scope.folder, found.files))


class _Files:
    """The files found so far, by name, and what is in them."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.files: dict[str, Content] = {}
        self.contents: dict[str, bytes] = {}

    def run(self, name: str) -> None:
        """Take in a program of the working folder; a Python script with what it imports."""
        path = Path(self._scope.folder, name)
        data = self.read(path, name)
        if path.suffix == ".py":
            self.follow(imported(data), str(path.parent), self._scope.folder)

    def follow(self, tops: Iterable[str], *folders: str) -> None:
        """Take in modules and packages, found in folders first, and what they import in turn."""
        waiting, seen = [*tops], set[str]()
        while waiting:
            top = waiting.pop()
            if top in seen:
                continue
            seen.add(top)
            for other_name, path in files_of(find_top(top, *folders)):
                data = self.read(path, self._scope.name_of(path, other_name))
                waiting += imported(data)

    def read(self, path: Path, name: str) -> bytes | None:
        """Take in a file; return its content unless it is too large to be kept.

        Raises:
            TrainableError: it has a name that no archive can hold.
        """
        try:
            name.encode()
        except UnicodeEncodeError:
            raise TrainableError(
                f"{name!a} counts as code, and its name is no UTF-8; give it another name"
            ) from None
        if path.stat().st_size > LARGEST:
            self.files[name] = Content.of_file(path)
            return None
        data = path.read_bytes()
        self.files[name], self.contents[name] = Content.of(data), data
        return data


def require_module(module: str, scope: Scope) -> None:
    """Refuse a module that does not exist.

    Raises:
        TrainableError: it cannot be found.
    """
    top = module.partition(".")[0]
    spec = find_top(top, scope.folder)
    if spec is None or not (spec.submodule_search_locations or spec.has_location):
        raise TrainableError(
            f"the module `{top}` cannot be found from {scope.folder}; "
            "run orch in the folder that holds it, or install it"
        )
