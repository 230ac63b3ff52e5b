"""Computes the numbers that a figure shows."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import ShowError
from orchestrator.labels import PROBE, counted, label, unit
from orchestrator.results.figures._caption import notes, title_of, value_label, words
from orchestrator.results.figures._series import SeriesByTrial, X, by_bin, by_epoch, by_layer
from orchestrator.results.selection import CellSelection
from orchestrator.results.statistics import TOO_LARGE, statistics
from orchestrator.spec.grid import varied
from orchestrator.spec.shown import Figure
from orchestrator.spec.values import matches

if TYPE_CHECKING:
    from orchestrator.results.results import Results

MOST_PANELS = 40


@dataclass(frozen=True)
class Point:
    """One point of a series.

    Attributes:
        x: position on the x axis.
        y: mean over seeds, in the panel's unit.
        std: sample standard deviation over seeds, in the same unit; NaN for one seed.
        n: number of seeds.
        interval: the ends of the band around it; by default those of ``y`` ± ``std``.
    """

    x: X
    y: float
    std: float
    n: int
    interval: tuple[float, float] | None = None

    @property
    def band(self) -> tuple[float, float]:
        """The ends of the band, or bar, around it; NaN without one."""
        return self.interval or (self.y - self.std, self.y + self.std)


@dataclass(frozen=True)
class Series:
    """Points that belong together, in the order of x.

    Attributes:
        label: the factor values that distinguish it; empty for a single series.
        points: the points.
    """

    label: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes:
        title: printed above it.
        x_label: names the x axis.
        y_label: names the y axis.
        series: what is drawn.
        y_range: the part of the y axis that is shown; by default all that is drawn.
        lines: values of y to compare with.
    """

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    y_range: tuple[float, float] | None = None
    lines: tuple[float, ...] = ()

    @property
    def remark(self) -> str | None:
        """What stands in place of a drawing that would show nothing; None if it shows something."""
        points = [point for series in self.series for point in series.points]
        if not points:
            return "No results yet."
        drawn = [value for point in points for value in (point.y, *point.band)]
        is_zero = all(value == 0 or math.isnan(value) for value in drawn)
        return "0 everywhere." if is_zero and any(value == 0 for value in drawn) else None


