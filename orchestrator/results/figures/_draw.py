"""Draws figures with matplotlib, readable in greyscale and with colour blindness."""

from __future__ import annotations

import contextlib
import io
import itertools
import math
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from orchestrator.results.figures._fonts import families_for
from orchestrator.results.figures._panels import Panel, Plot, Point, Series, is_scattered, positions

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

# Okabe and Ito's colours, in an order whose neighbours differ in lightness as well.
COLOURS = ("#0072B2", "#E69F00", "#000000", "#CC79A7", "#009E73", "#56B4E9", "#D55E00")
DASHES = ("-", "--", ":", "-.")
MARKERS = "osD^vPX"
HATCHES = ("", "//", "..", "xx", "\\\\", "oo", "++")

STYLE: dict[RcKeyType, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "legend.frameon": False,
    "legend.fontsize": "small",
    "svg.fonttype": "none",
    "svg.hashsalt": "orch",
    "text.parse_math": False,  # a dollar in a name is a dollar
}

PANEL_INCHES = (4.2, 2.8)
EFFECTS_INCHES = (6.3, 2.8)
CHARACTER_INCHES, LINE_INCHES, HANDLE_INCHES = 0.075, 0.2, 0.7
"""Sizes in the legend."""
NOTE_CHARACTER_INCHES, NOTE_LINE_INCHES = 0.05, 0.12
"""Sizes in the notes above it."""


@contextlib.contextmanager
def _styled(plot: Plot) -> Iterator[None]:
    """Draw in our style, with fonts that have the characters of a figure."""
    families = families_for("".join(sorted(set(_texts(plot)))))
    with mpl.rc_context({**STYLE, "font.family": families}), warnings.catch_warnings():
        # Where no font here has a character, the PNG shows a box, and the SVG leaves it to others.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def _texts(plot: Plot) -> Iterator[str]:
    """Go through all characters that a figure shows."""
    yield from itertools.chain(plot.title, *plot.notes)
    for panel in _flat(plot):
        yield from itertools.chain(panel.title, panel.x_label, panel.y_label, *positions(panel))
        for series in panel.series:
            yield from series.label


def draw(plot: Plot) -> Figure:
    """Draw a figure."""
    rows, columns = len(plot.panels), max(map(len, plot.panels), default=0)
    with _styled(plot):
        width, height = EFFECTS_INCHES if plot.kind == "effects" else PANEL_INCHES
        size = (width * max(columns, 1), height * max(rows, 1) + 0.6)
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        figure.suptitle(plot.title)
        grid, panels = _axes(figure, rows, columns, plot.kind), _flat(plot)
        labels = list(dict.fromkeys(s.label for panel in panels for s in panel.series))
        for unused in grid[len(panels) :]:
            unused.remove()
        for axes, panel in zip(grid, panels, strict=False):
            if plot.kind == "effects":
                _ranked(axes, panel)
            else:
                _panel(axes, panel, plot.kind, labels)
        _number_rows(zip(grid, panels, strict=False), plot)
        _legend(figure, labels, " ".join(plot.notes), 2 * max(columns, 1))
    return figure


