"""The page: sections in a template, with style, script and Vega inlined."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import vl_convert
from jinja2 import Environment, FileSystemLoader

from orchestrator.results.claims import judge
from orchestrator.results.figures import Frames, Plot, default_figures, plot
from orchestrator.results.findings import listed, remarks
from orchestrator.results.report._charts import chart
from orchestrator.results.report._summary import Origin, commands, facts, failures
from orchestrator.results.selection import CellSelection, select
from orchestrator.results.tables import html, html_listing, pivots
from orchestrator.spec.model import Sweep

FOLDER = Path(__file__).parent


def render(sweep: Sweep, frames: Frames, origin: Origin) -> str:
    """Write the page about a sweep, finished or not.

    Args:
        sweep: the sweep, with the seeds asked for.
        frames: the store's tables.
        origin: where it all comes from.

    Raises:
        ShowError: the store lacks a metric or probe that is asked for.
    """
    selections = select(sweep, frames.trials)
    findings = judge(sweep, selections, frames.trials, frames.probes)
    tables = pivots(sweep, selections, frames.trials, frames.probes)
    failed = failures(sweep, frames.trials, origin)
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True)
    return environment.get_template("page.html").render(
        sweep=sweep,
        facts=facts(sweep, frames.trials, origin),
        claims=html_listing(listed(findings)) if findings else None,
        remarks=remarks(findings),
        tables=list(map(html, tables)),
        figures=_figures(sweep, selections, frames),
        failures=html_listing(failed) if failed else None,
        commands=commands(sweep, origin),
        file=origin.text,
        style=(FOLDER / "page.css").read_text(encoding="utf-8"),
        script=(FOLDER / "page.js").read_text(encoding="utf-8"),
        vega=vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"),
    )


def _figures(
    sweep: Sweep, selections: Sequence[CellSelection], frames: Frames
) -> list[dict[str, Any]]:
    if not any(selection.best for selection in selections):
        return []
    plots = [
        plot(sweep, figure, selections, frames) for figure in default_figures(sweep, frames.probes)
    ]
    return [
        {
            "plot": shown,
            "labels": _labels(shown),
            "rows": [[(panel, chart(shown, panel)) for panel in row] for row in shown.panels],
        }
        for shown in plots
    ]


def _labels(shown: Plot) -> list[str]:
    """List the series of all panels, if there are several to tell apart."""
    found = dict.fromkeys(
        series.label for row in shown.panels for panel in row for series in panel.series
    )
    return list(found) if len(found) > 1 else []
