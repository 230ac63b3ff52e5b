"""What Python files parse to: what they import, and whether two versions of one mean the same."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator


def parse(data: bytes) -> ast.Module | None:
    """Parse a Python file; None if it is none that this Python can read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the user's strings and comparisons
        try:
            return ast.parse(data)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def imported(data: bytes | None) -> Iterator[str]:
    """List the top-level names that a file imports anywhere; its own package counts whole."""
    tree = None if data is None else parse(data)
    for node in ast.walk(tree) if tree else ():
        match node:
            case ast.Import():
                yield from (alias.name.partition(".")[0] for alias in node.names)
            case ast.ImportFrom(module=str(name), level=0):
                yield name.partition(".")[0]


def is_same(name: str, one: bytes, other: bytes) -> bool:
    """Tell whether two versions of a file mean the same: the same tree, or the same bytes."""
    if one == other:
        return True
    if not name.endswith(".py"):
        return False
    trees = parse(one), parse(other)
    if None in trees:
        return False
    try:
        first, second = (ast.dump(tree) for tree in trees if tree)
    except RecursionError:
        return False
    return first == second
