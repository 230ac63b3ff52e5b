"""A table as GitHub's Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable

from orchestrator.tables._pivot import Labels, Pivot


def markdown(pivot: Pivot) -> str:
    """Write a table, its notes and the selected search values."""
    header = (*pivot.corner, *(", ".join(labels) for labels in pivot.columns))
    rows = [
        (*labels, *("" if entry is None else str(entry) for entry in entries))
        for labels, entries in zip(pivot.rows, pivot.entries, strict=True)
    ]
    parts = [f"### {_escape(pivot.title)}", _table(header, rows, len(pivot.corner))]
    parts += map(_escape, pivot.notes)
    if pivot.selected:
        header = pivot.selected.header
        parts += ["Selected:", _table(header, pivot.selected.rows, len(header))]
    return "\n\n".join(parts) + "\n"


def _table(header: Labels, rows: Iterable[Labels], left: int) -> str:
    """Write a table whose first ``left`` columns are labels and whose others are numbers."""
    alignment = ["---"] * left + ["---:"] * (len(header) - left)
    lines = [_line(map(_escape, header)), _line(alignment)]
    return "\n".join([*lines, *(_line(map(_escape, row)) for row in rows)])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escape(text: str) -> str:
    return re.sub(r"[\\|*<`]", r"\\\g<0>", text)
