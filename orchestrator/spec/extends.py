"""Sweep files that extend another one and list only the differences."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import SpecError
from orchestrator.nesting import flat
from orchestrator.spec.axes import names_of
from orchestrator.spec.keys import Key
from orchestrator.spec.source import Source, dumped, read

KEY = "extends"
_OF_AXES = {"factors", "search"}
SECTIONS = ("factors", "search", "fixed")
"""Sections that hold params; one that moves to another section or axis leaves its old place."""


def resolve(path: Path) -> Source:
    """Read a sweep file and those that it extends as one.

    Mappings merge key by key; lists and single values replace those of the other file.

    Raises:
        SpecError: as `source.read`, and a file that is missing or extends itself.
    """
    return _resolve(path, ())


def _resolve(path: Path, extending: tuple[Path, ...]) -> Source:
    return extended(read(path), path.parent, (*extending, path.resolve()))


def extended(own: Source, folder: Path, extending: tuple[Path, ...] = ()) -> Source:
    """Merge a sweep file into those that it extends.

    Args:
        own: the file.
        folder: the folder that it is in.
        extending: the files that lead to it, itself included.

    Raises:
        SpecError: as `resolve`.
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
    if target.resolve() in extending:
        raise SpecError(f"{place}: {target} extends this file in turn")
    return _merged(_resolve(target, extending), own)


def _merged(base: Source, own: Source) -> Source:
    changes = _flattened({key: value for key, value in own.data.items() if key != KEY})
    below = _flattened(base.data)
    moved = set(_moved(below, changes))
    unmoved = _without(below, moved)
    data = _merge(unmoved, changes)
    replaced = moved | set(_replaced(unmoved, changes, ()))
    places = {k: p for k, p in base.places.items() if not _is_below(k, replaced)}
    quoted = {k for k in base.quoted_numbers if not _is_below(k, replaced)}
    return Source(
        original=dumped(data),
        data=data,
        places=places | own.places,
        quoted_numbers=frozenset(quoted | own.quoted_numbers),
    )


def _flattened(data: Mapping[str, Any]) -> dict[str, Any]:
    """Write the mappings in sections of params as names with dots, so that these replace those."""
    found = dict(data)
    for section in ("fixed", "added"):
        if isinstance(data.get(section), Mapping):
            with contextlib.suppress(ValueError):  # a name stands twice, which is told later
                found[section] = flat(data[section])
    return found


def _moved(base: Mapping[str, Any], changes: Mapping[str, Any]) -> Iterator[Key]:
    """List the params and axes of the base whose params the changes move to another place."""
    for section, other in itertools.product(SECTIONS, SECTIONS):
        for new, old in itertools.product(
            _mapping(changes.get(section)), _mapping(base.get(other))
        ):
            if (section, new) != (other, old) and {*names_of(str(old))} <= {*names_of(str(new))}:
                yield (other, old)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _without(data: Mapping[str, Any], params: set[Key]) -> dict[str, Any]:
    return {
        section: {n: v for n, v in value.items() if (section, n) not in params}
        if section in SECTIONS and isinstance(value, Mapping)
        else value
        for section, value in data.items()
    }


def _merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(base.get(name), Mapping)
        if both and name in _OF_AXES:  # whose values, also ranges, replace as a whole
            merged[name] = {**base[name], **value}
        else:
            merged[name] = _merge(base[name], value) if both else value
    return merged


def _replaced(base: Mapping[str, Any], changes: Mapping[str, Any], key: Key) -> Iterator[Key]:
    """List the topmost keys whose value comes from the changes alone."""
    for name, value in changes.items():
        if isinstance(value, Mapping) and isinstance(base.get(name), Mapping):
            yield from _replaced(base[name], value, (*key, name))
        else:
            yield (*key, name)


def _is_below(key: Key, replaced: set[Key]) -> bool:
    return any(key[:length] in replaced for length in range(1, len(key) + 1))
