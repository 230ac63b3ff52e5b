"""Mistakes in a sweep file, told with file, line, key and what was expected."""

from __future__ import annotations

import typing
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.errors import OrchError, SpecError, unknown
from orchestrator.spec.source import Key, Source, dotted


@dataclass(frozen=True)
class Problem:
    """One mistake and where it stands."""

    key: Key
    text: str


def raise_all(problems: Iterable[Problem], source: Source) -> None:
    """Raise one error with a line per problem, in file order; nothing if there are none."""
    text = _listed(problems, source)
    if text:
        raise SpecError(text)


def _listed(problems: Iterable[Problem], source: Source) -> str:
    lines = sorted((source.place(p.key).line, _line(p, source)) for p in problems)
    return "\n".join(dict.fromkeys(text for _, text in lines))


def _line(problem: Problem, source: Source) -> str:
    key = dotted(problem.key)
    return f"{source.place(problem.key)}: {f'`{key}`: ' if key else ''}{problem.text}"


def placed(error: OrchError, source: Source | None, *key: str | int) -> OrchError:
    """Say at which line of the sweep file the key is that an error is about."""
    place = f"{source.place(key)}: " if source else ""
    return type(error)(f"{place}`{dotted(key)}`: {error}")


def check_quotes(source: Source) -> None:
    """Refuse numbers in quotes among the params: they would be other values than meant."""
    raise_all(
        (
            Problem(key, "a number in quotes would be a string; remove the quotes")
            for key in source.quoted_numbers
            if key[0] in _PARAMS or (key[0] in _SHOWN and not _MATCHERS.isdisjoint(key))
        ),
        source,
    )


_PARAMS = {"factors", "search", "fixed", "variants", "exclude"}
_SHOWN = {"tables", "claims", "figures"}
_MATCHERS = {"rows", "compare", "where"}
"""Keys below which values of params stand."""


def explain(error: ValidationError, source: Source, model: type[BaseModel]) -> str:
    """Write pydantic's findings as lines of words."""
    problems = []
    for detail in error.errors():
        key = _key(detail, source)
        problems.append(Problem(key, _words(detail, key, model)))
    return _listed(problems, source)


def _key(detail: ErrorDetails, source: Source) -> Key:
    """Drop pydantic's own steps, such as ``[key]``, from where an error stands."""
    key: Key = ()
    for part in detail["loc"]:
        if detail["type"] == "missing" or (*key, part) in source.places:
            key = (*key, part)
    return key


def _words(detail: ErrorDetails, key: Key, model: type[BaseModel]) -> str:
    context = detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            return unknown("key", key[-1], _fields(model, key[:-1]))
        case "value_error":
            return str(context["error"])
        case "literal_error":
            return f"expected {context['expected']}"
        case "string_pattern_mismatch":
            return f"expected {_PATTERNS.get(str(key[-1]), context['pattern'])}"
        case kind:
            expected = "expected a number" if "than" in kind else "expected"
            plain = detail["msg"].replace("Input should be", expected, 1)
            return _PLAIN.get(kind, plain)


_PLAIN = {
    "missing": "this key is required",
    "tuple_type": "expected a list",
    "dict_type": "expected a mapping of keys to values",
    "model_type": "expected a mapping of keys to values",
    "too_short": "expected at least one entry",
    "too_long": "expected exactly one entry",
    "int_type": "expected an integer",
    "int_from_float": "expected an integer",
    "string_type": "expected a string",
    "float_type": "expected a number",
}
_PATTERNS = {
    "name": "a name of a-z, 0-9, - and _ (at most 64, the first a letter or digit)",
    "trainable": "module:generator, such as trainables.classify:train",
}


def _fields(model: type[BaseModel], key: Key) -> list[str]:
    """List the keys that may stand below ``key``."""
    for part in key:
        if isinstance(part, str) and part in model.model_fields:
            nested = _nested_model(model.model_fields[part].annotation)
            if nested is None:
                return []
            model = nested
    return list(model.model_fields)


def _nested_model(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in typing.get_args(annotation):
        if nested := _nested_model(argument):
            return nested
    return None
