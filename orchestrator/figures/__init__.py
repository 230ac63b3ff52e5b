"""Figures of the selected configs.

`plot` computes what a figure of the sweep file shows, and `save` draws it with matplotlib.
"""

from orchestrator.figures._data import (
    Frames,
    Panel,
    Plot,
    Point,
    Series,
    default_figures,
    plot,
    positions,
)
from orchestrator.figures._draw import draw, save

__all__ = [
    "Frames",
    "Panel",
    "Plot",
    "Point",
    "Series",
    "default_figures",
    "draw",
    "plot",
    "positions",
    "save",
]
