"""What each selected trial has at each place of a figure's x axis."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pandas as pd

from orchestrator.errors import ShowError
from orchestrator.results.measures import last_probes, layer_means
from orchestrator.results.selection import listed, metric_columns
from orchestrator.spec.model import Sweep

X = float | str
"""A number, or the name of a layer or of a factor's value."""

Readings = Mapping[str, Mapping[X, float]]
"""By trial id and x, in the order of x."""


def by_epoch(sweep: Sweep, epochs: pd.DataFrame, metric: str, trials: Collection[str]) -> Readings:
    """Read a metric's learning curves.

    Raises:
        ShowError: the epochs lack the metric.
    """
    known = metric_columns(sweep, epochs)
    if metric not in known:
        raise ShowError(f"the store has no metric `{metric}`; it has {listed(known)}")
    rows = epochs[epochs["trial_id"].isin(trials)].sort_values("epoch")
    return _grouped(rows, "epoch", metric)


def by_layer(probes: pd.DataFrame, probe: str, trials: Collection[str]) -> Readings:
    """Read a probe's value per layer at the last epoch, from the first layer to the last.

    Raises:
        ShowError: the probes lack it.
    """
    rows = last_probes(probe, probes)
    means = layer_means(rows[rows["trial_id"].isin(trials)])
    return _grouped(means.reset_index(), "layer", "value")


def by_bin(
    probes: pd.DataFrame, probe: str, trials: Collection[str]
) -> Mapping[tuple[str, int | None], Readings]:
    """Read a probe's value per bin, by layer and unit (None if it has no units).

    Raises:
        ShowError: the probes lack it, or it has no bins.
    """
    rows = last_probes(probe, probes)
    if rows["at"].isna().all():
        raise ShowError(f"the probe `{probe}` has no bins to make a histogram of")
    rows = rows[rows["trial_id"].isin(trials)].sort_values(["layer_index", "unit", "at"])
    found: dict[tuple[str, int | None], dict[str, dict[X, float]]] = {}
    columns = ("layer", "unit", "trial_id", "at", "value")
    for layer, unit, trial_id, at, value in zip(*(rows[name] for name in columns), strict=True):
        place = (layer, None if pd.isna(unit) else int(unit))
        found.setdefault(place, {}).setdefault(trial_id, {})[at] = float(value)
    return found


def _grouped(rows: pd.DataFrame, x: str, y: str) -> Readings:
    """Collect pairs by trial, in the order of the rows."""
    readings: dict[str, dict[X, float]] = {}
    for trial_id, place, value in zip(rows["trial_id"], rows[x], rows[y], strict=True):
        readings.setdefault(trial_id, {})[place] = float(value)
    return readings
