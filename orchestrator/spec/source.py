"""YAML 1.2 text as plain data, with the line on which each key and item stands."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.tokens import (
    BlockEndToken,
    BlockMappingStartToken,
    BlockSequenceStartToken,
    DirectiveToken,
    FlowMappingEndToken,
    FlowMappingStartToken,
    FlowSequenceEndToken,
    FlowSequenceStartToken,
    TagToken,
    Token,
)

from orchestrator.errors import SpecError

Key = tuple[str | int, ...]
"""Where a value stands: ``("search", "lr", 0)`` is the first value of ``search.lr``."""

MAPPING = "the sweep's mapping"
"""Takes the place of a file's name in errors about a mapping from Python."""

MAX_BYTES = 1_000_000
"""More text than any sweep file needs; a file of results or weights is not read whole."""
MAX_NODES = 100_000
"""More values than any sweep file needs; what an alias bomb passes at once."""
MAX_DEPTH = 32
"""More lists and mappings inside each other than any sweep file needs."""

_PREFIX = "tag:yaml.org,2002:"
_OPENING = (
    BlockMappingStartToken,
    BlockSequenceStartToken,
    FlowMappingStartToken,
    FlowSequenceStartToken,
)
_CLOSING = (BlockEndToken, FlowMappingEndToken, FlowSequenceEndToken)


@dataclass(frozen=True)
class Place:
    """A line of a file, or of the text that a mapping from Python is written as."""

    file: str
    line: int

    def __str__(self) -> str:
        return self.file if self.file == MAPPING else f"{self.file}: line {self.line}"


@dataclass(frozen=True)
class Source:
    """The data of one file and where each part of it stands."""

    original: str
    """The text of the file."""
    data: dict[str, Any]
    places: dict[Key, Place]
    quoted_numbers: frozenset[Key]
    integers: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Top-level keys that were given other integers than the file has."""

    @property
    def text(self) -> str:
        """The text of the file, comments and all, with what was given instead of its own."""
        if not self.integers:
            return self.original
        editor = _yaml("rt")
        root = editor.compose(self.original)
        root.value = [
            (key, _integers(self.integers[key.value]) if key.value in self.integers else value)
            for key, value in root.value
        ]
        buffer = io.StringIO()
        editor.serialize(root, buffer)
        return buffer.getvalue()

    def place(self, key: Key) -> Place:
        """Find the line of a key, or of the nearest mapping or list around it."""
        while key not in self.places:
            key = key[:-1]
        return self.places[key]

    def with_integers(self, key: str, values: tuple[int, ...]) -> Source:
        """Replace the value of one top-level key, in the data and in the text."""
        integers = {**self.integers, key: values}
        return replace(self, data={**self.data, key: values}, integers=integers)


def read(path: Path) -> Source:
    """Read one YAML file whose top level is a mapping.

    Raises:
        SpecError: the file is missing, not text, empty, no mapping, or no plain YAML.
    """
    return read_text(_text(path), str(path))


def read_text(text: str, path: str) -> Source:
    """Read the text of a file that is named ``path`` in errors.

    Sequences become tuples, so that what is read is immutable and hashable.

    Raises:
        SpecError: as `read`.
    """
    reader = _yaml("safe")
    try:
        _require_plain(reader.scan(text), path)
        root = reader.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        _fail(path, mark.line if mark else 0, _in_words(error, text, mark.line if mark else 0))
    except ReaderError as error:
        line = text.count("\n", 0, error.position)
        _fail(path, line, "a control character; expected YAML text")
    except (OverflowError, ValueError):  # of `chr`: ruamel leaves these to its callers
        found = re.search(r"\\U(?!000|0010)", text)
        line = text.count("\n", 0, found.start()) if found else 0
        _fail(path, line, "not valid YAML: an escape (`\\U…`) for no character")
    if root is None:
        raise SpecError(f"{path}: line 1: the file is empty; expected a sweep (see the README)")
    if not isinstance(root, MappingNode):
        _fail(path, root.start_mark.line, "expected a mapping of keys such as `name: table1`")
    builder = _Builder(path)
    data = builder.value(root, ())
    return Source(text, data, builder.places, frozenset(builder.quoted_numbers))


def of_mapping(data: Mapping[str, Any]) -> Source:
    """Take a mapping from Python for a file, numpy's scalars for numbers, tuples for lists.

    Raises:
        SpecError: it holds what no YAML file can.
    """
    buffer = io.StringIO()
    YAML(pure=True).dump(_plain(data, ()), buffer)
    return read_text(buffer.getvalue(), MAPPING)


def _plain(value: Any, key: Key) -> Any:
    if len(key) > MAX_DEPTH:
        raise SpecError(f"{MAPPING}: {_TOO_DEEP}")
    if isinstance(value, Mapping):
        return {_plain_key(name, key): _plain(item, (*key, name)) for name, item in value.items()}
    if isinstance(value, list | tuple | range):
        return [_plain(item, (*key, index)) for index, item in enumerate(value)]
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise SpecError(
        f"{MAPPING}: `{dotted(key)}`: expected a number, string, boolean, null, list or mapping; "
        f"got {type(value).__name__}"
    )


def _plain_key(name: object, key: Key) -> str:
    if isinstance(name, str):
        return str(name)
    raise SpecError(f"{MAPPING}: the key {name!r} in `{dotted(key)}` is not a string")


def dotted(key: Key) -> str:
    """Write a key as people do: ``variants[0].search.lr``."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _text(path: Path) -> str:
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


