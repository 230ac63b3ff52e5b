"""Text under headings, and the signs that all tables share."""

from __future__ import annotations

from dataclasses import dataclass

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
