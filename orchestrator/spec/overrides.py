"""Values that the command line sets instead of a sweep file's: ``fixed.epochs=3``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import InputError, SpecError
from orchestrator.spec.axes import names_of
from orchestrator.spec.keys import Key
from orchestrator.spec.source import Place, Source, read_text

OPTION = "--set"

_PARAMS = {"factors", "search", "fixed", "when", "where", "exclude", "added", "compare"}
"""Sections after whose name the rest of a key is the name of one param."""


@dataclass(frozen=True)
class Override:
    """A value for one key.

    Attributes:
        key: the key.
        value: plain data, lists as tuples.
        typed: as the user wrote it.
        quoted_numbers: where in the value a number is in quotes.
        option: the option that it was written behind.
    """

    key: Key
    value: Any
    typed: str
    quoted_numbers: frozenset[Key] = frozenset()
    option: str = OPTION

    def __str__(self) -> str:
        return f"{self.option} {self.typed}"

    @classmethod
    def parse(cls, text: str, option: str = OPTION) -> Override:
        """Parse ``KEY=VALUE``, whose value is YAML, typed behind an option.

        Raises:
            InputError: it has no key, or its value is no YAML.
        """
        name, equals, written = text.partition("=")
        if not (equals and name.strip()):
            raise InputError(f"{option} {text}: expected KEY=VALUE, such as fixed.epochs=3")
        try:
            read = read_text(f"value: {written}", "")
        except SpecError as error:
            problem = str(error).partition(": ")[2].removeprefix("line 1: ")
            raise InputError(f"{option} {text}: {problem}") from None
        if len(read.data) > 1:
            raise InputError(f"{option} {text}: expected one value; put text with lines in quotes")
        quoted = frozenset(key[1:] for key in read.quoted_numbers)
        return cls(_key(name.strip()), read.data["value"], text, quoted, option)


def _key(name: str) -> Key:
    """Split a key at its dots, up to the name of a param; numbers are positions in lists."""
    parts = name.split(".")
    for index, part in enumerate(parts):
        if part in _PARAMS:
            # Entries of `exclude`, and of a `compare` of two mappings, come by their positions.
            first = index + 1 + any(map(_is_position, parts[index + 1 : index + 2]))
            if parts[first:]:
                parts[first:] = [".".join(parts[first:])]
            break
    return tuple(int(part) if _is_position(part) else part for part in parts)


def _is_position(part: str) -> bool:
    return part.isascii() and part.isdecimal()


def overridden(source: Source, overrides: Iterable[Override]) -> Source:
    """Set values in a sweep file.

    Raises:
        InputError: a key leads to no entry of a list, or into a value.
    """
    for each in overrides:
        place = Place(str(each), 0)
        try:
            key = _written(source, each.key)
            source = source.with_value(key, each.value, place, each.quoted_numbers)
        except KeyError as error:
            raise InputError(f"{place}: there is no `{error.args[0]}` to change") from None
    return source


def _written(source: Source, key: Key) -> Key:
    """Find where the file has a key: an axis of several params also if other blanks are in it."""
    *around, name = source.written(key)
    section = source.get(tuple(around))
    if isinstance(name, str) and "," in name and isinstance(section, Mapping):
        name = next((axis for axis in section if names_of(axis) == names_of(name)), name)
    return (*around, name)
