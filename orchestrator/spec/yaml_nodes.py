"""YAML 1.2 text as plain data, with the line of each key and item, within limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

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

from orchestrator.spec.keys import Key

MAX_NODES = 100_000
"""More values than any sweep file needs; an alias bomb exceeds it at once."""
MAX_DEPTH = 32
"""Deeper nesting than any sweep file needs."""
TOO_DEEP = f"lists and mappings are nested more than {MAX_DEPTH} deep"

_PREFIX = "tag:yaml.org,2002:"
_OPENING = (
    BlockMappingStartToken,
    BlockSequenceStartToken,
    FlowMappingStartToken,
    FlowSequenceStartToken,
)
_CLOSING = (BlockEndToken, FlowMappingEndToken, FlowSequenceEndToken)


class YAMLTextError(Exception):
    """The text is not plain YAML with a mapping at the top level."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line
        """From 0, as in ruamel's marks."""


def yaml(kind: str) -> YAML:
    """Make a YAML processor: ``safe`` reads data, ``rt`` keeps comments."""
    processor = YAML(typ=kind, pure=True)
    processor.composer.warn_double_anchors = False  # YAML lets a later anchor replace an earlier
    return processor


_RESOLVER = yaml("safe").resolver
_NUMBERS = {f"{_PREFIX}int", f"{_PREFIX}float"}


def compose(text: str) -> MappingNode:
    """Parse text to its top-level node, and refuse what no sweep file needs.

    Raises:
        YAMLTextError: the text is not plain YAML, or not a mapping.
    """
    reader = yaml("safe")
    try:
        _require_plain(reader.scan(text))
        root = reader.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line if mark else 0
        raise YAMLTextError(line, _syntax_problem(error, text, line)) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position)
        raise YAMLTextError(line, "a control character; expected YAML text") from None
    except (OverflowError, ValueError):  # of `chr`: ruamel does not catch these
        escape = re.search(r"\\U(?!000|0010)", text)
        line = text.count("\n", 0, escape.start()) if escape else 0
        problem = "not valid YAML: an escape (`\\U…`) that is not a character"
        raise YAMLTextError(line, problem) from None
    if root is None:
        raise YAMLTextError(0, "the file is empty; expected a sweep (see the README)")
    if not isinstance(root, MappingNode):
        problem = "expected a mapping of keys such as `name: table1`"
        raise YAMLTextError(root.start_mark.line, problem)
    return root


def _require_plain(tokens: Iterator[Token]) -> None:
    """Refuse tags, directives and deep nesting before any node is built."""
    depth = 0
    for token in tokens:
        line = token.start_mark.line
        if isinstance(token, TagToken):
            raise YAMLTextError(line, "YAML tags (`!…`) are not supported; remove the tag")
        if isinstance(token, DirectiveToken):
            problem = "YAML directives (`%…`) are not supported; remove the directive"
            raise YAMLTextError(line, problem)
        depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
        if depth > MAX_DEPTH:
            raise YAMLTextError(line, TOO_DEEP)


def _syntax_problem(error: MarkedYAMLError, text: str, line: int) -> str:
    lines = text.splitlines()
    if line < len(lines) and "\t" in lines[line] and "\\t" in str(error.problem):
        return "a tab; YAML is indented with spaces"
    return f"not valid YAML: {error.problem or error.context}"


def changed_node(node: Node | None, key: Key, value: Node) -> Node:
    """Replace or add the node at a key; the mappings and lists around it are copies.

    So what other places refer to by an alias stays as it is.
    """
    if not key:
        return value
    part, rest = key[0], key[1:]
    if isinstance(node, SequenceNode) and isinstance(part, int):
        items = list(node.value)
        items[part] = changed_node(items[part], rest, value)
        return SequenceNode(node.tag, items, flow_style=node.flow_style)
    pairs = list(node.value) if isinstance(node, MappingNode) else []
    known = [name.value for name, _ in pairs]
    if part in known:
        index = known.index(part)
        pairs[index] = (pairs[index][0], changed_node(pairs[index][1], rest, value))
    else:
        name = ScalarNode(f"{_PREFIX}str", str(part))
        pairs.append((name, changed_node(None, rest, value)))
    copy = MappingNode(f"{_PREFIX}map", pairs, flow_style=getattr(node, "flow_style", None))
    copy.comment = getattr(node, "comment", None)
    return copy


