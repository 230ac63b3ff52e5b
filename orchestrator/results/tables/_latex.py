"""Writes tables as LaTeX, with booktabs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from orchestrator.results.tables._listing import Listing
from orchestrator.results.tables._pivot import Entry, Pivot

SPECIAL = str.maketrans(
    {char: rf"\{char}" for char in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"†": r"\dag{}", "‡": r"\ddag{}", "—": r"\textemdash{}"}
    | {"`": r"\textasciigrave{}", '"': r"\textquotedbl{}"}
    | {"±": r"$\pm$", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
)

FITTED = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
"""Shrinks a table to the width of the page if it is wider."""


def latex(pivots: Iterable[Pivot]) -> str:
    """Write a document that compiles; each ``table`` in it can be copied into a paper."""
    packages = [r"\usepackage[T1]{fontenc}", r"\usepackage{booktabs,graphicx}"]
    lines = [r"\documentclass{article}", *packages, r"\begin{document}"]
    for pivot in pivots:
        lines += _pivot(pivot)
        for listing in pivot.listings:
            lines += _listing(listing)
    return "\n".join([*lines, r"\end{document}"]) + "\n"


def _pivot(pivot: Pivot) -> list[str]:
    left = len(pivot.corner)
    spans = pivot.spans()
    header = []
    for level, labels in enumerate(spans, start=1):
        corner = map(_escape, pivot.corner) if level == len(spans) else [""] * left
        header.append(_row([*corner, *(_spanning(text, width) for text, width in labels)]))
        if level < len(spans):
            header.append(_rules([width for _, width in labels], left))
    body = [
        _row([*map(_escape, labels), *map(_entry, entries)])
        for labels, entries in zip(pivot.rows, pivot.entries, strict=True)
    ]
    caption = " ".join([f"{pivot.title}.", *pivot.notes])
    return _float(caption, "l" * left + "r" * len(pivot.columns), header, body)


def _listing(listing: Listing) -> list[str]:
    header = [_row(map(_escape, listing.header))]
    body = [_row(map(_escape, row)) for row in listing.rows]
    return _float(f"{listing.title}.", "l" * len(listing.header), header, body)


def _float(caption: str, alignment: str, header: Sequence[str], body: Sequence[str]) -> list[str]:
    return [
        "",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_escape(caption)}}}",
        FITTED,
        rf"\begin{{tabular}}{{{alignment}}}",
        r"\toprule",
        *header,
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
    ]


def _row(cells: Iterable[str]) -> str:
    row = " & ".join(cells) + r" \\"
    return f"{{}}{row}" if row[0] in "[*" else row  # else an argument of the row before


def _spanning(text: str, width: int) -> str:
    return rf"\multicolumn{{{width}}}{{c}}{{{_escape(text)}}}"


def _rules(widths: Sequence[int], left: int) -> str:
    ends = [left + sum(widths[: index + 1]) for index in range(len(widths))]
    pairs = zip(ends, widths, strict=True)
    return "".join(rf"\cmidrule(lr){{{end - width + 1}-{end}}}" for end, width in pairs)


def _entry(entry: Entry | None) -> str:
    if entry is None:
        return ""
    mean = _escape(entry.mean)
    mean = rf"\textbf{{{mean}}}" if entry.bold else mean
    deviation = rf" $\pm$ {entry.std}" if entry.std else ""
    return mean + deviation + _escape(entry.tail)


def _escape(text: str) -> str:
    return re.sub("-(?=-)", "-{}", text.translate(SPECIAL))  # hyphens would join to dashes
