"""Writes a table as accessible HTML without styles."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from orchestrator.results.tables._listing import Listing

if TYPE_CHECKING:
    from orchestrator.results.tables._pivot import Pivot


def html(pivot: Pivot) -> str:
    """Write a section with the table, its notes and its listings.

    For the report's sorting and its switch to single seeds, each entry has the stored mean in
    ``data-value`` and the values of its seeds in a hidden element of class ``seeds``.
    """
    return f"{_macros().pivot_section(pivot)}\n"


def html_listing(listing: Listing) -> str:
    """Write a listing as a table."""
    return str(_macros().listing_table(listing))


@cache
def _macros() -> Any:
    """Compile the template; jinja2 is imported only when HTML is written."""
    from jinja2 import Environment, PackageLoader

    loader = PackageLoader(__package__, "")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("table.html").module