@dataclass(frozen=True, repr=False)
class Plot:
    """A figure's numbers.

    Attributes:
        name: the figure's name.
        kind: as in the sweep file; or ``effects``, bars from the largest down; or ``looks``, an
            effect by the number of its seeds.
        title: printed above the panels.
        panels: rows of panels.
        notes: sentences printed below the panels.
    """

    name: str
    kind: str
    title: str
    panels: tuple[tuple[Panel, ...], ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        panels = sum(map(len, self.panels))
        return f"<Plot {self.name}: {counted(panels, 'panel')} of {self.kind}>"

    def save(self, folder: str | Path) -> list[Path]:
        """Write the figure as SVG and PNG files of its name; return their paths.

        The same numbers give the same bytes.
        """
        from orchestrator.results.figures._draw import save

        return save(self, Path(folder))

    def _repr_html_(self) -> str:
        from orchestrator.results.figures._draw import svg

        return svg(self)


def positions(panel: Panel) -> dict[str, int]:
    """Return the position of each name on the x axis, in file order; empty if x is numeric."""
    names = [p.x for series in panel.series for p in series.points if isinstance(p.x, str)]
    return {name: position for position, name in enumerate(dict.fromkeys(names))}


def is_scattered(kind: str, panel: Panel) -> bool:
    """Tell whether a panel of a figure of some kind has points that no line connects."""
    return kind == "relation" and not positions(panel)


def default_figures(results: Results) -> tuple[Figure, ...]:
    """List the figures of a sweep whose file has none: curves, and one per layer-wise probe."""
    layers = tuple(
        Figure(
            name=f"layers-{re.sub('[^a-z0-9_-]', '-', probe.lower())}",
            kind="layers",
            values=(f"{PROBE}{probe}",),
        )
        for probe in results.snapshot.probe_names(layerwise=True)
    )
    metric = results.sweep.select.metric
    return (Figure(name="curves", kind="curves", values=(metric,)), *layers)


def plot(results: Results, figure: Figure) -> Plot:
    """Compute a figure from the trials of the selected configs.

    Each combination of the factors that vary among the figure's cells, except those in ``x``
    and ``panels``, is a series, so that only seeds are averaged over.

    Args:
        results: the results of a sweep.
        figure: a figure of this sweep, or one of `default_figures`.

    Raises:
        ShowError: the store lacks a metric or probe, or the figure has too many panels.
    """
    cells = [s for s in results.selections if matches(figure.where, s.cell.factors)]
    columns = _columns(figure, cells)
    rows = list(_rows(results, figure, cells))
    count = len(rows) * len(columns)
    if count > MOST_PANELS:
        raise ShowError(
            f"figure `{figure.name}` has {count} panels, and the limit is {MOST_PANELS}; "
            "select fewer with `where`, `layers` or `units`"
        )
    factors = _series_factors(figure, cells)
    panels = tuple(
        tuple(_panel(figure, row, title, column, factors) for title, column in columns.items())
        for row in rows
    )
    title = figure.title or title_of(figure, rows[0].x_label if rows else "")
    return Plot(figure.name, figure.kind, title, panels, tuple(notes(results, figure, cells)))


def _columns(figure: Figure, cells: Sequence[CellSelection]) -> dict[str, list[CellSelection]]:
    """Group the cells by the value of the factor in ``panels``, in file order."""
    columns: dict[str, list[CellSelection]] = {}
    for cell in cells:
        title = value_label(figure, cell, figure.panels) if figure.panels else ""
        columns.setdefault(title, []).append(cell)
    return columns


def _series_factors(figure: Figure, cells: Sequence[CellSelection]) -> list[str]:
    """List the factors whose values distinguish the series."""
    placed = {figure.x, figure.panels}
    return [name for name in varied([c.cell for c in cells]) if name not in placed]


@dataclass(frozen=True)
class _Row:
    """One row of panels: the series of each trial, their labels, and the factor of their unit."""

    title: str
    x_label: str
    y_label: str
    factor: float
    series: SeriesByTrial


def _rows(results: Results, figure: Figure, cells: Sequence[CellSelection]) -> Iterator[_Row]:
    trials = {trial_id for cell in cells for trial_id in cell.reported_ids}
    for name in figure.values:
        factor = unit(name).factor
        y_label, probe = _heading(figure, name), name.removeprefix(PROBE)
        match figure.kind:
            case "curves":
                counter, curves = by_epoch(results, name, trials)
                yield _Row("", counter, y_label, factor, curves)
            case "layers":
                layers = by_layer(results, probe, trials)
                yield _Row("", "layer", y_label, factor, layers)
            case "histogram":
                for (layer, channel), bins in by_bin(results, probe, trials).items():
                    if _is_chosen(figure, layer, channel):
                        title = layer if channel is None else f"{layer}, channel {channel}"
                        yield _Row(title, "value", y_label, factor, bins)
            case _:
                related, x_label = _related(results, figure, name, cells)
                yield _Row("", x_label, y_label, factor, related)


def _is_chosen(figure: Figure, layer: str, channel: int | None) -> bool:
    layer_is_chosen = not figure.layers or layer in figure.layers
    return layer_is_chosen and (not figure.units or channel in figure.units)


def _heading(figure: Figure, name: str) -> str:
    return unit(name).heading(words(figure, name))


def _related(
    results: Results, figure: Figure, name: str, cells: Sequence[CellSelection]
) -> tuple[SeriesByTrial, str]:
    """Read a value over a factor, or over another value of the same trial."""
    x = str(figure.x)
    measured = results.measure(name)
    related: dict[str, dict[X, float]] = {}
    if x in results.sweep.factors:
        for cell in cells:
            text = label(cell.cell.factors[x])  # the axis names the factor
            name_on_axis = figure.labels.get(text, text)
            for trial_id in cell.reported_ids:
                related[trial_id] = {name_on_axis: measured.get(trial_id, math.nan)}
        return related, figure.labels.get(x, x)
    over = results.measure(x)
    factor = unit(x).factor
    for trial_id in over.keys() & measured.keys():
        if abs(over[trial_id]) < TOO_LARGE:
            related[trial_id] = {over[trial_id] * factor: measured[trial_id]}
    return related, _heading(figure, x)


def _panel(
    figure: Figure, row: _Row, title: str, cells: Sequence[CellSelection], factors: Sequence[str]
) -> Panel:
    groups: dict[str, list[CellSelection]] = {}
    for cell in cells:
        text = ", ".join(value_label(figure, cell, name) for name in factors)
        groups.setdefault(text, []).append(cell)
    series = tuple(Series(text, _points(row, group)) for text, group in groups.items())
    titles = ", ".join(filter(None, [title, row.title]))
    return Panel(titles, row.x_label, row.y_label, series)


def _points(row: _Row, cells: Sequence[CellSelection]) -> tuple[Point, ...]:
    """Average over the seeds of one cell, or of several cells that differ in x."""
    values: dict[X, list[float]] = {}
    for cell in cells:
        for trial_id in cell.reported_ids:
            for x, y in row.series.get(trial_id, {}).items():
                drawn = y * row.factor if abs(y) < TOO_LARGE else math.nan
                values.setdefault(x, []).append(drawn)
    over_seeds = {x: statistics(ys) for x, ys in values.items()}
    return tuple(Point(x, of.mean, of.std, of.n) for x, of in over_seeds.items())
