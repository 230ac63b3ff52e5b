"""Digests of a working copy, by which the nodes of a cluster are compared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def digests(folder: Path) -> dict[str, str]:
    """Compute the digest of each package and module in a folder, by name."""
    packages = {
        path.name: _digest(path, path.rglob("*.py"))
        for path in folder.iterdir()
        if (path / "__init__.py").is_file()
    }
    modules = {path.stem: _digest(folder, [path]) for path in folder.glob("[!.]*.py")}
    return dict(sorted({**modules, **packages}.items()))


def _digest(root: Path, paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        if path.is_file() and not path.name.startswith("."):  # editors' files begin with a dot
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()
