"""Figures of the selected configs.

`plot` computes the numbers of a figure of the sweep file, and `save` draws it with matplotlib.
"""

from orchestrator.results.figures._draw import draw, save
from orchestrator.results.figures._panels import (
    Panel,
    Plot,
    Point,
    Series,
    is_scattered,
    positions,
)
from orchestrator.results.figures._plot import default_figures, plot

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
