"""Types of the values in a sweep file: params, axes, seeds, amounts; and equality of values."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, Field, PlainValidator

from orchestrator import columns
from orchestrator.errors import unknown
from orchestrator.labels import label
from orchestrator.nesting import flat

Value: TypeAlias = Any
"""A param's value: an integer, number, boolean, string, null, or a tuple of these."""

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def canonical(value: Value) -> str:
    """Write a value as JSON by which it is identified: 1 and 1.0 differ, 1e-4 and 0.0001 do not."""
    return _CANONICAL.encode(value)


def flat_params(params: Any) -> Any:
    """Flatten the mappings in a section of params, if it is one."""
    return flat(params) if isinstance(params, Mapping) else params


def by_value(value: Value) -> str:
    """Write a value as text by which it is found: 1 and 1.0 have the same."""
    if type(value) is int:  # as most are: of large grids this is a third of the time
        return str(value)
    return _CANONICAL.encode(_with_integers(value))


def matches(entry: Mapping[str, Value], params: Mapping[str, Value]) -> bool:
    """Tell whether each param of an entry has the entry's value, or one of its list."""
    return all(_matches(params[name], pattern) for name, pattern in entry.items())


def _matches(value: Value, pattern: Value) -> bool:
    return by_value(value) in options_of(pattern)


def options_of(pattern: Value) -> list[str]:
    """Write, as `by_value` does, what an entry's value stands for: itself, or those of a list."""
    listed = pattern if isinstance(pattern, tuple) else ()
    return [by_value(pattern), *map(by_value, listed)]


def unknown_value(value: Value, known: Collection[Value]) -> str:
    """Say that a value is none of those known, and suggest a similar one: of numbers a near one."""
    labels = [label(each) for each in known]
    numbers = [each for each in known if type(each) in {int, float}]
    if type(value) not in {int, float} or not numbers:
        return unknown("value", label(value), labels)
    nearest = min(numbers, key=lambda number: abs(number - value))
    is_near = math.isclose(nearest, value, rel_tol=0.1)
    hint = f"; did you mean `{label(nearest)}`?" if is_near else ""
    return f"unknown value `{label(value)}`{hint} (known: {', '.join(labels)})"


def _with_integers(value: Value) -> Value:
    """Replace floats of whole numbers by integers."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _with_integers(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_integers(item) for item in value]
    return value


def is_param_value(value: Value) -> Value:
    """Return a param's value if it is one; raise ValueError otherwise."""
    if isinstance(value, dict):
        raise ValueError("expected a number, string, boolean, null or a list of these")
    if isinstance(value, tuple):
        return tuple(is_param_value(item) for item in value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("expected a finite number")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("expected an integer of at most 64 bits")
    return value


def check_param_name(name: str) -> str:
    """Return the name of a param if it is one; raise ValueError otherwise."""
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", name, re.ASCII):
        raise ValueError("expected a param name: letters, digits and _, nested by dots")
    if columns.is_reserved(name):
        hint = "; replicates go under the top-level `seeds`" if name == "seed" else ""
        raise ValueError(f"`{name}` is reserved for a column of the store or of its tables{hint}")
    if name.partition(".")[0] in {"trial", "params", "seed"}:
        raise ValueError(f"`{name}` is reserved: a command has `{{trial.folder}}` and the like")
    return name


def _word(value: object) -> str:
    if isinstance(value, dict):
        raise ValueError("expected text; put a word that begins with a brace in quotes")
    if not isinstance(value, str):
        raise ValueError("expected text; put numbers, booleans and null in quotes")
    if not value or "\0" in value:
        raise ValueError("expected at least one character, and no zero byte")
    return value


def distinct(values: Collection[Value]) -> tuple[Value, ...]:
    """Return the values of an axis if all differ in value; raise ValueError otherwise."""
    seen: dict[str, Value] = {}
    for value in values:
        key = by_value(value)
        if key in seen and canonical(value) != canonical(seen[key]):
            raise ValueError(
                f"{canonical(seen[key])} and {canonical(value)} are the same number in two types, "
                "which a trainable may tell apart; keep one of them"
            )
        if key in seen:
            raise ValueError(f"the value {label(value)} is repeated")
        seen[key] = value
    return tuple(values)


def check_seeds(seeds: tuple[int, ...]) -> tuple[int, ...]:
    """Return the seeds if they are distinct and fit 64 bits; raise ValueError otherwise."""
    if not seeds:
        raise ValueError("expected at least one seed")
    if any(not 0 <= seed < 2**63 for seed in seeds):
        raise ValueError("expected seeds from 0 to 2^63 - 1")
    return distinct(seeds)


FIRST_CONFIRM_SEED = 1000
"""Of as many confirm seeds as a number says, so that they lie apart from the usual ones."""


def _confirm(value: object) -> tuple[int, ...]:
    """Read confirm seeds: a list, or a number of them."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < FIRST_CONFIRM_SEED:
        return tuple(range(FIRST_CONFIRM_SEED, FIRST_CONFIRM_SEED + value))
    if isinstance(value, tuple) and all(type(seed) is int for seed in value):
        return check_seeds(value)
    raise ValueError(
        f"expected how many seeds, below {FIRST_CONFIRM_SEED:,}, or a list of them, such as "
        f"[{FIRST_CONFIRM_SEED}, {FIRST_CONFIRM_SEED + 1}]"
    )


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _duration(value: object) -> float:
    """Read a time: seconds, or a number with a unit, such as ``90m``."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(min(value, 1e18))
    elif isinstance(value, str) and (match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", value)):
        seconds = float(match[1]) * _UNITS[match[2]]
    else:
        raise ValueError("expected a time such as 90s, 15m, 2h or 1d")
    if not 0 < seconds < math.inf:
        raise ValueError("expected a time above 0")
    return seconds


def _gpus(gpus: float) -> float:
    if gpus > 1 and not gpus.is_integer():
        raise ValueError("expected a fraction below 1 or a whole number of GPUs")
    return gpus


ParamName = Annotated[str, AfterValidator(check_param_name)]
ParamValue = Annotated[Value, PlainValidator(is_param_value)]
Word = Annotated[str, PlainValidator(_word)]
ConfirmSeeds = Annotated[tuple[int, ...], PlainValidator(_confirm)]
Seeds = Annotated[tuple[int, ...], AfterValidator(check_seeds)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Duration = Annotated[float, PlainValidator(_duration)]
Gpus = Annotated[Amount, AfterValidator(_gpus)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
