"""Words and signs that all tables share."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.sweep import Value, canonical

INCOMPLETE = "*"
NOTHING = "—"

Labels = tuple[str, ...]


@dataclass(frozen=True)
class Listing:
    """Plain text under headings.

    Attributes:
        title: what it lists.
        header: shape (columns,).
        rows: shape (rows, columns).
    """

    title: str
    header: Labels
    rows: tuple[Labels, ...]


def label(value: Value) -> str:
    """Write a param's value as the sweep file does."""
    return value if isinstance(value, str) else canonical(value)
