"""The sections of the page that are computed from all finished trials, as HTML."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from html import escape

from orchestrator.errors import ShowError
from orchestrator.labels import label
from orchestrator.results import Results
from orchestrator.results.report import SECTIONS, render_section
from orchestrator.results.tables import Listing, html_listing
from orchestrator.running.status import SweepStatus
from orchestrator.spec import cells
from orchestrator.spec.grid import varied


def rendered(results: Results) -> Iterator[tuple[str, str]]:
    """Render each section in turn: its name, and its HTML, which may say why there is nothing.

    Raises:
        StoreError: the store cannot be read.
    """
    for name, render in _RENDERED.items():
        try:
            yield name, render(results)
        except ShowError as error:
            yield name, f'<h2 id="{name}">{name.title()}</h2>\n<p>{escape(str(error))}</p>'


def _cells(results: Results) -> str:
    """Show how far each cell is, as `orch status` does."""
    names = varied(cells(results.sweep))
    counts = ["seeds", *(["confirmed"] if _confirms(results) else []), "trials"]
    race = ["dropped"] if results.sweep.race else []
    rows = [
        (
            *(label(cell["factors"][name]) for name in names),
            *(f"{cell[count]['done']:,} of {cell[count]['of']:,}" for count in counts),
            *(f"{cell[name]:,}" for name in race),
        )
        for cell in SweepStatus.of(results).as_dict()["cells"]
    ]
    listing = Listing("Finished seeds and trials", (*names, *counts, *race), tuple(rows))
    return (
        f'<h2 id="cells">Cells</h2>\n<div class="wide" tabindex="0">{html_listing(listing)}</div>'
    )


def _confirms(results: Results) -> bool:
    return any(cell.confirm for cell in cells(results.sweep))


def _of_report(name: str) -> Callable[[Results], str]:
    return lambda results: render_section(name, results)


_RENDERED: Mapping[str, Callable[[Results], str]] = {
    "cells": _cells,
    **{name: _of_report(name) for name in SECTIONS},
}
"""The sections, in the order of the page."""
