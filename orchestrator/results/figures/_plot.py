"""Computes the numbers that a figure shows."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.errors import ShowError
from orchestrator.labels import PROBE, label, quoted, unit
from orchestrator.results.figures._caption import notes, title_of, value_label, words
from orchestrator.results.figures._panels import Panel, Plot, Point, Series
from orchestrator.results.figures._series import SeriesByTrial, X, by_bin, by_epoch, by_layer
from orchestrator.results.selection import CellSelection
from orchestrator.results.statistics import TOO_LARGE, statistics
from orchestrator.spec.grid import varied
from orchestrator.spec.shown import Figure
from orchestrator.spec.values import matches

if TYPE_CHECKING:
    from orchestrator.results.results import Results

MOST_PANELS = 40


def default_figures(results: Results) -> tuple[Figure, ...]:
    """List the figures of a sweep whose file has none: curves, and one per layer-wise probe."""
    layers: dict[str, Figure] = {}
    for probe in results.snapshot.probe_names(layerwise=True):
        stem = f"layers-{re.sub('[^a-z0-9_-]', '-', probe.lower())}"[:60]  # a name has 64 at most
        numbered = (f"{stem}-{number}" for number in itertools.count(2))
        name = next(name for name in itertools.chain([stem], numbered) if name not in layers)
        layers[name] = Figure(name=name, kind="layers", values=(f"{PROBE}{probe}",))
    metric = results.sweep.select.metric
    return (Figure(name="curves", kind="curves", values=(metric,)), *layers.values())


def plot(results: Results, figure: Figure) -> Plot:
    """Compute a figure from the trials of the selected configs.

    Each combination of the factors that vary among the figure's cells, except those in ``x``
    and ``panels``, is a series, so that only seeds are averaged over.

    Args:
        results: the results of a sweep.
        figure: a figure of this sweep, or one of `default_figures`.

    Raises:
        ShowError: the store lacks a metric, probe, layer or channel, or the figure has too many
            panels, or two of its series have one name.
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
    return _grouped(figure, cells, [figure.panels] if figure.panels else [])


def _grouped(
    figure: Figure, cells: Sequence[CellSelection], factors: Sequence[str]
) -> dict[str, list[CellSelection]]:
    """Group the cells by the labels of their values of some factors, in file order.

    Raises:
        ShowError: different values have one label, so that more than seeds would be averaged over.
    """
    groups: dict[str, list[CellSelection]] = {}
    for cell in cells:
        text = ", ".join(value_label(figure, cell, name) for name in factors)
        groups.setdefault(text, []).append(cell)
    for text, group in groups.items():
        if not set(factors).isdisjoint(varied([each.cell for each in group])):
            raise ShowError(
                f"figure `{figure.name}` would show different values of {quoted(factors)} as "
                f"`{text}`; tell them apart by `labels`"
            )
    return groups


def _series_factors(figure: Figure, cells: Sequence[CellSelection]) -> list[str]:
    """List the factors whose values distinguish the series."""
    placed = {figure.x, figure.panels}
    return [name for name in varied([c.cell for c in cells]) if name not in placed]


@dataclass(frozen=True)
class _Row:
    """One row of panels: the series of each trial, their labels, and the factor of their unit.

    Attributes:
        names: names on the x axis in their order, as far as it is known.
        per_seed: whether each trial has a point of its own.
    """

    title: str
    x_label: str
    y_label: str
    factor: float
    series: SeriesByTrial
    names: tuple[str, ...] = ()
    per_seed: bool = False


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
                histograms = by_bin(results, probe, trials)
                if histograms and all(cell.best for cell in cells):  # else one may yet have it
                    _check_chosen(figure, probe, histograms)
                for (layer, channel), bins in histograms.items():
                    if _is_chosen(figure, layer, channel):
                        title = layer if channel is None else f"{layer}, channel {channel}"
                        yield _Row(title, "value", y_label, factor, bins)
            case _:
                yield _related(results, figure, name, cells)


def _is_chosen(figure: Figure, layer: str, channel: int | None) -> bool:
    layer_is_chosen = not figure.layers or layer in figure.layers
    return layer_is_chosen and (not figure.units or channel in figure.units)


def _check_chosen(
    figure: Figure, probe: str, histograms: Collection[tuple[str, int | None]]
) -> None:
    """Raise a ShowError if the figure names a layer or channel that no trial has."""
    layers = list(dict.fromkeys(layer for layer, _ in histograms))
    channels = list(dict.fromkeys(channel for _, channel in histograms if channel is not None))
    for what, chosen, known in (
        ("layer", figure.layers, layers),
        ("channel", figure.units, channels),
    ):
        for each in chosen:
            if each not in known:
                has = quoted(map(str, known))
                raise ShowError(f"the probe `{probe}` has no {what} `{each}`; it has {has}")


def _heading(figure: Figure, name: str) -> str:
    return unit(name).heading(words(figure, name))


def _related(results: Results, figure: Figure, name: str, cells: Sequence[CellSelection]) -> _Row:
    """Read a value over a factor, or over another value of the same trial."""
    x = str(figure.x)
    y_label, y_factor = _heading(figure, name), unit(name).factor
    measured = results.measure(name)
    related: dict[str, dict[X, float]] = {}
    if x in results.sweep.factors:
        _grouped(figure, cells, [x])  # refuses two values of one label
        texts = map(label, results.sweep.factors[x])  # the axis names the factor
        names = {text: figure.labels.get(text, text) for text in texts}
        for cell in cells:
            name_on_axis = names[label(cell.cell.factors[x])]
            for trial_id in cell.reported_ids:
                related[trial_id] = {name_on_axis: measured.get(trial_id, math.nan)}
        x_label = figure.labels.get(x, x)
        return _Row("", x_label, y_label, y_factor, related, tuple(names.values()))
    over = results.measure(x)
    factor = unit(x).factor
    for trial_id in over.keys() & measured.keys():
        if abs(over[trial_id]) < TOO_LARGE:
            related[trial_id] = {over[trial_id] * factor: measured[trial_id]}
    return _Row("", _heading(figure, x), y_label, y_factor, related, per_seed=True)


def _panel(
    figure: Figure, row: _Row, title: str, cells: Sequence[CellSelection], factors: Sequence[str]
) -> Panel:
    groups = _grouped(figure, cells, factors)
    series = tuple(Series(text, _points(row, group)) for text, group in groups.items())
    titles = ", ".join(filter(None, [title, row.title]))
    return Panel(titles, row.x_label, row.y_label, series, names=row.names)


def _points(row: _Row, cells: Sequence[CellSelection]) -> tuple[Point, ...]:
    """Average over the seeds of one cell, or of several cells that differ in x."""
    values: dict[tuple[X, str], list[float]] = {}
    for cell in cells:
        for trial_id in cell.reported_ids:
            for x, y in row.series.get(trial_id, {}).items():
                drawn = y * row.factor if abs(y) < TOO_LARGE else math.nan
                values.setdefault((x, trial_id if row.per_seed else ""), []).append(drawn)
    over_seeds = [(x, statistics(ys)) for (x, _), ys in values.items()]
    points = [Point(x, of.mean, of.std, of.n) for x, of in over_seeds]
    # The seeds may have values at different epochs or bins, which one after another do not ascend.
    points.sort(key=lambda point: 0.0 if isinstance(point.x, str) else point.x)
    return tuple(points)
