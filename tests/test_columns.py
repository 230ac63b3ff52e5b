"""The columns are declared once: schema, reserved names, what is written and what is documented."""

from __future__ import annotations

import pyarrow as pa
import pytest
from support.storing import Lab, complete_row, epochs_of, make_sweep, probes_of

from orchestrator.columns import RESERVED, TABLES, Column, columns_of
from orchestrator.errors import SpecError
from orchestrator.spec import expand, load
from orchestrator.store import Writer

DECLARED = [(table, column) for table in TABLES for column in columns_of(table)]


@pytest.mark.parametrize(
    ("table", "column"), DECLARED, ids=lambda part: getattr(part, "name", part)
)
def test_rows_that_lack_a_declared_column_are_refused_by_its_name(
    lab: Lab, table: str, column: Column
) -> None:
    sweep = make_sweep()
    layout = lab.prepare(sweep)
    trial = expand(sweep)[0]
    row = complete_row(trial, sweep)
    own = {"epochs": epochs_of(trial.trial_id), "probes": probes_of(trial.trial_id)}
    if table == "trials" or column.role == "id":
        del row[column.name]
    else:
        own[table] = own[table].drop_columns([column.name])
    with pytest.raises(ValueError, match=f"lack the columns `{column.name}`"):
        Writer(lab.store).commit(row, own["epochs"], own["probes"], layout)
    assert lab.store.snapshot().outcomes == {}


@pytest.mark.parametrize("table", TABLES)
def test_a_schema_has_the_ids_the_params_and_the_declared_columns(lab: Lab, table: str) -> None:
    schema = lab.prepare(make_sweep()).schema(table)
    declared = [column.name for column in columns_of(table)]
    assert set(declared) <= set(schema.names)
    measured = {"score", "loss", "best_score"} if table == "trials" else {"score", "loss"}
    others = {"x", "kind"} | (set() if table == "probes" else measured)
    assert set(schema.names) - set(declared) == others
    ids = [column.name for column in columns_of(table, "id")]
    assert schema.names[: len(ids)] == ids
    assert schema.field("seed").type == pa.int64()


@pytest.mark.parametrize("name", sorted(RESERVED | {"best_x"}))
def test_no_param_takes_the_name_of_a_column(name: str) -> None:
    keys = {
        "name": "taken",
        "trainable": "toy:train",
        "seeds": [0],
        "factors": {name: [1]},
        "select": {"metric": "score"},
    }
    with pytest.raises(SpecError, match=f"`{name}` is reserved for a column of the store"):
        load(keys)
