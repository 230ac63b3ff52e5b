"""Trials fill the slots that their `resources` leave, with no more threads than cores."""

from __future__ import annotations

import subprocess
import sys
import time

from support.folder import Folder

MEETING = '''
"""Trials that go on only when four of them run at once."""

import os
import time
from pathlib import Path


def train(params, trial):
    Path(f"{params['marks']}/here-{params['seed']}").touch()
    while len(list(Path(params["marks"]).glob("here-*"))) < 4:
        time.sleep(0.01)
    yield {"score": 1.0, "given": trial.threads, "omp": int(os.environ["OMP_NUM_THREADS"])}
'''

SHORT = """
import os
import time


def train(params, trial):
    time.sleep(params["duration"])
    yield {"score": 1.0, "worker": os.getppid()}
"""

START = [sys.executable, "-c", "import orchestrator.running.runners.tune"]
"""What takes most of the time in which a worker process starts."""


def test_four_trials_of_half_a_core_share_two_cores_with_one_thread_each(
    cluster_folder: Folder,
) -> None:
    (cluster_folder.path / "meeting.py").write_text(MEETING)
    sweep = cluster_folder.write(
        trainable="meeting:train",
        seeds=[0, 1, 2, 3],
        factors={"x": [1]},
        search={},
        resources={"cpu": 0.5},
    )
    cluster_folder.orch("sweep", sweep)
    trials = cluster_folder.trials()
    assert list(trials["given"]) == [1] * 4
    assert list(trials["omp"]) == [1] * 4


def test_both_slots_fill_with_trials_that_are_shorter_than_a_process_takes_to_start(
    cluster_folder: Folder,
) -> None:
    (cluster_folder.path / "short.py").write_text(SHORT)
    begun = time.monotonic()
    subprocess.run(START, check=True)
    duration = (time.monotonic() - begun) / 20  # short, however slow the machine is
    sweep = cluster_folder.write(
        trainable="short:train", seeds=list(range(50)), fixed={"duration": duration}
    )
    cluster_folder.orch("sweep", sweep)
    assert cluster_folder.trials()["worker"].nunique() == 2
