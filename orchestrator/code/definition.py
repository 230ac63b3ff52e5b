"""What the source of a function shows: how it is called, and whether it hands anything over."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


@dataclass(frozen=True)
class Definition:
    """A parsed `def`."""

    node: ast.FunctionDef
    given: int = 0
    """How many of its parameters come before those of a call, as `self` does."""

    @property
    def signature(self) -> str:
        """The parameters, as they are written."""
        return f"({ast.unparse(self.node.args)})"

    @property
    def takes_two(self) -> bool:
        """Whether it can be called with (params, trial)."""
        args = self.node.args
        enough = len(self._positional) >= 2 or args.vararg is not None
        return enough and self._required <= 2 and None not in args.kw_defaults

    @property
    def takes_none(self) -> bool:
        """Whether it can be called without arguments, as the `main` of a script."""
        return self._required <= 0 and None not in self.node.args.kw_defaults

    @property
    def trial(self) -> str:
        """The name of the parameter that takes `trial`, alone or with others."""
        rest = self.node.args.vararg
        return self._positional[1] if rest is None or len(self._positional) > 1 else rest.arg

    @property
    def hands_over(self) -> bool:
        """Whether it yields, returns a value, or has a use for `trial`."""
        for node in own(self.node.body):
            match node:
                case ast.Yield() | ast.YieldFrom():
                    return True
                case ast.Return(value=None | ast.Constant(value=None)):
                    pass
                case ast.Return():
                    return True
        names = {self.trial, "locals"}
        return any(
            isinstance(node, ast.Name) and node.id in names and isinstance(node.ctx, ast.Load)
            for statement in self.node.body
            for node in ast.walk(statement)
        )

    @property
    def _positional(self) -> list[str]:
        args = self.node.args
        return [arg.arg for arg in (*args.posonlyargs, *args.args)][self.given :]

    @property
    def _required(self) -> int:
        return len(self._positional) - len(self.node.args.defaults)


def own(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """List what belongs to a scope: all that is below its statements, but for scopes in them."""
    waiting = [*nodes]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, _SCOPES):
            waiting += ast.iter_child_nodes(node)
