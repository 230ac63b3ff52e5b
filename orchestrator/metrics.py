"""What a metric is: a number, a boolean or None, under a name; a mapping inside becomes ``a/b``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_NO_NUMBERS = ("c", "U", "S", "M", "m")
"""Kinds of numpy's dtypes of which float() takes the text, or the real part, for a number."""


def storable(name: str) -> str:
    """Write a name so that a file can hold it: a name that is no UTF-8 with escapes.

    Python has such names of files whose bytes are no UTF-8. Two names stay two.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        return name.replace("\\", "\\\\").encode(errors="backslashreplace").decode()
    return name


def leaves(mapping: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    """List the values of a mapping that may be nested, by their names."""
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}/")
        else:
            yield storable(f"{prefix}{key}"), value


def number(name: str, value: object, *, given_by: str) -> float | None:
    """Return a metric's value as a float; None where it has none.

    Args:
        name: the metric's name.
        value: a number of Python, numpy or torch, a boolean or None.
        given_by: begins the error's message, such as "the trainable yielded".

    Raises:
        TypeError: the value is nothing of that.
    """
    if value is None:
        return None
    dtype = getattr(value, "dtype", None)  # of scalars of numpy and torch
    if hasattr(value, "__float__") and getattr(dtype, "kind", "") not in _NO_NUMBERS:
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError):
            pass  # arrays of several numbers, integers beyond 1e308
        except RuntimeError as error:
            if "converted to Scalar" not in str(error):  # torch's, of a tensor of several numbers
                raise
    raise TypeError(
        f"{given_by} `{name}` as {described(value)}; a metric is a number, a boolean, None, or a "
        "mapping of these"
    )


def described(value: object) -> str:
    """Show a value that is no metric, briefly, and its type."""
    text = " ".join(repr(value).split())
    shown = text if len(text) <= 60 else f"{text[:57]}..."
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    return f"{shown} of type {kind}"
