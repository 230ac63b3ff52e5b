"""Values of single trials: a metric, or a probe reduced to one number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from orchestrator.columns import FINISHED, Status
from orchestrator.errors import ShowError
from orchestrator.labels import PROBE, quoted
from orchestrator.results.selection import CellSelection, metric_columns, selection_column
from orchestrator.spec.model import Claim

if TYPE_CHECKING:
    import pandas as pd

    from orchestrator.results.results import Results


def measured_name(claim: Claim) -> str:
    """Return the name of the value that a claim is about: a metric, or ``probe:NAME``."""
    return claim.metric if claim.metric is not None else f"{PROBE}{claim.probe}"


def measure(results: Results, name: str) -> Mapping[str, float]:
    """Look up one value per trial; see `Results.measure`, which keeps the answer.

    Raises:
        ShowError: the trials have no such metric or probe.
    """
    trials = results.trials[results.trials["status"] != Status.FAILED]
    if not trials["status"].isin(FINISHED).any():
        return {}
    if name.startswith(PROBE):
        return _probe_means(results.probes(name.removeprefix(PROBE)))
    sweep = results.sweep
    columns = metric_columns(sweep, trials)
    column = selection_column(sweep.select) if name == sweep.select.metric else name
    if column not in columns:
        raise ShowError(f"the store has no metric `{column}`; it has {quoted(columns)}")
    present = trials[trials[column].notna()]  # pandas reads null as NaN, too
    return dict(zip(present["trial_id"], present[column].astype(float), strict=True))


def values_by_seed(measured: Mapping[str, float], selection: CellSelection) -> dict[int, float]:
    """Return the selected config's value by seed; NaN if a trial did not measure it."""
    values = (measured.get(trial_id, math.nan) for trial_id in selection.reported_ids)
    return dict(zip(selection.reported, values, strict=True))


def selected_values(measured: Mapping[str, float], selection: CellSelection) -> tuple[float, ...]:
    """Return these values in seed order; none if no trial measured one."""
    if measured.keys().isdisjoint(selection.reported_ids):
        return ()
    return tuple(values_by_seed(measured, selection).values())


def last_rows(probe_rows: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows of the last epoch at which each trial took the probe."""
    last = probe_rows.groupby("trial_id", observed=True)["epoch"].transform("max")
    return probe_rows[probe_rows["epoch"] == last]


def layer_means(rows: pd.DataFrame) -> pd.Series[float]:
    """Average a probe over the units of each layer.

    Args:
        rows: rows of one probe, as `last_rows` returns them.

    Returns:
        One value per trial id and layer, in layer order; NaN for a layer with a NaN.
    """
    keys = ["trial_id", "layer_index", "layer"]
    values = rows.groupby(keys, observed=True)["value"]
    # pandas skips NaN in a mean, which would pass off part of a layer as the whole.
    return values.mean().mask(values.count() < values.size()).droplevel("layer_index")


def _probe_means(probe_rows: pd.DataFrame) -> Mapping[str, float]:
    layers = layer_means(last_rows(probe_rows)).groupby("trial_id", observed=True)
    means = layers.mean().mask(layers.count() < layers.size())
    return {str(trial_id): float(value) for trial_id, value in means.items()}
