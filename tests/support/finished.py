"""A store of a finished sweep with many trials, as a driver leaves it, without running them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from orchestrator.spec import PlannedTrial, Sweep, expand
from orchestrator.store import Store, settle
from orchestrator.store.merge import write_merged
from orchestrator.store.schema import PROBE_SCHEMA, Layout, conform, encode
from orchestrator.store.sweep_code import read_code, scope_of
from support.storing import METRICS, complete_row, row_of


def write_finished(store: Store, sweep: Sweep) -> None:
    """Write each trial with one epoch and one value of a probe; its code is the present one."""
    code = read_code(sweep, scope_of(sweep, store.files.local))
    layout = Layout.of(sweep).with_metrics(METRICS)
    trials = expand(sweep)
    settle.create(store)
    store.files.write("sweep.yaml", sweep.source.text.encode())
    store.archives.write(code)
    settle.write_schema(store, layout)
    digest = {"code_digest": code.digest, "epochs_run": 1}
    rows: dict[str, Callable[[PlannedTrial], dict[str, Any]]] = {
        "probes": lambda trial: row_of(trial, sweep) | _probe(trial),
        "epochs": lambda trial: row_of(trial, sweep) | _epoch(trial),
        "trials": lambda trial: complete_row(trial, sweep) | digest | _metrics(trial),
    }
    for table, row in rows.items():
        schema = layout.schema(table)
        columns = {
            field.name: pa.array([encode(r.get(field.name), field.type) for r in made], field.type)
            for made in [[row(trial) for trial in trials]]
            for field in schema
        }
        piece = conform(pa.table(columns), schema)
        write_merged(store.files, table, schema, {t.trial_id for t in trials}, [piece])


def _metrics(trial: PlannedTrial) -> dict[str, float]:
    return {"score": float(trial.seed), "loss": 0.5}


def _epoch(trial: PlannedTrial) -> dict[str, Any]:
    return {"epoch": 1, "step": None, "seconds": 0.1, **_metrics(trial)}


def _probe(trial: PlannedTrial) -> dict[str, Any]:
    values = {"epoch": 1, "probe": "chance", "layer": "only", "layer_index": 0}
    return dict.fromkeys(PROBE_SCHEMA.names) | values | {"value": float(trial.seed)}
