"""Looking names up in tables, with an error that helps where a name does not exist."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

T = TypeVar("T")


def look_up(what: str, name: object, table: Mapping[str, T]) -> T:
    """The table's entry for a name.

    Raises:
        ValueError: If there is none; it says which exist, and which is nearest.
    """
    if isinstance(name, str) and name in table:
        return table[name]
    raise ValueError(unknown(what, name, table))


def unknown(what: str, name: object, known: Iterable[str]) -> str:
    """The words for a name that does not exist: what was given, the nearest, all there are."""
    names = sorted(known)
    near = get_close_matches(str(name), names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown {what} {name!r}; {hint}there are: {', '.join(names)}"
