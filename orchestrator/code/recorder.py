"""Sees each counting module that a process imports, and refuses one edited since the run began."""

from __future__ import annotations

import contextlib
import importlib.abc
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

from orchestrator.code.archive import Archive
from orchestrator.code.importing import spec_from
from orchestrator.code.manifest import Content
from orchestrator.code.scope import TOOL, Scope, counts
from orchestrator.code.trees import imported, is_same
from orchestrator.errors import EditedError


class Loaded(NamedTuple):
    """What a process has loaded since it was last asked.

    Attributes:
        files: counting modules that the run's manifest lacks, with their content.
        modules: top-level names of what is not the standard library's.
        packages: versions of packages that its programs have loaded from another environment.
    """

    files: Mapping[str, bytes]
    modules: Collection[str]
    packages: Mapping[str, str] = {}


class Recorder(importlib.abc.MetaPathFinder):
    """Records what a process imports; a forked process inherits what is recorded.

    Install it before any other finder that asks the others: it asks those behind it alone.

    Args:
        folder: the working folder.
        archive: the run's code, with which each file is compared; None to compare nothing.
    """

    def __init__(self, folder: str, archive: Archive | None) -> None:
        self._scope, self._archive = Scope(folder), archive
        self._entries = tuple(sys.path)
        self._before = _loaded_names()
        """Top-level names that this process has loaded for itself, and no trial's code imports."""
        self._files: dict[str, bytes] = {}
        self._told: set[str] = set()
        self._others: set[str] = set()
        """Top-level names that programs have loaded."""
        self._packages: dict[str, str] = {}
        self.edited: EditedError | None = None
        """The import that was refused first, whatever the trainable made of the error."""

    @classmethod
    def install(cls, folder: str, archive: Archive | None) -> Recorder:
        """Watch imports from now on."""
        recorder = cls(folder, archive)
        sys.meta_path.insert(0, recorder)
        return recorder

    @classmethod
    @contextlib.contextmanager
    def installed(cls, folder: str, archive: Archive | None) -> Iterator[Recorder]:
        """Watch imports while the block runs, after which the import path is as it was."""
        recorder = cls.install(folder, archive)
        try:
            yield recorder
        finally:
            sys.meta_path.remove(recorder)
            sys.path[:] = recorder._entries

    def forget_other_versions(self) -> None:
        """Have all modules of the run's code imported anew if one is here in another version.

        All, since a module that is the same may hold another one that is not. What earlier trials
        of this process have loaded beyond the run's code is none of a known version.
        """
        known = self._archive.manifest.files if self._archive else {}
        if self._archive:
            for name in known:
                self._count_imports(self._archive.content(name))
        ours, is_another = [], False
        for fullname, module in list(sys.modules.items()):
            origin = getattr(module, "__file__", None)
            if origin and fullname != "__main__" and counts(Path(origin)):
                name = _module_file(fullname, Path(origin))
                content = known.get(self._scope.name_of(Path(origin), name))
                read = getattr(module.__spec__, "loader", None)
                loaded = read.content if isinstance(read, _RecordingLoader) else None
                if content is not None or loaded is not None:
                    ours.append(fullname)
                    is_another = is_another or content != loaded
        if is_another:
            for fullname in ours:
                del sys.modules[fullname]

    def loaded(self) -> Loaded:
        """Return, once each, what was loaded so far."""
        names = ((_loaded_names() - self._before) | self._others) - self._told
        self._told |= names
        fresh = Loaded(self._files, sorted(names), self._packages)
        self._files, self._packages = {}, {}
        return fresh

    def note(self, fullname: str, path: Path) -> None:
        """Record a module that a program has imported, or the script that a Python runs.

        Raises:
            EditedError: it was edited while the sweep ran.
        """
        top = fullname.partition(".")[0]
        self._others |= {top} - sys.stdlib_module_names - {"__main__"}
        if top != TOOL and counts(path):
            with contextlib.suppress(OSError):
                self._record(fullname, path, path.read_bytes())

    def note_packages(self, versions: Mapping[str, str]) -> None:
        """Record packages that a program has loaded from another environment, by version."""
        self._packages |= versions

    def require_unedited(self) -> None:
        """Raise again what an import raised, which the trainable may have caught.

        Raises:
            EditedError: an edited module was not imported.
        """
        if self.edited is not None:
            raise self.edited

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Let the finders behind this one find a module, and record it if it counts."""
        behind = sys.meta_path[sys.meta_path.index(self) + 1 :]
        spec = spec_from(behind, fullname, path, target)
        if (
            spec is not None
            and type(spec.loader) is SourceFileLoader
            and fullname.partition(".")[0] != TOOL
            and counts(Path(str(spec.origin)))
        ):
            spec.loader = _RecordingLoader(fullname, str(spec.origin), self._record)
        return spec

    def _count_imports(self, data: bytes | None) -> None:
        """Count what a trial's code imports as loaded by it, also if it is here already."""
        self._before -= {*imported(data)} - {TOOL}

    def _record(self, fullname: str, path: Path, data: bytes) -> None:
        module = _module_file(fullname, path)
        name = self._scope.name_of_loaded(path, module, self._entries)
        self._count_imports(data)
        known = self._archive.manifest.files.get(name) if self._archive else None
        if known is None or self._archive is None:
            self._files[name] = data
        elif known != Content.of(data):
            kept = self._archive.content(name)
            if kept is None or not is_same(name, kept, data):
                self.edited = self.edited or EditedError.of(name)
                raise self.edited


def _module_file(fullname: str, path: Path) -> str:
    """Name a module's file relative to its entry of the import path."""
    parts = fullname.split(".")
    return "/".join([*(parts if path.name == "__init__.py" else parts[:-1]), path.name])


def _loaded_names() -> set[str]:
    return {name.partition(".")[0] for name in list(sys.modules)} - sys.stdlib_module_names


class _RecordingLoader(SourceFileLoader):
    """Compiles exactly the bytes that are recorded; bytecode of a file may be older than it."""

    def __init__(
        self, fullname: str, path: str, record: Callable[[str, Path, bytes], None]
    ) -> None:
        super().__init__(fullname, path)
        self._record = record
        self.content: Content | None = None
        """What was compiled."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        data = self.get_data(path)
        self._record(fullname, Path(path).absolute(), data)
        self.content = Content.of(data)
        code: Any = self.source_to_code(data, path)
        return code  # type: ignore[no-any-return]
