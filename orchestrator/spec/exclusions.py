"""What a sweep excludes, compiled so that hundreds of entries cost a cell no more than one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence

from orchestrator.spec.values import Value, by_value, matches, options_of

_MOST = 1000
"""Combinations of an entry's values that are looked up; an entry of more is compared by itself."""


class Exclusions:
    """Tells which params some entries exclude.

    Args:
        entries: of ``exclude``.
    """

    def __init__(self, entries: Sequence[Mapping[str, Value]]) -> None:
        self._entries = entries
        self._combinations: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
        self._wide: list[Mapping[str, Value]] = []
        for entry in entries:
            options = list(map(options_of, entry.values()))
            if math.prod(map(len, options)) > _MOST:
                self._wide.append(entry)
            else:
                found = self._combinations.setdefault(tuple(entry), set())
                found.update(itertools.product(*options))

    def include(self, params: Mapping[str, Value]) -> bool:
        """Tell whether an entry excludes these params."""
        return any(
            tuple(by_value(params[name]) for name in names) in found
            for names, found in self._combinations.items()
        ) or any(matches(entry, params) for entry in self._wide)

    def about(self, names: Collection[str]) -> Exclusions:
        """Keep the entries about no other params than these."""
        return Exclusions([entry for entry in self._entries if entry.keys() <= set(names)])
