"""From a YAML file or a mapping to a checked `Sweep`, and from it to cells, configs and trials.

Pure: nothing in here knows of Ray or of a store.
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
