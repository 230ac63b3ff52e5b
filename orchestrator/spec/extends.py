"""A sweep file that says only how it differs from another one."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from orchestrator.errors import SpecError
from orchestrator.spec.source import Key, Source, read

KEY = "extends"
SECTIONS = ("factors", "search", "fixed")
"""Where a param may stand; one that moves leaves its old place."""


def resolve(path: Path) -> Source:
    """Read a sweep file and those that it extends as one.

    Mappings merge key by key; lists and single values replace what the other file has.

    Raises:
        SpecError: as `source.read`, and for a file that is missing or extends itself.
    """
    return _resolve(path, ())


def _resolve(path: Path, below: tuple[Path, ...]) -> Source:
    return extended(read(path), path.parent, (*below, path.resolve()))


def extended(own: Source, folder: Path, below: tuple[Path, ...] = ()) -> Source:
    """Join a sweep file with those that it extends.

    Args:
        own: the file.
        folder: where it lies.
        below: the files that extend it, and itself.
    """
    if KEY not in own.data:
        return own
    place = f"{own.place((KEY,))}: `{KEY}`"
    name = own.data[KEY]
    if not isinstance(name, str):
        raise SpecError(f"{place}: expected the path of another sweep file, relative to this one")
    if "name" not in own.data:
        raise SpecError(f"{place}: a file that extends another needs a `name` of its own")
    target = folder / name
    if not target.is_file():
        raise SpecError(f"{place}: there is no file {target}")
    if target.resolve() in below:
        raise SpecError(f"{place}: {target} extends this file in turn")
    return _merged(_resolve(target, below), own)


def _merged(base: Source, own: Source) -> Source:
    changes = {key: value for key, value in own.data.items() if key != KEY}
    moved = set(_moved(base.data, changes))
    kept = _without(base.data, moved)
    data = _merge(kept, changes)
    replaced = moved | set(_replaced(kept, changes, ()))
    places = {k: p for k, p in base.places.items() if not _is_below(k, replaced)}
    quoted = {k for k in base.quoted_numbers if not _is_below(k, replaced)}
    return Source(
        original=_dump(data),
        data=data,
        places=places | own.places,
        quoted_numbers=frozenset(quoted | own.quoted_numbers),
    )


def _moved(base: Mapping[str, Any], changes: Mapping[str, Any]) -> Iterator[Key]:
    """Find the params of the base that the changes put into another section."""
    for section in SECTIONS:
        for name in _mapping(changes.get(section)):
            for other in SECTIONS:
                if other != section and name in _mapping(base.get(other)):
                    yield (other, name)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _without(data: Mapping[str, Any], keys: set[Key]) -> dict[str, Any]:
    return {
        section: {n: v for n, v in value.items() if (section, n) not in keys}
        if section in SECTIONS and isinstance(value, Mapping)
        else value
        for section, value in data.items()
    }


def _merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(base.get(name), Mapping)
        merged[name] = _merge(base[name], value) if both else value
    return merged


def _replaced(base: Mapping[str, Any], changes: Mapping[str, Any], key: Key) -> Iterator[Key]:
    for name, value in changes.items():
        if isinstance(value, Mapping) and isinstance(base.get(name), Mapping):
            yield from _replaced(base[name], value, (*key, name))
        else:
            yield (*key, name)


def _is_below(key: Key, replaced: set[Key]) -> bool:
    return any(key[: length + 1] in replaced for length in range(len(key)))


def _dump(data: Mapping[str, Any]) -> str:
    """Write the merged data as YAML, in the order of its keys."""
    buffer = io.StringIO()
    writer = YAML()
    writer.dump(json.loads(json.dumps(data)), buffer)
    return buffer.getvalue()
