"""Lists one row per cell and value, in full precision, for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pandas as pd

from orchestrator.labels import in_layers, is_accuracy, printable
from orchestrator.results.marks import Marks
from orchestrator.results.measures import selected_values
from orchestrator.results.observed import grows
from orchestrator.results.selection import CellSelection
from orchestrator.results.statistics import Statistics, statistics
from orchestrator.spec.shown import Table
from orchestrator.spec.values import Value

if TYPE_CHECKING:
    from orchestrator.results.results import Results

SEEDS = ("selecting_seeds", "reported_seeds", "confirmed_seeds", "dropped")
NUMBERS = {"mean": float, "std": float, "n": int, "ci_low": float, "ci_high": float}


def tidy(results: Results, tables: Sequence[Table]) -> pd.DataFrame:
    """List every value of every cell in one row; a value that several tables show, only once.

    Args:
        results: the results of a sweep.
        tables: the tables whose values are listed; their layout does not matter.

    Returns:
        Columns: the factors, ``metric``, ``mean``, ``std``, ``n``, ``ci_low``,
        ``ci_high``, ``complete``, ``status``, ``epochs_run``, ``selected_on``, the search
        params, ``config_id``;
        the numbers as in `Statistics`, in the unit that the trainable yields. ``n`` is 0
        if nothing was measured; in an empty cell, ``status``, ``epochs_run``, the search
        params and ``config_id`` are None as well. ``status`` is ``diverged`` if a trial of
        the selected config diverged, else ``completed``; ``epochs_run`` lists the epochs of
        its trials in seed order. Lists are written as JSON text. With `race` or `confirm` come
        ``selecting_seeds`` and ``reported_seeds``, those that selected the config and those that
        the numbers are of, ``confirmed_seeds``, those that claims look at, and ``dropped``, the
        number of configs that are out of the race.

    Raises:
        ShowError: the store has no such metric or probe.
    """
    frames = [_tidy(results, table) for table in tables]
    return pd.concat(frames, ignore_index=True).drop_duplicates(ignore_index=True)


def _tidy(results: Results, table: Table) -> pd.DataFrame:
    sweep = results.sweep
    measured = {name: results.measure(name, table.layers) for name in sweep.values_of(table)}
    rows = [
        {
            **_params(selection.cell.factors),
            "metric": in_layers(name, table.layers),
            **asdict(_numbers(name, selected_values(measured[name], selection))),
            "complete": selection.complete,
            **_marks(results.marks(selection)),
            "selected_on": sweep.select.metric,
            **(_seeds(selection) if grows(sweep) else {}),
            **_config(selection),
        }
        for selection in results.selections
        for name in measured
    ]
    facts = ["complete", "status", "epochs_run", "selected_on", *(SEEDS if grows(sweep) else ())]
    columns = [*sweep.factors, "metric", *NUMBERS, *facts, *sweep.search]
    # Columns of objects, because pandas turns integers beside a null into floats.
    frame = pd.DataFrame(rows, columns=[*columns, "config_id"], dtype=object)
    return frame.where(frame.notna(), None).astype({**NUMBERS, "complete": bool})


def _seeds(selection: CellSelection) -> dict[str, Any]:
    seeds = map(json.dumps, (selection.seeds, selection.reported, selection.confirmed))
    return dict(zip(SEEDS, (*seeds, len(selection.dropped)), strict=True))


def to_csv(frame: pd.DataFrame) -> str:
    """Write a tidy table as CSV; what a terminal would obey is escaped."""
    shown = frame.map(lambda value: printable(value) if isinstance(value, str) else value)
    return shown.to_csv(index=False, lineterminator="\n")


def to_json(frame: pd.DataFrame) -> str:
    """Write a tidy table as a JSON list, one object per line; what is not finite becomes null."""
    rows = frame.to_dict("records")
    plain = [{str(name): _plain(value) for name, value in row.items()} for row in rows]
    return "[\n" + ",\n".join(json.dumps(row, allow_nan=False) for row in plain) + "\n]\n"


def _numbers(name: str, values: Sequence[float]) -> Statistics:
    return statistics(values, is_accuracy=is_accuracy(name))


def _marks(marks: Marks) -> dict[str, Value]:
    return {
        "status": marks.status,
        "epochs_run": json.dumps(marks.epochs) if marks.epochs else None,
    }


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
    return None if isinstance(value, float) and not math.isfinite(value) else value