def save(plot: Plot, folder: Path) -> list[Path]:
    """Write a figure as SVG and PNG files of its name; the same numbers give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    figure = draw(plot)
    paths = [folder / f"{plot.name}.svg", folder / f"{plot.name}.png"]
    with _styled(plot):
        figure.savefig(paths[0], metadata={"Date": None})
        figure.savefig(paths[1], dpi=200)
    return paths


def svg(plot: Plot) -> str:
    """Draw a figure as an ``<svg>`` element for an HTML page."""
    buffer = io.StringIO()
    with _styled(plot):
        draw(plot).savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _axes(figure: Figure, rows: int, columns: int, kind: str) -> list[Axes]:
    if not rows * columns:
        return []
    sharey: Literal["none", "row"] = "none" if kind == "looks" else "row"
    grid = figure.subplots(rows, columns, squeeze=False, sharey=sharey)
    return list(grid.flat)


def _number_rows(drawn: Iterator[tuple[Axes, Panel]], plot: Plot) -> None:
    """Show the numbers of y where a remark stands in the first panel of a row, which has them."""
    for row in plot.panels:
        shown = [axes for axes, panel in itertools.islice(drawn, len(row)) if not panel.remark]
        for axes in shown[:1]:
            axes.tick_params(axis="y", labelleft=True)


def _flat(plot: Plot) -> list[Panel]:
    return [panel for row in plot.panels for panel in row]


def _panel(axes: Axes, panel: Panel, kind: str, labels: Sequence[str]) -> None:
    """Draw a panel; a label has the same colour in every panel of the figure."""
    axes.set_title(panel.title, fontsize="medium")
    if panel.remark:
        axes.set_axis_off()
        axes.text(0.5, 0.5, panel.remark, ha="center", va="center", transform=axes.transAxes)
        return
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    names = positions(panel)
    for place, series in enumerate(panel.series):
        index = labels.index(series.label)
        x = np.array([names.get(str(p.x), p.x) for p in series.points], dtype=float)
        if kind == "bars":
            width = 0.8 / len(panel.series)
            x += (place - (len(panel.series) - 1) / 2) * width
            _bars(axes, x, width, series, index)
        else:
            _line(axes, x, series, index, scattered=is_scattered(kind, panel))
    for y in panel.lines:
        axes.axhline(y, color="gray", linestyle=":", linewidth=1)
    if panel.y_range is not None:
        axes.set_ylim(panel.y_range)
    if kind in {"looks", "curves"}:  # seeds and epochs
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if names:
        axes.set_xticks(range(len(names)), list(names))
        if sum(map(len, names)) > 40:
            axes.tick_params(axis="x", rotation=60)


def _ranked(axes: Axes, panel: Panel) -> None:
    """Draw horizontal bars, whose names need no room below."""
    points = [point for series in panel.series for point in series.points]
    names, values = [str(point.x) for point in points], [point.y for point in points]
    bars = axes.barh(names, values, color=COLOURS[0])
    axes.bar_label(bars, fmt="%.1f", padding=3)
    axes.margins(x=0.1)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(panel.y_label)


def _line(axes: Axes, x: np.ndarray, series: Series, index: int, *, scattered: bool) -> None:
    colour = COLOURS[index % len(COLOURS)]
    y, low, high = _columns(series.points)
    has_markers = scattered or len(x) <= 30
    axes.plot(
        x,
        y,
        color=colour,
        linestyle="none" if scattered else DASHES[index // len(COLOURS) % len(DASHES)],
        marker=_cycled(MARKERS, index) if has_markers else None,
        markersize=4,
        label=series.label or None,
    )
    if len(x) == 1:  # a band of no width would not be seen
        axes.vlines(x, low, high, color=colour)
    else:
        axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)


def _bars(axes: Axes, x: np.ndarray, width: float, series: Series, index: int) -> None:
    y, low, _ = _columns(series.points)
    axes.bar(
        x,
        y,
        width,
        yerr=y - low,
        color=COLOURS[index % len(COLOURS)],
        hatch=_cycled(HATCHES, index),
        edgecolor="white",
        capsize=3,
        label=series.label or None,
    )


def _cycled(styles: Sequence[str], index: int) -> str:
    """Pick a series' marker or hatch, shifted with each cycle of colours so that pairs differ."""
    return styles[(index + index // len(COLOURS)) % len(styles)]


def _columns(points: Sequence[Point]) -> np.ndarray:
    """Return the means and the ends of their bands, shape (3, points)."""
    return np.array([(p.y, *p.band) for p in points], dtype=float).reshape(-1, 3).T


def _legend(figure: Figure, labels: Sequence[str], notes: str, columns: int) -> None:
    """Add one legend for all panels, below them and under the notes.

    The figure grows with the legend, so that the panels keep their size.
    """
    # Matplotlib's own list leaves out labels that begin with an underscore.
    handles: list[Any] = [each for axes in figure.axes for each in (*axes.lines, *axes.containers)]
    drawn = {each.get_label(): each for each in handles}
    entries = {label: drawn[label] for label in labels if label and label in drawn}
    longest = CHARACTER_INCHES * max(map(len, entries), default=0) + HANDLE_INCHES
    columns = min(max(int(figure.get_figwidth() / longest), 1), columns)
    extra_lines = max(math.ceil(len(entries) / columns) - 2, 0)
    title = textwrap.wrap(notes, int(figure.get_figwidth() / NOTE_CHARACTER_INCHES))
    extra_inches = LINE_INCHES * extra_lines + NOTE_LINE_INCHES * (max(len(title), 1) - 1)
    figure.set_figheight(figure.get_figheight() + extra_inches)
    figure.legend(
        entries.values(),
        entries.keys(),
        loc="outside lower center",
        ncols=columns,
        title="\n".join(title),
        title_fontsize="x-small",
    )
