"""Renders the page from its template, with style, script and Vega inlined."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import vl_convert
from jinja2 import Environment, PackageLoader

from orchestrator.results.claims.findings import listed, remarks
from orchestrator.results.claims.watching import looks_listed
from orchestrator.results.figures import Plot
from orchestrator.results.report._charts import chart
from orchestrator.results.report._summary import Origin, commands, facts, failures
from orchestrator.results.tables import html, html_listing

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
    failed = failures(results)
    loader = PackageLoader(__package__, "")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True)
    return environment.get_template("page.html").render(
        sweep=results.sweep,
        facts=facts(results, origin),
        claims=html_listing(listed(findings)) if findings else None,
        remarks=remarks(findings),
        looks=[html_listing(looks_listed(finding)) for finding in findings if finding.looks],
        watched=[_figure(findings.figure())] if any(f.looks for f in findings) else [],
        tables=list(map(html, results.tables())),
        figures=_figures(results),
        failures=html_listing(failed) if failed else None,
        commands=commands(results.sweep, origin),
        file=origin.text,
        style=(FOLDER / "page.css").read_text(encoding="utf-8"),
        script=(FOLDER / "page.js").read_text(encoding="utf-8"),
        vega=vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"),
    )


def _figures(results: Results) -> list[dict[str, Any]]:
    if not any(selection.best for selection in results.selections):
        return []
    return [_figure(results.figure(name)) for name in results.figures]


def _figure(plot: Plot) -> dict[str, Any]:
    return {
        "plot": plot,
        "labels": _labels(plot),
        "rows": [[(panel, chart(plot, panel)) for panel in row] for row in plot.panels],
    }


def _labels(plot: Plot) -> list[str]:
    """List the labels of the series of all panels; none if there is only one."""
    labels = dict.fromkeys(
        series.label for row in plot.panels for panel in row for series in panel.series
    )
    return list(labels) if len(labels) > 1 else []
