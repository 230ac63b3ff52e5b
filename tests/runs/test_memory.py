"""A worker that trains many networks holds no more memory for it, nor does its warm process."""

from __future__ import annotations

import pytest
from support.folder import Folder

pytestmark = pytest.mark.slow

WEIGHED = '''
"""The papers' trainable, with what the two processes above it hold in memory as metrics."""

import os
from pathlib import Path

from trainables import classify


def train(params, trial):
    warm = os.getppid()
    worker = int(Path(f"/proc/{warm}/stat").read_text().rpartition(")")[2].split()[1])
    for metrics in classify.train(params, trial):
        yield {
            **metrics,
            "warm": warm,
            "worker": worker,
            "warm_pages": resident(warm),
            "worker_pages": resident(worker),
        }


def resident(process):
    return int(Path(f"/proc/{process}/statm").read_text().split()[1])
'''

WARM = 20
"""Trials after which caches are full and what is imported late has been."""


def test_two_hundred_trials_of_one_worker_leave_its_memory_flat(cluster_folder: Folder) -> None:
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
    for process in ("warm", "worker"):
        assert trials[process].nunique() == 1
        pages = trials[f"{process}_pages"]
        assert pages[-WARM:].median() < 1.05 * pages[WARM : 2 * WARM].median()
