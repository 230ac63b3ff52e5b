"""Figures of the selected configs.

`plot` computes the numbers of a figure of the sweep file, and `save` draws it with matplotlib.
"""

from orchestrator.results.figures._draw import draw, save
from orchestrator.results.figures._plot import (
    Panel,
    Plot,
    Point,
    Series,
    default_figures,
    is_scattered,
    plot,
    positions,
)

__all__ = [
    "Panel",
    "Plot",
    "Point",
    "Series",
    "default_figures",
    "draw",
    "is_scattered",
    "plot",
    "positions",
    "save",
]
