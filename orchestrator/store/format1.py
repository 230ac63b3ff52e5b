"""Stores of format 1, which the first releases wrote: ids in which 1.0 was 1, and no manifests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from orchestrator.columns import LOGGED
from orchestrator.errors import SpecError
from orchestrator.spec import expand, load_text
from orchestrator.spec.grid import Config, PlannedTrial
from orchestrator.spec.identity import identity
from orchestrator.spec.values import by_value
from orchestrator.store.files import Files

_IDS = ("trial_id", "config_id", "cell_id")
_NEW_COLUMNS = (
    *("facts", "processor", "gpus", "environment_digest", "data_digest", "metrics_digest"),
    "resumed_at",
)
"""Columns of which format 1 knew nothing: where a file has one, it is a metric."""
_OLD_NAMES = {"facts": "versions", **{f"{LOGGED}{name}": name for name in _NEW_COLUMNS}}
"""The names in format 1 of columns that have others since."""


def new_ids(files: Files) -> Mapping[str, str]:
    """Map the ids of format 1 to the present ones, where they differ.

    Both are computed from the store's sweep file. Trials that it does not ask for keep their ids.
    """
    try:
        text = (files.read("sweep.yaml") or b"").decode()
        sweep = load_text(text, files.shown("sweep.yaml"), strict=False)
    except (SpecError, UnicodeDecodeError):
        return {}  # whoever needs the file itself says what is wrong with it
    pairs = (pair for trial in expand(sweep) for pair in _pairs(trial))
    return {old: new for old, new in pairs if old != new}


def _pairs(trial: PlannedTrial) -> Iterator[tuple[str, str]]:
    config = trial.config
    cell = {**config.factors, **config.fixed}
    yield _old_id(config, cell), config.cell_id
    yield _old_id(config, config.params), config.config_id
    yield _old_id(config, trial.params), trial.trial_id


def _old_id(config: Config, params: Mapping[str, object]) -> str:
    return identity(config.runs, params, smoke=config.smoke, text=by_value)


def old_name(column: str) -> str:
    """Return the name that a column had."""
    return _OLD_NAMES.get(column, column)


def converted(rows: pa.Table, ids: Mapping[str, str]) -> pa.Table:
    """Give rows of format 1 the present ids and names of columns."""
    present = {old: name for name, old in _OLD_NAMES.items()}
    rows = rows.rename_columns([present.get(name, name) for name in rows.column_names])
    old, new = pa.array(ids.keys(), pa.string()), pa.array(ids.values(), pa.string())
    for name in _IDS if ids else ():
        if name in rows.column_names:
            before = rows[name].cast(pa.string())
            after = pc.coalesce(new.take(pc.index_in(before, old)), before)
            rows = rows.set_column(rows.column_names.index(name), name, after)
    return rows
