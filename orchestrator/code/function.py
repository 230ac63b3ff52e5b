"""Refuses what cannot be a trainable: from its source, and from what is imported."""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import NoReturn

from orchestrator.code.definition import Definition
from orchestrator.code.trees import parse
from orchestrator.errors import TrainableError

EXPECTED = "a trainable is a function of (params, trial) that yields, reports or returns metrics"


def require_definition(node: ast.AST, trainable: str) -> None:
    """Refuse what a module defines if it can be seen not to run as a trainable.

    Args:
        node: a `def` or a class, without decorators; anything else is not judged.
        trainable: as ``module:function``.

    Raises:
        TrainableError: it cannot run; the message says why.
    """
    match node:
        case ast.ClassDef():
            _refuse(trainable, "is a class")
        case ast.AsyncFunctionDef():
            _refuse(trainable, "is an `async def`, which trials do not await")
        case ast.FunctionDef():
            definition = Definition(node)
            if not definition.takes_two:
                _refuse_call(trainable, definition.signature, is_main=definition.takes_none)
            _require_hand_over(definition, trainable)


def require_function(target: object, trainable: str) -> None:
    """Refuse what was imported if it can be seen not to run as a trainable.

    It is called as it is, wrappers included; what it hands over is looked for in the function
    inside of them, if that is called alike.

    Args:
        target: what the module has under the trainable's name.
        trainable: as ``module:function``.

    Raises:
        TrainableError: it cannot run; the message says why.
    """
    if inspect.isclass(target):
        _refuse(trainable, "is a class")
    if not callable(target):
        _refuse(trainable, f"is of type {type(target).__name__}, and no function")
    is_plain = inspect.isroutine(target) or isinstance(target, functools.partial)
    called = target if is_plain else type(target).__call__
    if inspect.iscoroutinefunction(called) or inspect.isasyncgenfunction(called):
        _refuse(trainable, "is an `async def`, which trials do not await")
    signature = _signature(target)
    if signature is not None and not _binds(signature, None, None):
        _refuse_call(trainable, str(signature), is_main=_binds(signature))
    definition = _innermost(target)
    if definition is not None and definition.takes_two:
        _require_hand_over(definition, trainable)


def _require_hand_over(definition: Definition, trainable: str) -> None:
    if not definition.hands_over:
        how = f"neither yields, nor returns a value, nor uses `{definition.trial}`"
        _refuse(trainable, f"{how}, and so has no metrics")


def _refuse_call(trainable: str, signature: str, *, is_main: bool) -> NoReturn:
    file = f"{trainable.partition(':')[0].replace('.', '/')}.py"
    script = f"; a script runs as it stands with `command: [python, {file}, ...]` instead"
    text = f"cannot be called with (params, trial): it takes {signature}"
    _refuse(trainable, text, script if is_main else "")


def _refuse(trainable: str, text: str, hint: str = "") -> NoReturn:
    raise TrainableError(f"`{trainable.partition(':')[2]}` {text}; {EXPECTED}{hint}")


def _signature(target: Callable[..., object]) -> inspect.Signature | None:
    try:
        return inspect.signature(target, follow_wrapped=False)
    except (TypeError, ValueError):  # it is not written in Python
        return None


def _binds(signature: inspect.Signature, *arguments: object) -> bool:
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True


def _innermost(target: object) -> Definition | None:
    """Find the function inside wrappers, partials and objects; None if its source does not tell."""
    given = 0
    while not isinstance(target, FunctionType) or hasattr(target, "__wrapped__"):
        if inspect.ismethod(target):
            given += 1
            target = target.__func__
        elif isinstance(target, functools.partial):
            given += len(target.args)
            target = target.func
        elif hasattr(target, "__wrapped__"):
            try:
                target = inspect.unwrap(target)  # type: ignore[arg-type]
            except ValueError:  # it goes round in a circle
                return None
        elif isinstance(call := type(target).__dict__.get("__call__"), FunctionType):
            given += 1
            target = call
        else:
            return None
    node = _node_of(target)
    return None if node is None else Definition(node, given)


def _node_of(function: FunctionType) -> ast.FunctionDef | None:
    code = function.__code__
    try:
        tree = parse(Path(code.co_filename).read_bytes())
    except OSError:
        return None
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            first = node.decorator_list[0] if node.decorator_list else node
            if first.lineno == code.co_firstlineno:
                return node
    return None
