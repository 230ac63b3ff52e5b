"""Writes a table as GitHub's Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable

from orchestrator.results.tables._listing import Labels, Listing
from orchestrator.results.tables._pivot import Entry, Pivot


def markdown(pivot: Pivot) -> str:
    """Write a table, its notes and its listings."""
    header = (*pivot.corner, *(", ".join(labels) for labels in pivot.columns))
    rows = [
        (*map(_escape, labels), *map(_entry, entries))
        for labels, entries in zip(pivot.rows, pivot.entries, strict=True)
    ]
    parts = [f"### {_escape(pivot.title)}", _table(header, rows, len(pivot.corner))]
    parts += map(_escape, pivot.notes)
    parts += map(markdown_listing, pivot.listings)
    return "\n\n".join(parts) + "\n"


def markdown_listing(listing: Listing) -> str:
    """Write a listing, without a final line break."""
    rows = [tuple(map(_escape, row)) for row in listing.rows]
    return f"{_escape(listing.title)}:\n\n{_table(listing.header, rows, len(listing.header))}"


def _entry(entry: Entry | None) -> str:
    if entry is None:
        return ""
    text = _escape(str(entry))
    return f"**{text}**" if entry.bold else text


def _table(header: Labels, rows: Iterable[Labels], left: int) -> str:
    """Write escaped rows; the first ``left`` columns are labels, the rest numbers."""
    alignment = ["---"] * left + ["---:"] * (len(header) - left)
    lines = [_line(map(_escape, header)), _line(alignment), *map(_line, rows)]
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


_SPECIAL = re.compile(
    r"[\\|*<>`\[\]~$] | (?<![A-Za-z0-9])_ | _(?![A-Za-z0-9]) | &(?=\#?\w+;) | ^[\#+-](?=\s|$)",
    re.VERBOSE,
)
"""What Markdown takes for more than itself: within a word ``_`` is not."""


def _escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", text)
