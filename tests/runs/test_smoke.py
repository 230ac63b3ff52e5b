"""`--smoke` tries every cell for two batches before GPU-days are spent on it."""

from __future__ import annotations

import json

from support.folder import Folder

from orchestrator import open_store

CLASSIFY = {
    "trainable": "trainables.classify:train",
    "factors": {"dataset": ["digits", "parquet:not-here"], "order": ["convention", "swap"]},
    "search": {"lr": [0.1, 0.01]},
    "fixed": {"activation": "tanh", "model": "vgg16_8", "width": 0.125, "epochs": 50},
    "select": {"metric": "test_accuracy"},
}


def test_a_smoke_run_tries_each_cell_once_and_makes_up_data_that_is_missing(
    folder: Folder,
) -> None:
    sweep = folder.write(**CLASSIFY, seeds=[3, 4], resources={"cpu": 1, "gpu": 1})
    done = folder.orch("sweep", sweep, "--smoke", "--runner", "inline")
    assert "made-up images in place of parquet:not-here" in done.stderr
    trials = open_store(folder.path / "results/toy--smoke").trials
    assert len(trials) == 4
    assert set(trials["seed"]) == {3}
    assert set(trials["lr"]) == {0.1}
    assert set(trials["epochs_run"]) == {1}
    plan = json.loads(folder.orch("plan", sweep, "--json").stdout)
    assert plan["missing"] == plan["trials"] == 16


def test_a_smoke_run_shows_the_cells_that_are_wrong_and_is_tried_anew_as_a_whole(
    folder: Folder,
) -> None:
    wrong = folder.write(factors={"x": [1], "fault": ["raise", None]}, search={}, retries=2)
    done = folder.orch("sweep", wrong, "--smoke", "--runner", "inline", code=1)
    assert "this trial always fails" in done.stderr
    mended = folder.write(factors={"x": [1]}, fixed={"epochs": 2}, search={})
    folder.orch("sweep", mended, "--smoke", "--runner", "inline")
    trials = open_store(folder.path / "results/toy--smoke").trials
    assert list(trials["status"]) == ["completed"]
