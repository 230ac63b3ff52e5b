"""What a figure shows, as numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import ShowError
from orchestrator.labels import PROBE, counted, label, named_label, unit
from orchestrator.results.figures._series import SeriesByTrial, X, by_bin, by_epoch, by_layer
from orchestrator.results.selection import CellSelection
from orchestrator.results.statistics import statistics
from orchestrator.spec.grid import matches, varied
from orchestrator.spec.model import Figure, Sweep

MOST_PANELS = 40


if TYPE_CHECKING:
    from orchestrator.results.results import Results


@dataclass(frozen=True)
class Point:
    """One point of a series.

    Attributes:
        x: where it stands.
        y: mean over seeds, in the panel's unit.
        std: sample standard deviation over seeds, likewise; NaN for one.
        n: number of seeds.
    """

    x: X
    y: float
    std: float
    n: int


@dataclass(frozen=True)
class Series:
    """Points that belong together, in the order of x.

    Attributes:
        label: the factor values that tell it from the others; empty if it is alone.
        points: all of them.
    """

    label: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]


@dataclass(frozen=True, repr=False)
class Plot:
    """A figure's numbers.

    Attributes:
        name: the figure's name.
        kind: as in the sweep file.
        title: what stands above it.
        panels: rows of panels.
        notes: sentences that belong below it.
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
        """Write the figure as SVG and PNG, named after it; return the paths.

        The same numbers give the same bytes.
        """
        from orchestrator.results.figures._draw import save

        return save(self, Path(folder))

    def _repr_html_(self) -> str:
        from orchestrator.results.figures._draw import svg

        return svg(self)


def positions(panel: Panel) -> dict[str, int]:
    """Give each name on the x axis its place, in file order; empty for an axis of numbers."""
    names = [p.x for series in panel.series for p in series.points if isinstance(p.x, str)]
    return {name: place for place, name in enumerate(dict.fromkeys(names))}


def default_figures(results: Results) -> tuple[Figure, ...]:
    """List the figures of a sweep that has none: curves, and one per layer-wise probe."""
    layers = tuple(
        Figure(
            name=f"layers-{re.sub('[^a-z0-9_-]', '-', probe.lower())}",
            kind="layers",
            values=(f"{PROBE}{probe}",),
        )
        for probe in results.store.probe_names(layerwise=True)
    )
    metric = results.sweep.select.metric
    return (Figure(name="curves", kind="curves", values=(metric,)), *layers)


def plot(results: Results, figure: Figure) -> Plot:
    """Compute what a figure shows, from the selected configs' trials.

    Factors that vary among the figure's cells, but for those of ``x`` and ``panels``, make
    its series, so that nothing is averaged but seeds.

    Args:
        results: what to show.
        figure: of its sweep, or one of `default_figures`.

    Raises:
        ShowError: the store lacks a metric or probe, or there are too many panels.
    """
    sweep = results.sweep
    cells = [s for s in results.selections if matches(figure.where, s.cell.factors)]
    columns = _columns(figure, cells)
    lines = list(_lines(results, figure, cells))
    if len(lines) * len(columns) > MOST_PANELS:
        raise ShowError(
            f"figure `{figure.name}` has {len(lines) * len(columns)} panels, and the limit is "
            f"{MOST_PANELS}; choose among them by `where`, `layers` and `units`"
        )
    telling = _telling(figure, cells)
    panels = tuple(
        tuple(_panel(figure, line, title, column, telling) for title, column in columns.items())
        for line in lines
    )
    title = figure.title or f"{sweep.name}: {figure.name}"
    return Plot(figure.name, figure.kind, title, panels, tuple(_notes(sweep, figure, cells)))


def _notes(sweep: Sweep, figure: Figure, cells: Sequence[CellSelection]) -> Iterator[str]:
    if figure.x is None or figure.x in sweep.factors:
        yield "Means over seeds; bands and bars are ± one sample standard deviation."
    else:
        yield "One point per seed."
    incomplete = sum(not cell.complete for cell in cells)
    if incomplete:
        yield f"{incomplete} of {len(cells)} cells incomplete."


