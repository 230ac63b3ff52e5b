"""A worker process that trains many networks holds no more memory for it."""

from __future__ import annotations

import pytest
from support.folder import Folder

pytestmark = pytest.mark.slow

WEIGHED = '''
"""The papers' trainable, with what its process holds in memory after each trial as a metric."""

import os
from pathlib import Path

from trainables import classify


def train(params, trial):
    for metrics in classify.train(params, trial):
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        yield {**metrics, "resident": pages * os.sysconf("SC_PAGESIZE"), "process": os.getpid()}
'''

WARM = 20
"""Trials after which caches are full and what is imported late has been."""


def test_two_hundred_trials_in_one_process_leave_its_memory_flat(cluster_folder: Folder) -> None:
    (cluster_folder.path / "weighed.py").write_text(WEIGHED)
    sweep = cluster_folder.write(
        trainable="weighed:train",
        seeds=list(range(50)),
        factors={"activation": ["tanh", "relu"], "order": ["swap", "convention"]},
        search={},
        fixed={
            "dataset": "digits",
            "model": "vgg16_8",
            "width": 0.1,
            "train_size": 40,
            "test_size": 20,
            "batch_size": 20,
            "augment": "crop_flip",
            "lr": 0.01,
            "epochs": 1,
        },
        select={"metric": "test_accuracy"},
        resources={"cpu": 2},
    )
    cluster_folder.orch("sweep", sweep)
    trials = cluster_folder.trials().sort_values("ended_at")
    assert len(trials) == 200
    assert trials["process"].nunique() == 1
    early, late = trials["resident"][WARM : 2 * WARM], trials["resident"][-WARM:]
    assert late.median() < 1.05 * early.median()
