"""Sweeps over cells, search and seeds: planned, run on Ray, stored as Parquet, tabulated.

From Python::

    from orchestrator import load, open_store, run

    results = run("sweeps/quickstart.yaml")  # or a mapping that holds what the file would
    results.tables()  # shows itself, on a terminal or in a notebook
    results.trials  # a pandas DataFrame
    results = open_store("results/quickstart")  # the same again, without running anything
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from orchestrator.errors import (
    ClusterError,
    InputError,
    MetricError,
    OrchError,
    ResourceError,
    RunError,
    ShowError,
    SpecError,
    StoreError,
    TrainableError,
)

if TYPE_CHECKING:
    from orchestrator.reporting import report
    from orchestrator.results import Results, open_store
    from orchestrator.running.run import run
    from orchestrator.spec import Sweep, load

__all__ = [
    "ClusterError",
    "InputError",
    "MetricError",
    "OrchError",
    "ResourceError",
    "Results",
    "RunError",
    "ShowError",
    "SpecError",
    "StoreError",
    "Sweep",
    "TrainableError",
    "load",
    "open_store",
    "report",
    "run",
]

_HOMES = {
    "Results": "orchestrator.results",
    "Sweep": "orchestrator.spec",
    "load": "orchestrator.spec",
    "open_store": "orchestrator.results",
    "report": "orchestrator.reporting",
    "run": "orchestrator.running.run",
}


def __getattr__(name: str) -> object:
    """Import on first use: pandas and scipy would cost each command and worker a second."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