class Builder:
    """Builds data from YAML nodes and records the line of each part.

    Lists become tuples.
    """

    def __init__(self) -> None:
        self.lines: dict[Key, int] = {(): 0}
        self.quoted_numbers: list[Key] = []
        self._count = 0
        self._open: list[Node] = []

    def value(self, node: Node, key: Key) -> Any:
        """Build the value of the node at ``key``.

        Raises:
            YAMLTextError: the node, or one inside it, is not plain data within the limits.
        """
        self._count += 1
        line = node.start_mark.line
        if self._count > MAX_NODES:
            raise YAMLTextError(line, f"more than {MAX_NODES:,} values (each alias `*…` counts)")
        if any(node is outer for outer in self._open):
            raise YAMLTextError(line, "an alias (`*…`) inside the value that it refers to")
        if len(self._open) >= MAX_DEPTH:
            raise YAMLTextError(line, TOO_DEEP)
        if isinstance(node, ScalarNode):
            return self._scalar(node, key)
        self._open.append(node)
        build = self._mapping if isinstance(node, MappingNode) else self._list
        built = build(node, key)
        self._open.pop()
        return built

    def _list(self, node: Node, key: Key) -> tuple[Any, ...]:
        for index, item in enumerate(node.value):
            self.lines[(*key, index)] = item.start_mark.line
        return tuple(self.value(item, (*key, i)) for i, item in enumerate(node.value))

    def _mapping(self, node: Node, key: Key) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for name_node, value_node in node.value:
            line = name_node.start_mark.line
            name = _name(name_node)
            if name in built:
                first = self.lines[(*key, name)] + 1
                raise YAMLTextError(line, f"duplicate key `{name}`; it is also in line {first}")
            self.lines[(*key, name)] = line
            built[name] = self.value(value_node, (*key, name))
        return built

    def _scalar(self, node: ScalarNode, key: Key) -> int | float | bool | str | None:
        text = _text(node)
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
            problem = f"`{start}` is not a number of at most 64 bits"
            raise YAMLTextError(node.start_mark.line, problem) from None


def _name(node: Node) -> str:
    line = node.start_mark.line
    if not isinstance(node, ScalarNode):
        raise YAMLTextError(line, "a list or mapping as a key; expected a name")
    if node.tag == f"{_PREFIX}merge":
        problem = "`<<` merges keys in YAML 1.1 only; write the keys out, or see `extends`"
        raise YAMLTextError(line, problem)
    if node.tag != f"{_PREFIX}str":
        problem = f"the key `{node.value}` is not a name; quote it if it is one"
        raise YAMLTextError(line, problem)
    name = _text(node)
    if not name.isprintable():
        problem = f"the key {name!r} is not a name: it has line breaks or unprintable characters"
        raise YAMLTextError(line, problem)
    return name


def _text(node: ScalarNode) -> str:
    text = str(node.value)
    try:
        text.encode()
    except UnicodeEncodeError:
        problem = "an escape (`\\u…`) for half a character"
        raise YAMLTextError(node.start_mark.line, problem) from None
    return text


def _integer(text: str) -> int:
    """Read a YAML 1.2 integer, in which a leading zero does not mean octal."""
    digits = text.replace("_", "")
    based = digits.lstrip("+-")[:2].lower() in {"0x", "0o", "0b"}
    return int(digits, 0 if based else 10)


def _float(text: str) -> float:
    """Read a YAML 1.2 number, in which infinity is ``.inf`` and not-a-number ``.nan``."""
    digits = text.replace("_", "").lower()
    return float(digits.replace(".inf", "inf").replace(".nan", "nan"))


def _is_number(text: str) -> bool:
    """Tell whether text is a number where it is not in quotes."""
    if not any(character.isdigit() for character in text):
        return False
    return str(_RESOLVER.resolve(ScalarNode, text, (True, False))) in _NUMBERS
