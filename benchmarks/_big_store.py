"""Writes a finished store of 10,000 trials x 200 epochs x 3 probes x 8 layers.

Training would take months, so the values are random but plausible; the files are those that
`orch sweep` would leave.
"""

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from benchmarks._sweeps import MODULE, Folder
from orchestrator.code import code_of
from orchestrator.spec.grid import PlannedTrial, carried, expand
from orchestrator.spec.loading import load
from orchestrator.spec.model import Sweep
from orchestrator.store import Store, settle
from orchestrator.store.merge import write_merged
from orchestrator.store.schema import Layout, conform

EPOCHS = 200
PROBES = ("saturation", "skewness", "sparsity")
LAYERS = 8
METRICS = ("test_accuracy", "train_loss", "test_loss")
_CHUNK = 100

KEYS = {
    "factors": {
        "dataset": ["cifar10", "cifar100"],
        "activation": ["relu", "tanh", "softsign", "lecun_tanh", "leaky_tanh"],
        "order": ["convention", "swap"],
    },
    "search": {
        "lr": [round(0.01 * n, 2) for n in range(1, 11)],
        "weight_decay": [round(0.0005 * n, 4) for n in range(1, 11)],
    },
    "seeds": [0, 1, 2, 3, 4],
    "fixed": {"epochs": EPOCHS},
    "select": {"metric": "test_accuracy"},
    "tables": [{"name": "accuracy", "rows": ["dataset", "activation"], "columns": ["order"]}],
}


def make(here: Folder, name: str) -> Store:
    """Write the sweep file and its store."""
    file = here.write(name, **KEYS)
    sweep = load(file)
    trials = expand(sweep)
    layout = Layout.of(sweep).with_metrics(METRICS)
    store = Store(str(here.path / "results" / name))
    settle.create(store)
    store.files.write("sweep.yaml", file.read_bytes())
    settle.write_schema(store, layout)
    ids = [trial.trial_id for trial in trials]
    makers = {"trials": _trials, "epochs": _epochs, "probes": _probes}
    for table, make_rows in makers.items():
        schema = layout.schema(table)
        pieces = (
            conform(make_rows(sweep, trials[first : first + _CHUNK], here), schema)
            for first in range(0, len(trials), _CHUNK)
        )
        write_merged(store.files, table, schema, ids, pieces)
    settle.settle(store, sweep)
    return store


def _repeated(sweep: Sweep, trials: list[PlannedTrial], times: int) -> dict[str, pa.Array]:
    """Return the ids, seed and params of each trial, repeated for each of its rows."""
    trial_of_row = pa.array(np.repeat(np.arange(len(trials), dtype=np.int32), times))
    values = {
        "trial_id": [trial.trial_id for trial in trials],
        "config_id": [trial.config.config_id for trial in trials],
        "cell_id": [trial.config.cell_id for trial in trials],
        "seed": [trial.seed for trial in trials],
        **{name: [trial.params[name] for trial in trials] for name in carried(sweep)},
    }
    columns = {}
    for name, column in values.items():
        by_trial = pa.array(column)
        if pa.types.is_string(by_trial.type):
            columns[name] = pa.DictionaryArray.from_arrays(trial_of_row, by_trial)
        else:
            columns[name] = by_trial.take(trial_of_row)
    return columns


def _curves(trials: list[PlannedTrial]) -> dict[str, np.ndarray]:
    """Draw metrics of each trial and epoch, as smooth and as noisy as those of training."""
    rng = np.random.default_rng(int(trials[0].trial_id, 16))
    shape = (len(trials), EPOCHS)
    progress = 1 - np.exp(-np.arange(1, EPOCHS + 1) / 40)
    level = rng.uniform(0.6, 0.95, (len(trials), 1))
    accuracy = np.round(level * progress + rng.normal(0, 0.004, shape), 4).clip(0, 1)
    train, test = (2.3 * (1.05 - progress) * rng.uniform(0.9, 1.1, shape) for _ in range(2))
    return dict(zip(METRICS, (accuracy, train, test), strict=True))


def _trials(sweep: Sweep, trials: list[PlannedTrial], here: Folder) -> pa.Table:
    curves = _curves(trials)
    with contextlib.chdir(here.path):
        digest = code_of(MODULE).digest
    n = len(trials)
    constant = {
        "status": "completed",
        "attempts": 1,
        "epochs_run": EPOCHS,
        "seconds": 900.0,
        "threads": 1,
        "started_at": datetime(2026, 1, 1, tzinfo=UTC),
        "ended_at": datetime(2026, 1, 1, 0, 15, tzinfo=UTC),
        "host": "node",
        "device": "cpu",
        "code_digest": digest,
        "facts": "{}",
        "params": json.dumps(dict(sweep.fixed)),
    }
    return pa.table(
        {
            **_repeated(sweep, trials, 1),
            **{name: pa.array(curve[:, -1]) for name, curve in curves.items()},
            "best_test_accuracy": pa.array(curves["test_accuracy"].max(axis=1)),
            **{name: pa.array([value] * n) for name, value in constant.items()},
        }
    )


def _epochs(sweep: Sweep, trials: list[PlannedTrial], _here: Folder) -> pa.Table:
    epoch = np.tile(np.arange(1, EPOCHS + 1, dtype=np.int32), len(trials))
    return pa.table(
        {
            **_repeated(sweep, trials, EPOCHS),
            "epoch": epoch,
            **{name: curve.ravel() for name, curve in _curves(trials).items()},
            "seconds": np.random.default_rng(1).uniform(4.4, 4.6, len(epoch)),
        }
    )


def _probes(sweep: Sweep, trials: list[PlannedTrial], _here: Folder) -> pa.Table:
    per_epoch = len(PROBES) * LAYERS
    rows = len(trials) * EPOCHS * per_epoch
    rng = np.random.default_rng(int(trials[0].trial_id, 16))
    layer = np.tile(np.repeat(np.arange(LAYERS, dtype=np.int32), len(PROBES)), rows // per_epoch)
    probe = np.tile(np.arange(len(PROBES), dtype=np.int32), rows // len(PROBES))
    epoch = np.repeat(np.arange(1, EPOCHS + 1, dtype=np.int32), per_epoch)
    names = pa.array([f"block{n}" for n in range(LAYERS)])
    return pa.table(
        {
            **_repeated(sweep, trials, EPOCHS * per_epoch),
            "epoch": np.tile(epoch, len(trials)),
            "probe": pa.DictionaryArray.from_arrays(probe, pa.array(PROBES, pa.string())),
            "layer": pa.DictionaryArray.from_arrays(layer, names),
            "layer_index": layer,
            "value": rng.uniform(0, 1, rows),
        }
    )


def tune_result_lines(trial: PlannedTrial, template: dict[str, object]) -> Iterator[str]:
    """Yield the lines that Tune's logger would write for the same trial, one per epoch."""
    curves = {name: curve[0] for name, curve in _curves([trial]).items()}
    for epoch in range(EPOCHS):
        result = {name: float(curve[epoch]) for name, curve in curves.items()}
        result |= {"training_iteration": epoch + 1, "iterations_since_restore": epoch + 1}
        config = {**trial.config.factors, **trial.config.search, "seed": trial.seed}
        yield json.dumps({**template, **result, "trial_id": trial.trial_id, "config": config})
