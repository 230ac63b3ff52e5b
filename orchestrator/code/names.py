"""The names that a module's source binds."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

from orchestrator.code.definition import own

_UNSEEN = {"globals", "locals", "vars", "exec", "eval", "setattr"}
"""Functions by which a module can bind names that its source does not show."""


class Names:
    """What a module binds, by name.

    Args:
        tree: the module, parsed.
    """

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._bound: dict[str, list[ast.AST]] = defaultdict(list)
        declared = (node for node in ast.walk(tree) if isinstance(node, ast.Global))
        for node in (*own(tree.body), *declared):
            for name in _bound_by(node):
                self._bound[name].append(node)

    def may_have(self, name: str) -> bool:
        """Tell whether a module has a name, or may have it by what its source does not show."""
        if not self._bound.keys().isdisjoint({name, "*", "__getattr__"}):
            return True
        return any(
            (isinstance(node, ast.Name) and node.id in _UNSEEN)
            or (isinstance(node, ast.Attribute) and node.attr in {"modules", "__dict__"})
            for node in ast.walk(self._tree)
        )

    def functions(self) -> list[str]:
        """List the public names that may be a function."""
        kinds = ast.Import | ast.ClassDef
        return sorted(
            name
            for name, nodes in self._bound.items()
            if not name.startswith("_") and not all(isinstance(node, kinds) for node in nodes)
        )

    def definition(self, name: str) -> ast.AST | None:
        """Return the one definition that a name has; None if anything else binds or wraps it."""
        match self._bound.get(name):
            case [ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() as node]:
                return node if node in self._tree.body and not node.decorator_list else None
        return None


def _bound_by(node: ast.AST) -> Iterator[str]:
    """List the names that a node binds by itself."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in aliases)
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            yield name
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
            yield name
        case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            yield name
        case ast.Global(names=names):
            yield from names
