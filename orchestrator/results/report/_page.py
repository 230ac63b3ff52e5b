"""Renders the page from its template, with style, script and Vega inlined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vl_convert
from jinja2 import Environment, PackageLoader

from orchestrator.results.claims.findings import listed, remarks
from orchestrator.results.claims.watching import looks_listed
from orchestrator.results.figures import Plot
from orchestrator.results.report._charts import DASHES, chart, has_lines, labels_of
from orchestrator.results.report._summary import Origin, commands, facts, failures, unfinished
from orchestrator.results.tables import Pivot, html, html_listing

if TYPE_CHECKING:
    from orchestrator.results.results import Results

FOLDER = Path(__file__).parent


def render(results: Results, file: str | Path | None = None) -> str:
    """Render the page about a sweep, which may be unfinished.

    Args:
        results: the results of the sweep.
        file: the sweep file that the page names; by default the store's own copy.

    Raises:
        ShowError: the store lacks a metric or probe that the page shows.
    """
    origin = Origin.of(results, file)
    findings = results.claims()
    tables, shared_notes = _apart(results.tables())
    failed = failures(results)
    loader = PackageLoader(__package__, "")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True)
    return environment.get_template("page.html").render(
        sweep=results.sweep,
        unfinished=unfinished(results),
        facts=facts(results, origin),
        claims=html_listing(listed(findings)) if findings else None,
        remarks=remarks(findings),
        looks=[html_listing(looks_listed(finding)) for finding in findings if finding.looks],
        watched=[_figure(findings.figure())] if any(f.looks for f in findings) else [],
        tables=list(map(html, tables)),
        shared_notes=shared_notes,
        figures=_figures(results),
        dashes=DASHES,
        failures=html_listing(failed) if failed else None,
        commands=commands(results.sweep, origin),
        file=origin.text,
        style=(FOLDER / "page.css").read_text(encoding="utf-8"),
        script=(FOLDER / "page.js").read_text(encoding="utf-8"),
        vega=vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"),
    )


def _apart(tables: Sequence[Pivot]) -> tuple[list[Pivot], list[str]]:
    """Take the notes that all tables have off them, if there are several tables."""
    if len(tables) < 2:
        return list(tables), []
    shared = [note for note in tables[0].notes if all(note in table.notes for table in tables)]
    own = [tuple(note for note in table.notes if note not in shared) for table in tables]
    return [replace(t, notes=notes) for t, notes in zip(tables, own, strict=True)], shared


def _figures(results: Results) -> list[dict[str, Any]]:
    if not any(selection.best for selection in results.selections):
        return []
    return [_figure(results.figure(name)) for name in results.figures]


def _figure(plot: Plot) -> dict[str, Any]:
    labels = labels_of(plot)
    rows = [[(panel, chart(plot, panel)) for panel in row] for row in plot.panels]
    is_drawn = any(spec for row in rows for _, spec in row)
    return {
        "plot": plot,
        "labels": labels if is_drawn and len(labels) > 1 else [],
        "mark": "line" if has_lines(plot) else "area",
        "rows": rows,
    }
