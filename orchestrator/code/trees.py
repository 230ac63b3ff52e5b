"""Compares Python files by what they parse to, so that comments and layout make no difference."""

from __future__ import annotations

import ast
import warnings


def parse(data: bytes) -> ast.Module | None:
    """Parse a Python file; None if it is none that this Python can read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the user's strings and comparisons
        try:
            return ast.parse(data)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


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
