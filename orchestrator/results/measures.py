"""What single trials measured: a metric, or a probe as one number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from orchestrator.columns import FINISHED, Status
from orchestrator.errors import ShowError
from orchestrator.labels import PROBE, quoted
from orchestrator.results.selection import CellSelection, metric_columns, selection_column
from orchestrator.spec.model import Claim

if TYPE_CHECKING:
    from orchestrator.results.results import Results


def measured_name(claim: Claim) -> str:
    """Name what a claim is about, as tables do."""
    return claim.metric if claim.metric is not None else f"{PROBE}{claim.probe}"


def measure(results: Results, name: str) -> Mapping[str, float]:
    """Look up one value per trial, as `Results.measure`, which keeps them.

    Raises:
        ShowError: the trials have no such metric or probe.
    """
    trials = results.trials[results.trials["status"] != Status.FAILED]
    if not trials["status"].isin(FINISHED).any():
        return {}
    if name.startswith(PROBE):
        return _probe_means(results.probes(name.removeprefix(PROBE)))
    sweep = results.sweep
    known = metric_columns(sweep, trials)
    column = selection_column(sweep.select) if name == sweep.select.metric else name
    if column not in known:
        raise ShowError(f"the store has no metric `{column}`; it has {quoted(known)}")
    return dict(zip(trials["trial_id"], trials[column].astype(float), strict=True))


def values_by_seed(measured: Mapping[str, float], selection: CellSelection) -> dict[int, float]:
    """Pick the selected config's value for each seed; NaN where a trial did not measure it."""
    ids = selection.best.trial_ids if selection.best else ()
    values = (measured.get(trial_id, math.nan) for trial_id in ids)
    return dict(zip(selection.seeds, values, strict=True))


def selected_values(measured: Mapping[str, float], selection: CellSelection) -> tuple[float, ...]:
    """Pick those values to show them, shape (seeds of the selection,); none if no trial has one."""
    ids = selection.best.trial_ids if selection.best else ()
    if measured.keys().isdisjoint(ids):
        return ()
    return tuple(values_by_seed(measured, selection).values())


def last_rows(probe_rows: pd.DataFrame) -> pd.DataFrame:
    """Pick a probe's rows, per trial those of the last epoch at which it was taken."""
    last = probe_rows.groupby("trial_id", observed=True)["epoch"].transform("max")
    return probe_rows[probe_rows["epoch"] == last]


def layer_means(rows: pd.DataFrame) -> pd.Series[float]:
    """Average a probe's rows within each layer, which may have several units.

    Args:
        rows: of one probe, as `last_rows` gives them.

    Returns:
        One value per trial id and layer, in the order of the layers; NaN for a layer that
        has one.
    """
    keys = ["trial_id", "layer_index", "layer"]
    values = rows.groupby(keys, observed=True)["value"]
    # pandas leaves NaN out of a mean; a layer that has one is not what it claims to be.
    return values.mean().mask(values.count() < values.size()).droplevel("layer_index")


def _probe_means(probe_rows: pd.DataFrame) -> Mapping[str, float]:
    layers = layer_means(last_rows(probe_rows)).groupby("trial_id", observed=True)
    means = layers.mean().mask(layers.count() < layers.size())
    return {str(trial_id): float(value) for trial_id, value in means.items()}
