"""Keys: where a value is in a YAML file."""

from __future__ import annotations

Key = tuple[str | int, ...]
"""The path to a value: ``("search", "lr", 0)`` is the first value of ``search.lr``."""


def dotted(key: Key) -> str:
    """Write a key as in ``variants[0].search.lr``."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
