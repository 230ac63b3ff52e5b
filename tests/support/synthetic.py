"""Sweeps and data frames of stores with known numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

from orchestrator.results import Results
from orchestrator.results.selection import selection_column
from orchestrator.results.wanted import possible
from orchestrator.spec.grid import PlannedTrial, expand
from orchestrator.spec.model import Select, Sweep
from orchestrator.store.archives import Archives
from orchestrator.store.files import Files

Outcome = Mapping[str, Any] | float | None
_ENDED = {
    "status": "completed",
    "epochs_run": 1,
    "code_digest": "code",
    "environment_digest": None,
    "metrics_digest": None,
}
"""How a trial ended, unless its columns say otherwise."""


def make_sweep(**changes: Any) -> Sweep:
    """Make a sweep of 2 datasets x 2 orders, 2 rates and 3 seeds."""
    keys: dict[str, Any] = {
        "name": "synthetic",
        "trainable": "somewhere:train",
        "seeds": (0, 1, 2),
        "factors": {"dataset": ("digits", "letters"), "order": ("convention", "swap")},
        "search": {"lr": (0.1, 0.01)},
        "select": {"metric": "test_accuracy"},
        "tables": ({"name": "main", "rows": ("dataset",), "columns": ("order",)},),
    }
    return Sweep.model_validate(keys | changes)


def make_trials(sweep: Sweep, outcome: Callable[[PlannedTrial], Outcome]) -> pd.DataFrame:
    """Make the store's `trials`.

    `outcome` gives a trial's columns, or its test accuracy alone, or None where it is missing.
    """
    rows = []
    for trial in possible(sweep):
        found = outcome(trial)
        if found is not None:
            columns = found if isinstance(found, Mapping) else {"test_accuracy": found}
            rows.append(_keys(trial) | _ENDED | columns)
    names = ["trial_id", "config_id", "cell_id", "seed", *_ENDED]
    return _categorical(pd.DataFrame(rows, columns=None if rows else names))


def make_probes(
    sweep: Sweep,
    probe: str,
    values: Callable[[PlannedTrial], Iterable[float]],
    epoch: int = 1,
    planned: Callable[[Sweep], list[PlannedTrial]] = expand,
) -> pd.DataFrame:
    """Make the store's `probes`: one value per layer and trial."""
    rows = [
        _keys(trial)
        | {"epoch": epoch, "probe": probe, "layer": f"block{i}", "layer_index": i}
        | {"unit": math.nan, "at": math.nan, "value": value}
        for trial in planned(sweep)
        for i, value in enumerate(values(trial))
    ]
    return _categorical(pd.DataFrame(rows))


class FrameStore:
    """Frames in memory in place of a store, for what only reads one."""

    def __init__(
        self,
        trials: pd.DataFrame,
        probes: pd.DataFrame | None = None,
        epochs: pd.DataFrame | None = None,
    ) -> None:
        self._trials, self._epochs = trials, epochs
        self._probes = pd.DataFrame({"probe": []}) if probes is None else probes
        self.layout, self.rows = None, pa.table({})
        self.files = Files("results/synthetic")
        self.archives = Archives(self.files)

    def snapshot(self) -> FrameStore:
        return self

    def trials(self, select: Select | None = None) -> pd.DataFrame:  # noqa: ARG002
        return self._trials

    @property
    def outcomes(self) -> dict[str, Any]:
        return {row.trial_id: row for row in self._trials.itertuples()}

    def selecting(self, trial_ids: Iterable[str], select: Select) -> dict[str, float | None]:
        values = self._trials.set_index("trial_id")[selection_column(select)].astype(object)
        found = values.where(values.notna(), None).to_dict()
        return {trial_id: found[trial_id] for trial_id in trial_ids}

    def with_seeds(self, trial_ids: Iterable[str], seeds: Iterable[int]) -> list[str]:
        rows = self._trials[self._trials["seed"].isin(list(seeds))]
        return [i for i in rows["trial_id"] if i in set(trial_ids)]

    def epochs(self) -> pd.DataFrame | None:
        return self._epochs

    def probes(self, probe: str) -> pd.DataFrame:
        return self._probes[self._probes["probe"] == probe]

    def probe_names(self, *, layerwise: bool = False) -> list[str]:
        rows = self._probes
        if layerwise:
            rows = rows[rows["unit"].isna() & rows["at"].isna()]
        return sorted(rows["probe"].unique())

    def log_name(self, trial_id: str) -> str:
        return f"logs/{trial_id}.log"


def results_of(
    sweep: Sweep,
    trials: pd.DataFrame,
    probes: pd.DataFrame | None = None,
    epochs: pd.DataFrame | None = None,
) -> Results:
    """Make the results of a sweep from frames."""
    return Results(sweep, FrameStore(trials, probes, epochs))


def _categorical(frame: pd.DataFrame) -> pd.DataFrame:
    """Convert columns of strings to categories, as the store does."""
    strings = [
        name for name in frame if len(frame) and all(isinstance(v, str) for v in frame[name])
    ]
    return frame.astype(dict.fromkeys(strings, "category"))


def _keys(trial: PlannedTrial) -> dict[str, Any]:
    params = {**trial.config.factors, **trial.config.search}
    return {
        "trial_id": trial.trial_id,
        "config_id": trial.config.config_id,
        "cell_id": trial.config.cell_id,
        "seed": trial.seed,
        **{k: json.dumps(v) if isinstance(v, tuple) else v for k, v in params.items()},
    }
