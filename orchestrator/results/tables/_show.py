"""Prints every table of a sweep in one format."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from rich.console import Console

from orchestrator.results.tables._html import html
from orchestrator.results.tables._latex import latex
from orchestrator.results.tables._listing import Listing
from orchestrator.results.tables._markdown import markdown
from orchestrator.results.tables._pivot import Pivot, pivot
from orchestrator.results.tables._text import print_text
from orchestrator.results.tables._tidy import to_csv, to_json

if TYPE_CHECKING:
    from orchestrator.results.results import Results

Format = Literal["text", "markdown", "latex", "html", "csv", "json"]


class Tables(list[Pivot]):
    """The tables of a sweep, displayed one below the other."""

    def __repr__(self) -> str:
        return "\n\n".join(map(repr, self))

    def _repr_html_(self) -> str:
        return "".join(map(html, self))


def show(results: Results, console: Console, format_: Format = "text") -> None:
    """Print every table of a sweep.

    Args:
        results: the results of the sweep.
        console: where to print; only ``text`` uses its width and styles.
        format_: ``csv`` and ``json`` write one tidy table, the others each table by itself.

    Raises:
        ShowError: the store lacks a metric or probe that a table shows.
    """
    match format_:
        case "csv":
            console.file.write(to_csv(results.tidy()))
        case "json":
            console.file.write(to_json(results.tidy()))
        case "markdown":
            console.file.write("\n".join(map(markdown, results.tables())))
        case "latex":
            console.file.write(latex(results.tables()))
        case "html":
            console.file.write("".join(map(html, results.tables())))
        case _:
            for table in results.tables():
                print_text(table, console)


def tables_of(results: Results) -> Tables:
    """Lay out every table of a sweep; a listing below several of them is kept for the first only.

    Raises:
        ShowError: the store lacks a metric or probe that a table shows.
    """
    listed: list[Listing] = []
    tables = Tables()
    for table in results.sweep.tables:
        whole = pivot(results, table)
        new = tuple(listing for listing in whole.listings if listing not in listed)
        tables.append(replace(whole, listings=new))
        listed += whole.listings
    return tables
