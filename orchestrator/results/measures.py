"""Values of single trials: a metric, or a probe reduced to one number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from orchestrator.columns import FINISHED, Status
from orchestrator.errors import ShowError
from orchestrator.labels import PROBE, quoted
from orchestrator.results.selection import CellSelection, metric_columns, selection_column

if TYPE_CHECKING:
    import pandas as pd

    from orchestrator.results.results import Results


def measure(
    results: Results, name: str, layers: str = "mean", epoch: int | None = None
) -> Mapping[str, float]:
    """Look up one value per trial; see `Results.measure`, which keeps the answer.

    Raises:
        ShowError: the trials have no such metric, probe, layer or epoch.
    """
    trials = results.trials[results.trials["status"] != Status.FAILED]
    if not trials["status"].isin(FINISHED).any():
        return {}
    if name.startswith(PROBE):
        return _of_layers(_rows(results, name.removeprefix(PROBE), epoch), name, layers)
    sweep = results.sweep
    columns = metric_columns(sweep, trials)
    at_end = selection_column(sweep.select) if name == sweep.select.metric else name
    column = at_end if epoch is None else name
    if epoch is not None:
        columns = [each for each in columns if each in results.epochs]
    if column not in columns:
        raise ShowError(f"the store has no metric `{column}`; it has {quoted(columns)}")
    rows = trials if epoch is None else _at(results.epochs, epoch, f"`{name}`")
    present = rows[rows[column].notna()]  # pandas reads null as NaN, too
    return dict(zip(present["trial_id"], present[column].astype(float), strict=True))


def selected_values(measured: Mapping[str, float], selection: CellSelection) -> tuple[float, ...]:
    """Return the selected config's values in seed order; none if no trial measured one.

    The value of a trial that did not measure it is NaN.
    """
    if measured.keys().isdisjoint(selection.reported_ids):
        return ()
    return tuple(measured.get(trial_id, math.nan) for trial_id in selection.reported_ids)


def last_rows(probe_rows: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows of the last epoch at which each trial took the probe."""
    last = probe_rows.groupby("trial_id", observed=True)["epoch"].transform("max")
    return probe_rows[probe_rows["epoch"] == last]


def layer_means(rows: pd.DataFrame, by: Sequence[str] = ("trial_id",)) -> pd.Series[float]:
    """Average a probe over the units of each layer.

    Args:
        rows: rows of one probe, by default of one epoch per trial, as `last_rows` returns them.
        by: the columns that tell one network from another.

    Returns:
        One value per trial id (or what ``by`` says) and layer, in layer order; NaN for a layer with
        a NaN.
    """
    keys = [*by, "layer_index", "layer"]
    values = rows.groupby(keys, observed=True)["value"]
    # pandas skips NaN in a mean, which would pass off part of a layer as the whole.
    return values.mean().mask(values.count() < values.size()).droplevel("layer_index")


def _rows(results: Results, probe: str, epoch: int | None) -> pd.DataFrame:
    rows = results.probes(probe)
    return last_rows(rows) if epoch is None else _at(rows, epoch, f"the probe `{probe}`")


def _at(rows: pd.DataFrame, epoch: int, what: str) -> pd.DataFrame:
    """Keep the rows of one epoch."""
    at_epoch = rows[rows["epoch"] == epoch]
    if at_epoch.empty:
        there = sorted({int(number) for number in rows["epoch"]})
        shown = ", ".join(map(str, there if len(there) < 10 else [*there[:8], "…", there[-1]]))
        raise ShowError(f"no trial has {what} at epoch {epoch}; there are epochs {shown}")
    return at_epoch


def _of_layers(rows: pd.DataFrame, name: str, layers: str) -> Mapping[str, float]:
    """Reduce a probe's layers to one value per trial: their mean or maximum, or one layer."""
    values = layer_means(rows)
    if layers not in {"mean", "max"}:
        known = list(dict.fromkeys(values.index.get_level_values("layer")))
        if layers not in known:
            text = f"`{name}` has no layer `{layers}`; it has {quoted(known)}"
            raise ShowError(f"{text}, `mean` and `max`")
        values = values.xs(layers, level="layer")
    of_trials = values.groupby("trial_id", observed=True)
    reduced = of_trials.max() if layers == "max" else of_trials.mean()
    reduced = reduced.mask(of_trials.count() < of_trials.size())
    return {str(trial_id): float(value) for trial_id, value in reduced.items()}
