"""What can be seen of a trainable without importing it: whether it is there, and can run."""

from __future__ import annotations

import ast
import os
import pkgutil
import sys
import sysconfig
import warnings
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from orchestrator.code.closure import require_module
from orchestrator.code.function import require_definition
from orchestrator.code.names import Names
from orchestrator.code.scope import STANDARD, TOOL, TOOL_FOLDER, Scope, find_top
from orchestrator.errors import TrainableError, unknown

_RENAME = "give yours another name"


def require_target(trainable: str, scope: Scope) -> None:
    """Refuse a trainable that can be seen not to run, as far as its source tells.

    Args:
        trainable: as ``module:function``.
        scope: where it is looked for.

    Raises:
        TrainableError: it is not there, is not the file that the user means, or cannot run.
    """
    module = trainable.partition(":")[0]
    _require_not_taken(module, scope.folder)
    require_module(module, scope)
    spec = _find(module, scope.folder)
    if spec is not None and spec.origin is not None and spec.origin.endswith(".py"):
        tree = _parsed(Path(spec.origin), scope)
        if tree is not None:
            _require_named(Names(tree), trainable)


def _require_named(names: Names, trainable: str) -> None:
    """Refuse a name that a module does not have, or has for what cannot run."""
    module, _, name = trainable.partition(":")
    if not names.may_have(name):
        raise TrainableError(unknown(f"function of {module}", name, names.functions()))
    definition = names.definition(name)
    if definition is not None:
        require_definition(definition, trainable)


def _require_not_taken(module: str, folder: str) -> None:
    """Refuse a name that Python, or this tool, has for a module of its own."""
    top = module.partition(".")[0]
    if top != TOOL and top not in sys.stdlib_module_names:
        return
    whose = "orch" if top == TOOL else "Python"
    mine = _in_folder(module, folder)
    advice = "; a trainable is in a module of your own"
    if mine is not None:
        advice = f", which is imported instead of ./{os.path.relpath(mine, folder)}; {_RENAME}"
    raise TrainableError(f"`{top}` is a module of {whose} itself ({_taken_by(top)}){advice}")


def _taken_by(top: str) -> str:
    """Name the file of Python's or this tool's own module."""
    if top == TOOL:
        return str(TOOL_FOLDER / "__init__.py")
    spec = PathFinder.find_spec(top, [*map(str, STANDARD), sysconfig.get_config_var("DESTSHARED")])
    return str(spec.origin) if spec is not None and spec.has_location else "built in"


def _in_folder(module: str, folder: str) -> str | None:
    """Find the file that a folder has for a module."""
    top, *inner = module.split(".")
    spec = PathFinder.find_spec(top, [folder])
    for name in inner:
        spec = _within(spec, name)
    return spec.origin if spec is not None and spec.has_location else None


def _find(module: str, folder: str) -> ModuleSpec | None:
    """Find a module as an import does; None where only the import itself can tell.

    Raises:
        TrainableError: it does not exist, or is not the one that the folder has.
    """
    mine = _in_folder(module, folder)
    package, *inner = module.split(".")
    spec = find_top(package, folder)
    for name in inner:
        holder, spec = spec, _within(spec, name)
        if spec is None:
            _require_same(mine, holder, package, folder)
            if holder is None or _may_hold_more(holder):
                return None
            raise TrainableError(_unknown(name, holder, package))
        package = f"{package}.{name}"
    _require_same(mine, spec, module, folder)
    return spec


def _within(package: ModuleSpec | None, name: str) -> ModuleSpec | None:
    """Find a module in a package; by its last name, since by the whole one Python imports."""
    locations = package.submodule_search_locations if package else None
    return None if locations is None else PathFinder.find_spec(name, list(locations))


def _require_same(mine: str | None, found: ModuleSpec | None, name: str, folder: str) -> None:
    """Refuse a module, or the package that should hold it, that is not the one of the folder."""
    if mine is None or found is None or found.origin is None:
        return
    if os.path.realpath(found.origin) != os.path.realpath(mine):
        raise TrainableError(
            f"`{name}` is imported from {found.origin}, and not from "
            f"./{os.path.relpath(mine, folder)}; {_RENAME}"
        )


def _may_hold_more(package: ModuleSpec) -> bool:
    """Tell whether a package may find modules by other means than its folder."""
    try:
        source = Path(str(package.origin)).read_bytes() if package.has_location else b""
    except OSError:
        return True
    return b"__path__" in source or b"sys.modules" in source


def _unknown(name: str, holder: ModuleSpec, package: str) -> str:
    locations = holder.submodule_search_locations
    if locations is None:
        return f"`{package}` is a module and no package, so that there is no `{package}.{name}`"
    known = sorted(module.name for module in pkgutil.iter_modules(locations))
    return unknown(f"module of {package}", name, known)


def _parsed(path: Path, scope: Scope) -> ast.Module | None:
    """Parse a module; None for one that only Python's import can judge.

    Raises:
        TrainableError: it has a syntax error.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the user's strings and comparisons
        try:
            return ast.parse(path.read_bytes(), str(path))
        except SyntaxError as error:
            name = scope.name_of(path, str(path))
            raise TrainableError(
                f"{name}, line {error.lineno or 1}: SyntaxError: {error.msg}"
            ) from None
        except (OSError, ValueError, RecursionError, MemoryError):
            return None
