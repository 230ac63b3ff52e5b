"""A YAML file as plain data that remembers the file and line of each key and item."""

from __future__ import annotations

import functools
import io
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from orchestrator.errors import SpecError
from orchestrator.spec.keys import Key, dotted
from orchestrator.spec.yaml_nodes import (
    MAX_DEPTH,
    TOO_DEEP,
    Builder,
    YAMLTextError,
    changed_node,
    compose,
    yaml,
)

MAPPING = "the sweep's mapping"
"""Replaces the file's name in errors about a mapping from Python."""

MAX_BYTES = 1_000_000
"""More text than any sweep file needs; a file of results or weights is not read whole."""


@dataclass(frozen=True)
class Place:
    """A line of a file, or of the text that a mapping from Python is written as."""

    file: str
    line: int
    """From 1; 0 of what is in no file."""

    def __str__(self) -> str:
        return f"{self.file}: line {self.line}" if self.line else self.file


@dataclass(frozen=True)
class Source:
    """The data of one file and the place of each part of it."""

    original: str
    """The text of the file."""
    data: dict[str, Any]
    places: dict[Key, Place]
    quoted_numbers: frozenset[Key]
    changes: Mapping[Key, Any] = field(default_factory=dict)
    """Values that replace or extend those of the file."""

    @property
    def text(self) -> str:
        """The text of the file, comments included, with the changed values in it."""
        if not self.changes:
            return self.original
        editor = yaml("rt")
        root = editor.compose(self.original)
        for key, value in self.changes.items():
            root = changed_node(root, key, editor.compose(_as_yaml(value)))
        buffer = io.StringIO()
        editor.serialize(root, buffer)
        return buffer.getvalue()

    def place(self, key: Key) -> Place:
        """Find the line of a key, or of the nearest mapping or list around it."""
        while (key := self.written(key)) not in self.places:
            key = key[:-1]
        return self.places[key]

    def written(self, key: Key) -> Key:
        """Find where the file has a param, whose name with dots may stand in nested mappings."""
        if key in self.places or not isinstance(key[-1], str):
            return key
        parts = key[-1].split(".")
        for at in range(len(parts) - 1, 0, -1):
            outer = (*key[:-1], ".".join(parts[:at]))
            if isinstance(self.get(outer), dict):
                return self.written((*outer, ".".join(parts[at:])))
        return key

    def get(self, key: Key, default: Any = None) -> Any:
        """Return the value at a key, else a default."""
        value: Any = self.data
        for part in key:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return default
        return value

    def with_value(
        self,
        key: Key,
        value: Any,
        place: Place | None = None,
        quoted_numbers: Collection[Key] = (),
    ) -> Source:
        """Replace the value at a key, or add it, in the data and in the text.

        Args:
            key: the key; mappings on the way to it are added.
            value: plain data.
            place: where the value is from, for errors; by default, the file.
            quoted_numbers: where in the value a number is in quotes.

        Raises:
            KeyError: there is no such entry of a list on the way, or no mapping.
        """
        places = self.places
        if place is not None:
            around = dict.fromkeys((key[:n] for n in range(1, len(key) + 1)), place)
            places = {**around, **_outside(places, key), key: place}
            if isinstance(key[-1], int):  # the list is another one
                places[key[:-1]] = place
        return replace(
            self,
            data=changed_data(self.data, key, value),
            places=places,
            changes={**_outside(self.changes, key), key: value},
            quoted_numbers=frozenset(
                {k for k in self.quoted_numbers if k[: len(key)] != key}
                | {(*key, *inner) for inner in quoted_numbers}
            ),
        )


def read(path: Path) -> Source:
    """Read one YAML file whose top level is a mapping.

    Raises:
        SpecError: the file is missing, not text, empty, not a mapping, or not plain YAML.
    """
    return read_text(text_of(path), str(path))


