"""YAML 1.2 text as plain data, with the line on which each key and item stands."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode
from ruamel.yaml.tokens import TagToken

from orchestrator.errors import SpecError

Key = tuple[str | int, ...]
"""Where a value stands: ``("search", "lr", 0)`` is the first value of ``search.lr``."""

MAX_NODES = 100_000
"""More values than any sweep file needs; what an alias bomb passes at once."""

_PREFIX = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class Place:
    """A line of a file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}: line {self.line}"


@dataclass(frozen=True)
class Source:
    """The data of one file and where each part of it stands."""

    text: str
    data: dict[str, Any]
    places: dict[Key, Place]
    quoted_numbers: frozenset[Key]

    def place(self, key: Key) -> Place:
        """Find the line of a key, or of the nearest mapping or list around it."""
        while key not in self.places:
            key = key[:-1]
        return self.places[key]

    def with_value(self, key: str, value: Any) -> Source:
        """Replace the value of one top-level key, in the data and in the text."""
        editor = YAML()
        document = editor.load(self.text)
        document[key] = value
        buffer = io.StringIO()
        editor.dump(document, buffer)
        return replace(self, text=buffer.getvalue(), data={**self.data, key: value})


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
    reader = YAML(typ="safe", pure=True)
    try:
        for token in reader.scan(text):
            if isinstance(token, TagToken):
                _fail(path, token.start_mark.line, "YAML tags (`!…`) are not supported; remove it")
        root = reader.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        _fail(path, mark.line if mark else 0, _in_words(error, text, mark.line if mark else 0))
    except YAMLError as error:
        raise SpecError(f"{path}: line 1: not a YAML text ({_first_line(error)})") from None
    except RecursionError:
        raise SpecError(f"{path}: line 1: nested too deeply for a sweep file") from None
    if root is None:
        raise SpecError(f"{path}: line 1: the file is empty; expected a sweep (see the README)")
    if not isinstance(root, MappingNode):
        _fail(path, root.start_mark.line, "expected a mapping of keys such as `name: table1`")
    builder = _Builder(path)
    data = builder.value(root, ())
    return Source(text, data, builder.places, frozenset(builder.quoted_numbers))


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SpecError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise SpecError(f"{path}: is a folder; expected a sweep file") from None
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: line 1: not a text file in UTF-8 ({error.reason})") from None
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror})") from None
    if "\0" in text:
        raise SpecError(f"{path}: line 1: a binary file; expected YAML text")
    return text


def _in_words(error: MarkedYAMLError, text: str, line: int) -> str:
    lines = text.splitlines()
    if line < len(lines) and "\t" in lines[line] and "\\t" in str(error.problem):
        return "a tab; YAML is indented with spaces"
    return f"not valid YAML: {error.problem or error.context}"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


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
        if self._count > MAX_NODES or any(node is outer for outer in self._open):
            line = node.start_mark.line
            _fail(self.path, line, f"aliases (`*…`) that expand to more than {MAX_NODES:,} values")
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
        if not isinstance(node, ScalarNode) or node.tag != f"{_PREFIX}str":
            _fail(self.path, node.start_mark.line, f"the key `{node.value}` is not a name")
        return str(node.value)

    def _scalar(self, node: ScalarNode, key: Key) -> int | float | bool | str | None:
        text = str(node.value)
        if node.style in {"'", '"'} and _is_number(text):
            self.quoted_numbers.append(key)
        match str(node.tag).removeprefix(_PREFIX):
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int":
                return _integer(text.replace("_", ""))
            case "float":
                return float(
                    text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan")
                )
            case _:
                return text

    def _note(self, key: Key, node: Node) -> None:
        self.places[key] = Place(self.path, node.start_mark.line + 1)


def _integer(text: str) -> int:
    """Read a YAML 1.2 integer, in which a leading zero does not mean octal."""
    based = text.lstrip("+-")[:2].lower() in {"0x", "0o", "0b"}
    return int(text, 0 if based else 10)


def _number(text: str) -> float:
    """Read a YAML 1.2 number, in which infinity is `.inf` and no number `.nan`."""
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return any(character.isdigit() for character in text)
