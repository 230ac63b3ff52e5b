"""Names of params with dots, and the nested mappings that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def nested(params: Mapping[str, Any]) -> dict[str, Any]:
    """Turn names with dots into nested mappings: ``optim.lr`` into ``optim: {lr: …}``."""
    found: dict[str, Any] = {}
    for name, value in params.items():
        inner = found
        *outer, leaf = name.split(".")
        for part in outer:
            inner = inner.setdefault(part, {})
        inner[leaf] = value
    return found


def flat(params: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn nested mappings into names with dots, as opposed to `nested`.

    Raises:
        ValueError: a name stands twice.
    """
    found: dict[str, Any] = {}
    for key, value in params.items():
        name = f"{prefix}{key}"
        has_params = isinstance(value, Mapping) and value
        inner = flat(value, f"{name}.") if has_params else {name: value}
        if twice := found.keys() & inner.keys():
            raise ValueError(f"`{min(twice)}` stands twice, with dots and in a mapping")
        found |= inner
    return found
