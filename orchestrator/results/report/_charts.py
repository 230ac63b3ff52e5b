"""Writes figures as Vega-Lite, which a browser makes interactive."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.ticker import MaxNLocator

from orchestrator.results.figures import Panel, Plot, Point, is_scattered, positions

Spec = dict[str, Any]

_COUNTS = {"epoch", "confirm seeds"}
"""Labels of x axes with whole numbers only."""


DASHES = ((1, 0), (4, 2), (2, 1), (1, 1), (1, 2, 4, 2))
"""Lengths of dashes and gaps in pixels, for one series after another."""


def labels_of(plot: Plot) -> list[str]:
    """List the labels of the series of all panels, each once."""
    panels = [panel for row in plot.panels for panel in row]
    return list(dict.fromkeys(series.label for panel in panels for series in panel.series))


def has_lines(plot: Plot) -> bool:
    """Tell whether lines connect the points."""
    panels = [panel for row in plot.panels for panel in row]
    return plot.kind != "bars" and not all(is_scattered(plot.kind, panel) for panel in panels)


def chart(plot: Plot, panel: Panel) -> Spec | None:
    """Write the specification of one panel; None if a remark stands in its place.

    The signal ``shown`` lists the labels of the visible series. The page's theme sets the
    colours, in the order of the series, which is that of the whole figure.
    """
    if panel.remark:
        return None
    labels = labels_of(plot)
    rows = [_row(series.label, point) for series in panel.series for point in series.points]
    tooltip = [
        {"field": "series", "title": "series"},
        {"field": "x", "title": panel.x_label},
        {"field": "y", "title": panel.y_label, "format": ".5~g"},
        {"field": "std", "title": "deviation", "format": ".3~g"},
        {"field": "n", "title": "seeds"},
    ]
    return {
        "description": f"{plot.title}: {panel.y_label} by {panel.x_label}",
        "width": "container",
        "height": 240,
        "data": {"values": rows},
        "params": [{"name": "shown", "value": labels}],
        "transform": [{"filter": "indexof(shown, datum.series) >= 0"}],
        "encoding": {"x": _x(panel), "color": _by_series(labels), "tooltip": tooltip},
        "layer": _bars(panel, labels) if plot.kind == "bars" else _lines(plot, panel, labels),
    }


def _row(label: str, point: Point) -> Spec:
    y = None if math.isnan(point.y) else point.y
    row = {"series": label, "x": point.x, "y": y, "n": point.n}
    low, high = point.band
    if y is None or math.isnan(low):
        return row
    std = {} if math.isnan(point.std) else {"std": point.std}
    return {**row, **std, "low": low, "high": high}


def _x(panel: Panel) -> Spec:
    names = list(positions(panel))
    if names:
        angle = -30 if sum(map(len, names)) > 40 else 0
        return {
            "field": "x",
            "type": "nominal",
            "sort": names,
            "title": panel.x_label,
            "axis": {"labelAngle": angle},
        }
    return {
        "field": "x",
        "type": "quantitative",
        "scale": {"zero": False},
        "title": panel.x_label,
        # Vega takes a `tickMinStep` for a wish: of two epochs it would mark 1.5 as well.
        "axis": (
            {"values": _whole_numbers(panel), "format": ",d"} if panel.x_label in _COUNTS else {}
        ),
    }


def _whole_numbers(panel: Panel) -> list[int]:
    """Choose the whole numbers to mark on the x axis."""
    xs = [float(point.x) for series in panel.series for point in series.points]
    locator = MaxNLocator(10, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1)
    ticks = locator.tick_values(min(xs), max(xs))
    return [int(tick) for tick in ticks if min(xs) <= tick <= max(xs)]


def _by_series(labels: list[str]) -> Spec:
    """Encode the series without a legend, which the page's checkboxes replace."""
    return {"field": "series", "type": "nominal", "scale": {"domain": labels}, "legend": None}


def _y(panel: Panel, field: str, *, from_zero: bool) -> Spec:
    scale: Spec = {"zero": from_zero}
    if panel.y_range is not None:
        scale["domain"] = list(panel.y_range)
    return {"field": field, "type": "quantitative", "title": panel.y_label, "scale": scale}


def _lines(plot: Plot, panel: Panel, labels: list[str]) -> list[Spec]:
    is_wide = any(len(series.points) > 1 for series in panel.series)
    area = {"type": "area", "opacity": 0.2} if is_wide else {"type": "rule"}
    band = {
        "mark": area | {"clip": True},
        "encoding": {"y": _y(panel, "low", from_zero=False), "y2": {"field": "high"}},
    }
    points = {
        "mark": {"type": "point", "filled": True, "size": 40},
        "encoding": {"y": _y(panel, "y", from_zero=False), "shape": _by_series(labels)},
    }
    if is_scattered(plot.kind, panel):
        return [points]
    dashes = _by_series(labels)
    dashes["scale"]["range"] = [list(dash) for dash in DASHES]
    line = {
        "mark": {"type": "line"},
        "encoding": {"y": _y(panel, "y", from_zero=False), "strokeDash": dashes},
    }
    rules: list[Spec] = [
        {
            "mark": {"type": "rule", "color": "gray", "strokeDash": [2, 2]},
            "data": {"values": [{}]},
            "transform": [],
            "encoding": {"y": {"datum": y}, "x": None, "color": None, "tooltip": None},
        }
        for y in panel.lines
    ]
    return [*rules, *([band] if _has_deviations(panel) else []), line, points]


def _bars(panel: Panel, labels: list[str]) -> list[Spec]:
    side = {"xOffset": {"field": "series", "sort": labels}}
    bar = {"mark": "bar", "encoding": {"y": _y(panel, "y", from_zero=True)} | side}
    span = {"y": _y(panel, "low", from_zero=True), "y2": {"field": "high"}}
    # Of the colour of its bar, which it lies on, half of it would not be seen.
    rule = {"mark": "rule", "encoding": span | side | {"color": {"value": "gray"}}}
    return [bar, rule] if _has_deviations(panel) else [bar]


def _has_deviations(panel: Panel) -> bool:
    return not all(math.isnan(p.band[0]) for series in panel.series for p in series.points)
