"""Read and check a sweep file or mapping as a `Sweep`, and expand it to cells, configs, trials.

Pure: nothing here depends on Ray or on a store.
"""

from orchestrator.spec.grid import Cell, Config, PlannedTrial, cells, expand
from orchestrator.spec.loading import load, load_text, parse_seeds, with_seeds
from orchestrator.spec.model import Sweep

__all__ = [
    "Cell",
    "Config",
    "PlannedTrial",
    "Sweep",
    "cells",
    "expand",
    "load",
    "load_text",
    "parse_seeds",
    "with_seeds",
]