def _yaml(kind: str) -> YAML:
    yaml = YAML(typ=kind, pure=True)
    yaml.composer.warn_double_anchors = False  # YAML lets a later anchor replace an earlier one
    return yaml


def _integers(values: tuple[int, ...]) -> SequenceNode:
    items = [ScalarNode(f"{_PREFIX}int", str(value)) for value in values]
    return SequenceNode(f"{_PREFIX}seq", items, flow_style=True)


def _require_plain(tokens: Iterator[Token], path: str) -> None:
    """Refuse what no sweep file needs, before anything is built from it."""
    depth = 0
    for token in tokens:
        line = token.start_mark.line
        if isinstance(token, TagToken):
            _fail(path, line, "YAML tags (`!…`) are not supported; remove it")
        if isinstance(token, DirectiveToken):
            _fail(path, line, "YAML directives (`%…`) are not supported; remove it")
        depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
        if depth > MAX_DEPTH:
            _fail(path, line, _TOO_DEEP)


def _in_words(error: MarkedYAMLError, text: str, line: int) -> str:
    lines = text.splitlines()
    if line < len(lines) and "\t" in lines[line] and "\\t" in str(error.problem):
        return "a tab; YAML is indented with spaces"
    return f"not valid YAML: {error.problem or error.context}"


_TOO_DEEP = f"more than {MAX_DEPTH} lists and mappings inside each other"


def _fail(path: str, line: int, problem: str) -> NoReturn:
    raise SpecError(f"{Place(path, line + 1)}: {problem}")


class _Builder:
    """Turns YAML nodes into data and notes the line of each part."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.places: dict[Key, Place] = {(): Place(path, 1)}
        self.quoted_numbers: list[Key] = []
        self._count = 0
        self._open: list[Node] = []

    def value(self, node: Node, key: Key) -> Any:
        """Build the value of a node that stands at ``key``."""
        self._count += 1
        line = node.start_mark.line
        if self._count > MAX_NODES:
            _fail(self.path, line, f"more than {MAX_NODES:,} values (each alias `*…` counts)")
        if any(node is outer for outer in self._open):
            _fail(self.path, line, "an alias (`*…`) inside what it stands for")
        if len(self._open) >= MAX_DEPTH:
            _fail(self.path, line, _TOO_DEEP)
        if isinstance(node, ScalarNode):
            return self._scalar(node, key)
        self._open.append(node)
        build = self._mapping if isinstance(node, MappingNode) else self._list
        built = build(node, key)
        self._open.pop()
        return built

    def _list(self, node: Node, key: Key) -> tuple[Any, ...]:
        for index, item in enumerate(node.value):
            self._note((*key, index), item)
        return tuple(self.value(item, (*key, i)) for i, item in enumerate(node.value))

    def _mapping(self, node: Node, key: Key) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for name_node, value_node in node.value:
            line = name_node.start_mark.line
            name = self._key(name_node)
            if name in built:
                first = self.places[(*key, name)].line
                _fail(self.path, line, f"duplicate key `{name}`; it stands in line {first} too")
            self._note((*key, name), name_node)
            built[name] = self.value(value_node, (*key, name))
        return built

    def _key(self, node: Node) -> str:
        line = node.start_mark.line
        if not isinstance(node, ScalarNode):
            _fail(self.path, line, "a list or mapping as a key; expected a name")
        if node.tag != f"{_PREFIX}str":
            _fail(self.path, line, f"the key `{node.value}` is not a name; quote it if it is one")
        name = self._text(node)
        if not name.isprintable():
            _fail(
                self.path, line, f"the key {name!r} is not a name: it has line breaks or the like"
            )
        return name

    def _text(self, node: ScalarNode) -> str:
        text = str(node.value)
        try:
            text.encode()
        except UnicodeEncodeError:
            _fail(self.path, node.start_mark.line, "an escape (`\\u…`) for half a character")
        return text

    def _scalar(self, node: ScalarNode, key: Key) -> int | float | bool | str | None:
        text = self._text(node)
        if node.style in {"'", '"'} and _is_number(text):
            self.quoted_numbers.append(key)
        try:
            match str(node.tag).removeprefix(_PREFIX):
                case "null":
                    return None
                case "bool":
                    return text.lower() == "true"
                case "int":
                    return _integer(text)
                case "float":
                    return _float(text)
                case _:
                    return text
        except ValueError:
            start = f"{text[:20]}…" if len(text) > 20 else text
            _fail(self.path, node.start_mark.line, f"`{start}` is no number of at most 64 bits")

    def _note(self, key: Key, node: Node) -> None:
        self.places[key] = Place(self.path, node.start_mark.line + 1)


def _integer(text: str) -> int:
    """Read a YAML 1.2 integer, in which a leading zero does not mean octal."""
    digits = text.replace("_", "")
    based = digits.lstrip("+-")[:2].lower() in {"0x", "0o", "0b"}
    return int(digits, 0 if based else 10)


def _float(text: str) -> float:
    """Read a YAML 1.2 number, in which infinity is `.inf` and no number `.nan`."""
    digits = text.replace("_", "").lower()
    return float(digits.replace(".inf", "inf").replace(".nan", "nan"))


def _is_number(text: str) -> bool:
    if not any(character.isdigit() for character in text):
        return False
    for read_as in (_integer, _float):
        try:
            read_as(text)
        except ValueError:
            continue
        return True
    return False
