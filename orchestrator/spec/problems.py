"""Error messages for a sweep file: file, line, key and what is expected."""

from __future__ import annotations

import typing
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.errors import OrchError, SpecError, unknown
from orchestrator.spec.keys import Key, dotted
from orchestrator.spec.source import Source


@dataclass(frozen=True)
class Problem:
    """One mistake in a sweep file, and its key."""

    key: Key
    text: str


def raise_all(problems: Iterable[Problem], source: Source) -> None:
    """Raise one error with a line per problem, in file order, if there are any."""
    if text := _listed(problems, source):
        raise SpecError(text)


def _listed(problems: Iterable[Problem], source: Source) -> str:
    numbered = sorted((source.place(p.key).line, _message(p, source)) for p in problems)
    return "\n".join(dict.fromkeys(message for _, message in numbered))


def _message(problem: Problem, source: Source) -> str:
    key = dotted(problem.key)
    return f"{source.place(problem.key)}: {f'`{key}`: ' if key else ''}{problem.text}"


def placed(error: OrchError, source: Source | None, *key: str | int) -> OrchError:
    """Prefix an error with the key that it is about, and the key's line in the sweep file."""
    place = f"{source.place(key)}: " if source else ""
    return type(error)(f"{place}`{dotted(key)}`: {error}")


def check_quotes(source: Source) -> None:
    """Refuse numbers in quotes among the values of params, since they would be strings.

    Raises:
        SpecError: with a line per number.
    """
    raise_all(
        (
            Problem(key, "a number in quotes is a string; remove the quotes")
            for key in source.quoted_numbers
            if key[0] in _PARAMS or (key[0] in _REPORTED and not _MATCHERS.isdisjoint(key))
        ),
        source,
    )


_PARAMS = {"factors", "search", "fixed", "added", "variants", "exclude"}
_REPORTED = {"tables", "claims", "figures"}
_MATCHERS = {"rows", "compare", "between", "where"}
"""Keys of tables, claims and figures that hold values of params."""


def explain(error: ValidationError, source: Source, model: type[BaseModel]) -> str:
    """Write pydantic's errors as one line per mistake."""
    problems = []
    for detail in error.errors():
        key = _key(detail, source)
        problems.append(Problem(key, _text(detail, key, model)))
    return _listed(problems, source)


def _key(detail: ErrorDetails, source: Source) -> Key:
    """Drop pydantic's own steps, such as ``[key]``, from the location of an error."""
    key: Key = ()
    for part in detail["loc"]:
        inner = source.written((*key, part))
        if detail["type"] == "missing" or inner in source.places:
            key = inner
    return key


def _text(detail: ErrorDetails, key: Key, model: type[BaseModel]) -> str:
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
            return _TEXTS.get(kind, detail["msg"].replace("Input should be", expected, 1))


_TEXTS = {
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
    "name": "a name of a-z, 0-9, - and _ (at most 64, a letter or digit first)",
    "trainable": "module:generator, such as trainables.classify:train",
}


def _fields(model: type[BaseModel], key: Key) -> list[str]:
    """List the keys that are allowed below ``key``."""
    for part in key:
        if isinstance(part, str) and part in model.model_fields:
            nested = _nested_model(model.model_fields[part].annotation)
            if nested is None:
                return []
            model = nested
    return [field.alias or name for name, field in model.model_fields.items()]


def _nested_model(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in typing.get_args(annotation):
        if nested := _nested_model(argument):
            return nested
    return None
