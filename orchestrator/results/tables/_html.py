"""A table as a fragment of HTML, accessible and without style of its own."""

from __future__ import annotations

from html import escape

from orchestrator.results.tables._listing import Listing
from orchestrator.results.tables._pivot import Entry, Pivot


def html(pivot: Pivot) -> str:
    """Write a section: the table, its notes and its listings.

    Each value has its seeds' values beside it, in an element of class ``seeds`` that is
    hidden, and its mean as stored in ``data-value``, for a page that sorts and switches.
    """
    parts = [
        "<section>",
        f"<table>\n<caption>{escape(pivot.title)}</caption>",
        f"<thead>\n{_header(pivot)}\n</thead>\n<tbody>",
        *(
            f"<tr>{''.join(map(_label, labels))}{''.join(map(_entry, entries))}</tr>"
            for labels, entries in zip(pivot.rows, pivot.entries, strict=True)
        ),
        "</tbody>\n</table>\n<ul>",
        *(f"<li>{escape(note)}</li>" for note in pivot.notes),
        "</ul>",
        *map(html_listing, pivot.listings),
        "</section>",
    ]
    return "\n".join(parts) + "\n"


def _header(pivot: Pivot) -> str:
    spans = pivot.spans()
    corner = [f'<th scope="col" rowspan="{len(spans)}">{escape(n)}</th>' for n in pivot.corner]
    lines = []
    for level, labels in enumerate(spans):
        scope = "col" if level == len(spans) - 1 else "colgroup"
        cells = [
            f'<th scope="{scope}" colspan="{width}">{escape(text)}</th>' for text, width in labels
        ]
        lines.append(f"<tr>{''.join(corner if level == 0 else [])}{''.join(cells)}</tr>")
    return "\n".join(lines)


def _label(text: str) -> str:
    return f'<th scope="row">{escape(text)}</th>'


def _entry(entry: Entry | None) -> str:
    if entry is None:
        return "<td></td>"
    mean = escape(entry.mean)
    mean = f"<strong>{mean}</strong>" if entry.bold else mean
    deviation = f" ± {entry.std}" if entry.std else ""
    return (
        f'<td data-value="{entry.value}"><span class="mean">{mean}{deviation}{entry.tail}</span>'
        f'<span class="seeds" hidden="">{", ".join(entry.seeds)}</span></td>'
    )


def html_listing(listing: Listing) -> str:
    """Write a listing as a table of its own."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in listing.header)
    rows = ["".join(f"<td>{escape(text)}</td>" for text in row) for row in listing.rows]
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return (
        f"<table>\n<caption>{escape(listing.title)}</caption>\n"
        f"<thead>\n<tr>{head}</tr>\n</thead>\n<tbody>\n{body}\n</tbody>\n</table>"
    )
