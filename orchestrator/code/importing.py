"""Importing a trainable, as if its folder were the working folder."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

from orchestrator.errors import TrainableError, unknown

Trainable = Callable[..., Iterator[Mapping[str, Any]] | Mapping[str, Any] | None]


def import_from(folder: str) -> None:
    """Put a folder first in the import path, as ``python -m`` does with the working folder."""
    if folder not in sys.path:
        sys.path.insert(0, folder)


def import_trainable(trainable: str, folder: str) -> Trainable:
    """Import ``module:generator`` as if a folder were the working folder.

    Raises:
        TrainableError: the module cannot be imported, or has no such function.
    """
    import_from(folder)
    module_name, _, name = trainable.partition(":")
    try:
        module = import_module(module_name)
    except Exception as error:  # a user's module may raise anything
        raise TrainableError(
            f"{module_name} cannot be imported from {folder}: {type(error).__name__}: {error}"
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        public = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise TrainableError(unknown(f"function of {module_name}", name, sorted(public)))
    return function  # type: ignore[no-any-return]