def _columns(figure: Figure, cells: Sequence[CellSelection]) -> dict[str, list[CellSelection]]:
    """Group the cells by the value of the panels' factor, in file order."""
    columns: dict[str, list[CellSelection]] = {}
    for cell in cells:
        title = _shown(figure, cell, figure.panels) if figure.panels else ""
        columns.setdefault(title, []).append(cell)
    return columns


def _shown(figure: Figure, cell: CellSelection, factor: str) -> str:
    """Write a cell's value of a factor as the figure wants it."""
    value = cell.cell.factors[factor]
    return figure.labels.get(label(value), named_label(factor, value))


def _telling(figure: Figure, cells: Sequence[CellSelection]) -> list[str]:
    """Name the factors that tell series apart."""
    placed = {figure.x, figure.panels}
    return [name for name in varied([c.cell for c in cells]) if name not in placed]


@dataclass(frozen=True)
class _Line:
    """One row of panels: the trials' series, and what they are."""

    title: str
    x_label: str
    y_label: str
    factor: float
    series: SeriesByTrial


def _lines(results: Results, figure: Figure, cells: Sequence[CellSelection]) -> Iterator[_Line]:
    trials = {trial_id for cell in cells if cell.best for trial_id in cell.best.trial_ids}
    for name in figure.values:
        shown = unit(name)
        y_label, probe = _heading(figure, name), name.removeprefix(PROBE)
        match figure.kind:
            case "curves":
                curves = by_epoch(results, name, trials)
                yield _Line("", "epoch", y_label, shown.factor, curves)
            case "layers":
                layers = by_layer(results, probe, trials)
                yield _Line("", "layer", y_label, shown.factor, layers)
            case "histogram":
                for (layer, channel), bins in by_bin(results, probe, trials).items():
                    if _is_chosen(figure, layer, channel):
                        place = layer if channel is None else f"{layer}, channel {channel}"
                        yield _Line(place, "value", y_label, shown.factor, bins)
            case _:
                related, x_label = _related(results, figure, name, cells)
                yield _Line("", x_label, y_label, shown.factor, related)


def _is_chosen(figure: Figure, layer: str, channel: int | None) -> bool:
    wanted_layer = not figure.layers or layer in figure.layers
    return wanted_layer and (not figure.units or channel in figure.units)


def _heading(figure: Figure, name: str) -> str:
    return unit(name).heading(figure.labels.get(name, name))


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
            place = figure.labels.get(text, text)
            for trial_id in cell.best.trial_ids if cell.best else ():
                related[trial_id] = {place: measured.get(trial_id, math.nan)}
        return related, figure.labels.get(x, x)
    over = results.measure(x)
    factor = unit(x).factor
    for trial_id in over.keys() & measured.keys():
        if math.isfinite(over[trial_id]):
            related[trial_id] = {over[trial_id] * factor: measured[trial_id]}
    return related, _heading(figure, x)


def _panel(
    figure: Figure, line: _Line, title: str, cells: Sequence[CellSelection], telling: Sequence[str]
) -> Panel:
    groups: dict[str, list[CellSelection]] = {}
    for cell in cells:
        text = ", ".join(_shown(figure, cell, name) for name in telling)
        groups.setdefault(text, []).append(cell)
    series = tuple(Series(text, _points(line, group)) for text, group in groups.items())
    titles = ", ".join(filter(None, [title, line.title]))
    return Panel(titles, line.x_label, line.y_label, series)


def _points(line: _Line, cells: Sequence[CellSelection]) -> tuple[Point, ...]:
    """Average over the seeds of one cell, or of cells that differ in x."""
    values: dict[X, list[float]] = {}
    for cell in cells:
        for trial_id in cell.best.trial_ids if cell.best else ():
            for x, y in line.series.get(trial_id, {}).items():
                values.setdefault(x, []).append(y * line.factor)
    over_seeds = {x: statistics(ys) for x, ys in values.items()}
    return tuple(Point(x, of.mean, of.std, of.n) for x, of in over_seeds.items())
