"""Lookup of names in tables, with helpful errors for unknown names."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

T = TypeVar("T")


def look_up(what: str, name: object, table: Mapping[str, T]) -> T:
    """The table's entry for a name.

    Raises:
        ValueError: If there is none; the message lists the known names and the nearest one.
    """
    if isinstance(name, str) and name in table:
        return table[name]
    raise ValueError(unknown(what, name, table))


def unknown(what: str, name: object, known: Iterable[str]) -> str:
    """The message for an unknown name: the name, the nearest known one, and all known ones."""
    names = sorted(known)
    near = get_close_matches(str(name), names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown {what} {name!r}; {hint}choose from: {', '.join(names)}"
