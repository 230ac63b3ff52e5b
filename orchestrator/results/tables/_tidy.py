"""One row per cell and value, for programs: full precision and nothing else."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from orchestrator.results.measures import measure, selected_values
from orchestrator.results.selection import CellSelection, statistics
from orchestrator.spec.model import Sweep, Table, Value

NUMBERS = {"mean": float, "std": float, "n": int, "ci_low": float, "ci_high": float}


def tidy(
    sweep: Sweep,
    table: Table,
    selections: Sequence[CellSelection],
    trials: pd.DataFrame,
    probes: pd.DataFrame | None,
) -> pd.DataFrame:
    """Describe every value of every cell by one row.

    Args:
        sweep: the sweep.
        table: whose values are taken; its rows and columns do not matter here.
        selections: of `orchestrator.results.selection.select`.
        trials: the store's ``trials``.
        probes: the store's ``probes``; None if the table has no ``probe:`` values.

    Returns:
        Columns: the factors, ``metric``, ``mean``, ``std``, ``n``, ``ci_low``,
        ``ci_high``, ``complete``, ``selected_on``, the search params, ``config_id``;
        the numbers as in `Statistics`, in the unit that the trainable yields. ``n`` is 0
        where nothing was measured; in an empty cell, the search params and ``config_id``
        are None as well. A param whose value is a list stands as JSON text.

    Raises:
        ShowError: the store has no such metric or probe.
    """
    names = table.values or (sweep.select.metric,)
    measured = {name: measure(name, sweep, trials, probes) for name in names}
    rows = [
        {
            **_params(selection.cell.factors),
            "metric": name,
            **asdict(statistics(selected_values(measured[name], selection))),
            "complete": selection.complete,
            "selected_on": sweep.select.metric,
            **_config(selection),
        }
        for selection in selections
        for name in names
    ]
    columns = [*sweep.factors, "metric", *NUMBERS, "complete", "selected_on", *sweep.search]
    # Columns of objects: pandas would turn integers beside a null into floats.
    frame = pd.DataFrame(rows, columns=[*columns, "config_id"], dtype=object)
    return frame.where(frame.notna(), None).astype({**NUMBERS, "complete": bool})


def to_csv(frames: Sequence[pd.DataFrame]) -> str:
    """Write tidy tables of one sweep as one CSV text; what two of them show stands once."""
    return _joined(frames).to_csv(index=False, lineterminator="\n")


def to_json(frames: Sequence[pd.DataFrame]) -> str:
    """Write tidy tables of one sweep as one JSON list, an object a line; NaN becomes null."""
    rows = _joined(frames).to_dict("records")
    plain = [{str(name): _plain(value) for name, value in row.items()} for row in rows]
    return "[\n" + ",\n".join(json.dumps(row, allow_nan=False) for row in plain) + "\n]\n"


def _joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True).drop_duplicates()


def _config(selection: CellSelection) -> dict[str, Value]:
    if selection.best is None:
        return {}
    config = selection.best.config
    return {**_params(config.search), "config_id": config.config_id}


def _params(params: Mapping[str, Value]) -> dict[str, Value]:
    return {
        name: json.dumps(value) if isinstance(value, tuple) else value
        for name, value in params.items()
    }


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
