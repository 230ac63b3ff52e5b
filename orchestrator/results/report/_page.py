"""Renders the page from its templates, with style, script and Vega inlined."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import vl_convert
from jinja2 import Environment, PackageLoader

from orchestrator.results.report._charts import DASHES
from orchestrator.results.report._sections import SECTIONS, Content
from orchestrator.results.report._summary import Origin, commands, failures, unfinished
from orchestrator.results.tables import html_listing

if TYPE_CHECKING:
    from orchestrator.results.results import Results

FOLDER = Path(__file__).parent
STYLE = (FOLDER / "page.css").read_text(encoding="utf-8")
SCRIPT = (FOLDER / "page.js").read_text(encoding="utf-8")


def render(results: Results, file: str | Path | None = None) -> str:
    """Render the page about a sweep, which may be unfinished.

    Args:
        results: the results of the sweep.
        file: the sweep file that the page names; by default the store's own copy.

    Raises:
        ShowError: the store lacks a metric or probe that the page shows.
    """
    origin = Origin.of(results, file)
    sections: Content = {}
    for content_of in SECTIONS.values():
        sections |= content_of(results, origin)
    failed = failures(results)
    return (
        _templates()
        .get_template("page.html")
        .render(
            **sections,
            sweep=results.sweep,
            unfinished=unfinished(results),
            failures=html_listing(failed) if failed else None,
            commands=commands(results.sweep, origin),
            file=origin.text,
            style=STYLE,
            script=SCRIPT,
            vega=vega(),
        )
    )


def render_section(name: str, results: Results, file: str | Path | None = None) -> str:
    """Render one of the `SECTIONS` as it stands in the page.

    Args:
        name: the section.
        results: the results of the sweep.
        file: as for `render`.

    Raises:
        ShowError: the store lacks a metric or probe that the section shows.
    """
    content = SECTIONS[name](results, Origin.of(results, file))
    return _templates().get_template(f"{name}.html").render(**content)


@cache
def vega() -> str:
    """Bundle Vega-Lite as a script that sets ``window.vegaEmbed``; it takes a second."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")


@cache
def _templates() -> Environment:
    loader = PackageLoader(__package__, "")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True)
    environment.globals["dashes"] = DASHES
    return environment