@functools.lru_cache(maxsize=8)  # one command reads a file more than once
def read_text(text: str, path: str) -> Source:
    """Read the text of a file that errors name ``path``.

    Lists become tuples, so that the data is hashable and its lists cannot change.

    Raises:
        SpecError: as `read`.
    """
    builder = Builder()
    try:
        data = builder.value(compose(text), ())
    except YAMLTextError as error:
        _fail(path, error.line, str(error))
    first = 0 if path == MAPPING else 1
    places = {key: Place(path, first and line + 1) for key, line in builder.lines.items()}
    return Source(text, data, places, frozenset(builder.quoted_numbers))


_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""Characters that JSON leaves as they are, and YAML does not."""


def _as_yaml(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _outside(by_key: Mapping[Key, Any], key: Key) -> dict[Key, Any]:
    """Drop what is at a key and below it, which another value replaces."""
    return {k: value for k, value in by_key.items() if k[: len(key)] != key}


def changed_data(data: Any, key: Key, value: Any) -> Any:
    """Replace or add the value at a key, in a copy of the mappings and lists around it.

    Raises:
        KeyError: there is no such entry of a list, or what is around it is neither.
    """
    if not key:
        return value
    part, rest = key[0], key[1:]
    if isinstance(data, tuple) and isinstance(part, int) and 0 <= part < len(data):
        return (*data[:part], changed_data(data[part], rest, value), *data[part + 1 :])
    if data is None or (isinstance(data, Mapping) and isinstance(part, str)):
        return {**(data or {}), part: changed_data((data or {}).get(part), rest, value)}
    raise KeyError(part)


def of_mapping(data: Mapping[str, Any]) -> Source:
    """Read a mapping from Python like a file; numpy scalars and tuples are allowed.

    Raises:
        SpecError: it holds a value that YAML cannot.
    """
    return read_text(dumped(data), MAPPING)


def dumped(data: Mapping[str, Any]) -> str:
    """Write plain data as YAML that is read back as it was.

    Raises:
        SpecError: it holds a value that YAML cannot.
    """
    buffer = io.StringIO()
    YAML(pure=True).dump(_plain(data, ()), buffer)
    return buffer.getvalue()


def _plain(value: Any, key: Key) -> Any:
    if len(key) > MAX_DEPTH:
        raise SpecError(f"{MAPPING}: {TOO_DEEP}")
    if isinstance(value, Mapping):
        return {_plain_name(name, key): _plain(item, (*key, name)) for name, item in value.items()}
    if isinstance(value, list | tuple | range):
        return [_plain(item, (*key, index)) for index, item in enumerate(value)]
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()
    if isinstance(value, str) and _UNSAFE.search(value):
        return DoubleQuotedScalarString(value)  # in which they are escaped
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise SpecError(
        f"{MAPPING}: `{dotted(key)}`: expected a number, string, boolean, null, list or mapping; "
        f"got {type(value).__name__}"
    )


def _plain_name(name: object, key: Key) -> str:
    if isinstance(name, str):
        return str(name)
    around = f" in `{dotted(key)}`" if key else ""
    raise SpecError(f"{MAPPING}: the key {name!r}{around} is not a string")


def text_of(path: Path) -> str:
    """Read the text of a sweep file.

    Raises:
        SpecError: the file is missing or not text.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        text = "" if len(content) > MAX_BYTES else content.decode().replace("\r\n", "\n")
    except FileNotFoundError:
        raise SpecError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise SpecError(f"{path}: is a folder; expected a sweep file") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start)
        _fail(str(path), line, f"not a text file in UTF-8 ({error.reason})")
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror})") from None
    if len(content) > MAX_BYTES:
        _fail(str(path), 0, f"more than {MAX_BYTES:,} bytes; expected a sweep file")
    if "\0" in text:
        _fail(str(path), text[: text.index("\0")].count("\n"), "a binary file; expected YAML text")
    return text


def _fail(path: str, line: int, problem: str) -> NoReturn:
    """Raise an error about a line, counted from 0."""
    raise SpecError(f"{Place(path, line + 1)}: {problem}") from None
