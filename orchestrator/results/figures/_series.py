"""Reads the values of each selected trial along a figure's x axis."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import pandas as pd

from orchestrator.columns import STEP
from orchestrator.errors import ShowError
from orchestrator.labels import quoted
from orchestrator.results.measures import last_rows, layer_means
from orchestrator.results.selection import metric_columns
from orchestrator.results.statistics import TOO_LARGE

if TYPE_CHECKING:
    from orchestrator.results.results import Results

X = float | str
"""A number, or the name of a layer or of a factor's value."""

SeriesByTrial = Mapping[str, Mapping[X, float]]
"""Values by trial id and x, in the order of x."""


def by_epoch(results: Results, metric: str, trials: Collection[str]) -> tuple[str, SeriesByTrial]:
    """Read a metric's learning curves, at the epochs that have a value.

    Returns:
        What x counts, and the curves: ``step`` where all these epochs have one, and all seeds of
        a config the same, over which are averaged; else ``epoch``.

    Raises:
        ShowError: the epochs lack the metric.
    """
    epochs = results.epochs
    metrics = metric_columns(results.sweep, epochs)
    if metric not in metrics:
        raise ShowError(f"the store has no metric `{metric}`; it has {quoted(metrics)}")
    rows = epochs[epochs["trial_id"].isin(trials) & epochs[metric].notna()].sort_values("epoch")
    has_steps = not rows.empty and rows[STEP].notna().all() and _are_shared(rows)
    counter = STEP if has_steps else "epoch"
    return counter, _grouped(rows, counter, metric)


def _are_shared(rows: pd.DataFrame) -> bool:
    """Tell whether the seeds of each config have the same steps in each epoch."""
    steps = rows.groupby(["config_id", "epoch"], observed=True)[STEP]
    return bool((steps.min() == steps.max()).all())


def by_layer(results: Results, probe: str, trials: Collection[str]) -> SeriesByTrial:
    """Read a probe's value per layer at the last epoch, from the first layer to the last.

    Raises:
        ShowError: the store has no such probe.
    """
    rows = last_rows(results.probes(probe))
    means = layer_means(rows[rows["trial_id"].isin(trials)])
    return _grouped(means.reset_index(), "layer", "value")


def by_bin(
    results: Results, probe: str, trials: Collection[str]
) -> Mapping[tuple[str, int | None], SeriesByTrial]:
    """Read a probe's value per bin, by layer and unit (None if the probe has no units).

    Raises:
        ShowError: the store has no such probe, or the probe has no bins.
    """
    rows = last_rows(results.probes(probe))
    if rows["at"].isna().all():
        raise ShowError(f"the probe `{probe}` has no bins to draw a histogram from")
    rows = rows[rows["trial_id"].isin(trials) & (rows["at"].abs() < TOO_LARGE)]
    rows = rows.sort_values(["layer_index", "unit", "at"])
    histograms: dict[tuple[str, int | None], dict[str, dict[X, float]]] = {}
    columns = ("layer", "unit", "trial_id", "at", "value")
    for layer, unit, trial_id, at, value in zip(*(rows[name] for name in columns), strict=True):
        key = (layer, None if pd.isna(unit) else int(unit))
        histograms.setdefault(key, {}).setdefault(trial_id, {})[at] = float(value)
    return histograms


def _grouped(rows: pd.DataFrame, x: str, y: str) -> SeriesByTrial:
    """Group the pairs of x and y by trial, in the order of the rows."""
    series: dict[str, dict[X, float]] = {}
    for trial_id, position, value in zip(rows["trial_id"], rows[x], rows[y], strict=True):
        series.setdefault(trial_id, {})[position] = float(value)
    return series
