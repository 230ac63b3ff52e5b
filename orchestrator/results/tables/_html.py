"""A table as a fragment of HTML, accessible and without style of its own."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from orchestrator.results.tables._listing import Listing

if TYPE_CHECKING:
    from orchestrator.results.tables._pivot import Pivot


def html(pivot: Pivot) -> str:
    """Write a section: the table, its notes and its listings.

    Each value has its seeds' values beside it, in an element of class ``seeds`` that is
    hidden, and its mean as stored in ``data-value``, for a page that sorts and switches.
    """
    return f"{_macros().pivot(pivot)}\n"


def html_listing(listing: Listing) -> str:
    """Write a listing as a table of its own."""
    return str(_macros().listing(listing))


@cache
def _macros() -> Any:
    """Compile the template; jinja2 is imported only where a page is written."""
    from jinja2 import Environment, PackageLoader

    loader = PackageLoader(__package__, "")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("table.html").module
