"""A listing of plain text, and the marks that all tables share."""

from __future__ import annotations

from dataclasses import dataclass

INCOMPLETE = "*"
NOTHING = "—"

Labels = tuple[str, ...]


@dataclass(frozen=True)
class Listing:
    """A table of plain text.

    Attributes:
        title: what it lists.
        header: column headings, shape (columns,).
        rows: texts, shape (rows, columns).
    """

    title: str
    header: Labels
    rows: tuple[Labels, ...]
