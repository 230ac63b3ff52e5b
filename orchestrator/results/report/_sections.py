"""The content of the page's sections, as their templates take it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator.results.claims.findings import listed, remarks
from orchestrator.results.claims.look_views import looks_listed
from orchestrator.results.figures import Plot
from orchestrator.results.report._charts import chart, has_lines, labels_of
from orchestrator.results.report._summary import Origin, facts
from orchestrator.results.tables import Pivot, html, html_listing

if TYPE_CHECKING:
    from orchestrator.results.results import Results

Content = dict[str, Any]
Noted = TypeVar("Noted", Pivot, Plot)


def _summary(results: Results, origin: Origin) -> Content:
    return {"facts": facts(results, origin)}


def _claims(results: Results, _origin: Origin) -> Content:
    findings = results.claims()
    return {
        "claims": html_listing(listed(findings)) if findings else None,
        "remarks": remarks(findings),
        "looks": [html_listing(looks_listed(finding)) for finding in findings if finding.looks],
        "watched": [_drawn(findings.figure())] if any(f.looks for f in findings) else [],
    }


def _tables(results: Results, _origin: Origin) -> Content:
    tables, notes = _apart(results.tables())
    return {"tables": list(map(html, tables)), "table_notes": notes}


def _figures(results: Results, _origin: Origin) -> Content:
    if not any(selection.best for selection in results.selections):
        return {"figures": []}
    plots, notes = _apart([results.figure(name) for name in results.figures])
    return {"figures": list(map(_drawn, plots)), "figure_notes": notes}


SECTIONS: Mapping[str, Callable[[Results, Origin], Content]] = {
    "summary": _summary,
    "claims": _claims,
    "tables": _tables,
    "figures": _figures,
}
"""What computes each section that the template of its name shows, in the order of the page."""


def _apart(shown: Sequence[Noted]) -> tuple[list[Noted], list[str]]:
    """Take the notes that several tables or figures all have off them."""
    if len(shown) < 2:
        return list(shown), []
    shared = [note for note in shown[0].notes if all(note in each.notes for each in shown)]
    own = [tuple(note for note in each.notes if note not in shared) for each in shown]
    return [replace(each, notes=notes) for each, notes in zip(shown, own, strict=True)], shared


def _drawn(plot: Plot) -> Content:
    labels = labels_of(plot)
    rows = [[(panel, chart(plot, panel)) for panel in row] for row in plot.panels]
    is_drawn = any(spec for row in rows for _, spec in row)
    return {
        "plot": plot,
        "labels": labels if is_drawn and len(labels) > 1 else [],
        "mark": "line" if has_lines(plot) else "area",
        "rows": rows,
    }
