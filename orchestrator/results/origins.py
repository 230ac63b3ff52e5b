"""What trials ran: compares their code and their packages, as far as they have them in common."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache
from itertools import combinations
from typing import Any, NamedTuple

from orchestrator.store.archives import Archives


class Origin(NamedTuple):
    """What one trial ran.

    Attributes:
        code: digest of its code.
        environment: digest of its packages; None if they are not known.
    """

    code: str
    environment: str | None


class Origins:
    """Compares what trials ran; only digests that differ are read from the store, once."""

    def __init__(self, archives: Archives) -> None:
        self._read = cache(archives.read)
        self._listed = cache(archives.environment)
        self._code = cache(self._code_difference)
        self._packages = cache(self._package_differences)

    def other_code(self, origins: Collection[Origin]) -> list[str]:
        """Name files that two of the trials both had, in versions that mean different things."""
        pairs = combinations(sorted({origin.code for origin in origins}), 2)
        return sorted({name for pair in pairs if (name := self._code(*pair))})

    def other_packages(self, origins: Collection[Origin]) -> list[str]:
        """Name packages that two of the trials both had loaded, in different versions."""
        digests = sorted({origin.environment for origin in origins if origin.environment})
        return sorted({name for pair in combinations(digests, 2) for name in self._packages(*pair)})

    def _code_difference(self, one: str, other: str) -> str | None:
        first, second = self._read(one), self._read(other)
        return first.difference_from(second) if first and second else None

    def _package_differences(self, one: str, other: str) -> tuple[str, ...]:
        first, second = self._listed(one), self._listed(other)
        return other_versions(first, second) if first and second else ()


def other_versions(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, ...]:
    """Name what two environments both list, in different versions."""
    first, second = ({"Python": each["python"], **each["packages"]} for each in (one, other))
    common = first.keys() & second.keys()
    return tuple(sorted(name for name in common if first[name] != second[name]))
