"""The static closure of a trainable: every file that its imports can reach, without importing."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from importlib import invalidate_caches
from pathlib import Path

from orchestrator.code.archive import Archive
from orchestrator.code.history import history
from orchestrator.code.manifest import LARGEST, Content, Manifest
from orchestrator.code.scope import Scope, files_of, find_top
from orchestrator.code.trees import parse
from orchestrator.errors import TrainableError


def code_of(module: str, scope: Scope | None = None, patterns: Iterable[str] = ()) -> Archive:
    """Read the files that a trainable's numbers come from, without importing it.

    Args:
        module: the trainable's module.
        scope: where files are looked for; by default the working folder.
        patterns: globs of files that count besides what is imported.

    Raises:
        InputError: a glob leaves the working folder.
        TrainableError: the module cannot be found.
    """
    scope = scope or Scope(str(Path.cwd()))
    invalidate_caches()
    require_module(module, scope)
    files: dict[str, Content] = {}
    contents: dict[str, bytes] = {}
    waiting, seen = [module.partition(".")[0]], set[str]()
    while waiting:
        top = waiting.pop()
        if top in seen:
            continue
        seen.add(top)
        for other_name, path in files_of(find_top(top, scope.folder)):
            data = _read(path, scope.name_of(path, other_name), files, contents)
            waiting += _imported(data)
    globs = {pattern: scope.match(pattern) for pattern in patterns}
    for name in {name for names in globs.values() for name in names} - files.keys():
        _read(Path(scope.folder, name), name, files, contents)
    return Archive.pack(Manifest(files, globs), contents, history(scope.folder, files))


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


def _read(
    path: Path, name: str, files: dict[str, Content], contents: dict[str, bytes]
) -> bytes | None:
    """Take a file into the manifest; return its content unless it is too large to be kept."""
    if path.stat().st_size > LARGEST:
        files[name] = Content.of_file(path)
        return None
    data = path.read_bytes()
    files[name], contents[name] = Content.of(data), data
    return data


def _imported(data: bytes | None) -> Iterator[str]:
    """List the top-level names that a file imports anywhere; its own package counts whole."""
    tree = None if data is None else parse(data)
    for node in ast.walk(tree) if tree else ():
        match node:
            case ast.Import():
                yield from (alias.name.partition(".")[0] for alias in node.names)
            case ast.ImportFrom(module=str(name), level=0):
                yield name.partition(".")[0]
