"""Importing a trainable, as if its folder were the working folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from orchestrator.code.scope import counts
from orchestrator.errors import TrainableError, unknown

Trainable = Callable[..., Iterator[Mapping[str, Any]] | Mapping[str, Any] | None]


def require_free(module: str, folder: str) -> None:
    """Refuse a module of a folder if this process has imported another one of its name.

    That is one which this tool, or what it builds on, needs itself.

    Raises:
        TrainableError: another one is imported.
    """
    top = module.partition(".")[0]
    loaded = getattr(sys.modules.get(top), "__file__", None)
    mine = PathFinder.find_spec(top, [folder])
    if loaded is None or counts(Path(loaded)) or mine is None or not mine.has_location:
        return
    if os.path.realpath(loaded) != os.path.realpath(str(mine.origin)):
        raise TrainableError(
            f"`{top}` is imported already, from {loaded}, since orch itself needs it, and not from "
            f"./{os.path.relpath(str(mine.origin), folder)}; give yours another name"
        )


def import_trainable(trainable: str, folder: str) -> Trainable:
    """Import ``module:function`` as if a folder were the working folder.

    Raises:
        TrainableError: the module cannot be imported, is another of the same name, or has nothing
            of the function's name.
    """
    module_name, _, name = trainable.partition(":")
    require_free(module_name, folder)
    _import_from(folder)
    try:
        module = import_module(module_name)
    except Exception as error:  # a user's module may raise anything
        raise TrainableError(
            f"{module_name} cannot be imported from {folder}: {type(error).__name__}: {error}"
        ) from error
    try:
        return getattr(module, name)  # type: ignore[no-any-return]
    except AttributeError:
        public = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise TrainableError(unknown(f"function of {module_name}", name, sorted(public))) from None


def spec_from(
    finders: Iterable[object],
    fullname: str,
    path: Sequence[str] | None,
    target: ModuleType | None,
) -> ModuleSpec | None:
    """Ask finders for a module, as Python does: the first answer counts."""
    for finder in finders:
        find = getattr(finder, "find_spec", None)  # finders of old packages lack it
        spec: ModuleSpec | None = find(fullname, path, target) if find else None
        if spec is not None:
            return spec
    return None


def _import_from(folder: str) -> None:
    """Put a folder first in the import path, as ``python FILE`` does with the file's folder."""
    if folder not in sys.path:
        sys.path.insert(0, folder)
