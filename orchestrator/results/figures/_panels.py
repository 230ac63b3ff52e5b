"""What a figure shows: panels of series of points."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from orchestrator.labels import counted
from orchestrator.results.figures._series import X


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
        names: names on the x axis in their order, as far as it is known.
    """

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    y_range: tuple[float, float] | None = None
    lines: tuple[float, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def remark(self) -> str | None:
        """What stands in place of a drawing that would show nothing; None if it shows something."""
        points = [point for series in self.series for point in series.points]
        if not points:
            return "No results yet."
        drawn = [value for point in points for value in (point.y, *point.band)]
        finite = [value for value in drawn if not math.isnan(value)]
        if not finite:
            return "No finite value."
        return None if any(finite) else "0 everywhere."


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
    """Return the position of each name on the x axis; empty if x is numeric.

    A factor's values are in file order. Layers that only some networks have stand before the next
    one that the others have too, so that no line turns back.
    """
    paths = [[p.x for p in series.points if isinstance(p.x, str)] for series in panel.series]
    names = [name for name in panel.names if any(name in path for path in paths)]
    for path in paths:
        place = len(names)
        for name in reversed(path):
            if name in names:
                place = names.index(name)
            else:
                names.insert(place, name)
    return {name: position for position, name in enumerate(names)}


def is_scattered(kind: str, panel: Panel) -> bool:
    """Tell whether a panel of a figure of some kind has points that no line connects."""
    return kind == "relation" and not positions(panel)
