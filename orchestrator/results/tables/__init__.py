"""Tables of the selected configs, in formats for people and for programs.

`show` prints every table of a sweep. It uses `tidy`, which lists one row per cell and value
for `to_csv` and `to_json`, and `pivot`, which lays the same values out in rows and columns
for `print_text`, `markdown`, `latex` and `html`.
"""

from orchestrator.results.tables._html import html, html_listing
from orchestrator.results.tables._latex import latex
from orchestrator.results.tables._listing import Labels, Listing
from orchestrator.results.tables._markdown import markdown, markdown_listing
from orchestrator.results.tables._pivot import Pivot, pivot
from orchestrator.results.tables._published import published_cells
from orchestrator.results.tables._show import Format, Tables, show, tables_of
from orchestrator.results.tables._text import as_text, print_listing, print_text
from orchestrator.results.tables._tidy import tidy, to_csv, to_json

__all__ = [
    "Format",
    "Labels",
    "Listing",
    "Pivot",
    "Tables",
    "as_text",
    "html",
    "html_listing",
    "latex",
    "markdown",
    "markdown_listing",
    "pivot",
    "print_listing",
    "print_text",
    "published_cells",
    "show",
    "tables_of",
    "tidy",
    "to_csv",
    "to_json",
]
