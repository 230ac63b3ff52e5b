"""An attempt that takes longer than it may, and a run whose time is up, with real processes."""

from __future__ import annotations

import signal

import pytest
from support.folder import Folder
from support.waiting import HANG_SECONDS, until

from orchestrator.store import Store

HANGS = """
import time


def train(params, trial):
    yield {"score": 1.0}
    if params["x"] == 1:
        time.sleep(SECONDS)
    yield {"score": 2.0}
"""


@pytest.mark.parametrize(("runner", "seconds"), [("tune", 3600), ("inline", 4.5)])
def test_an_attempt_that_takes_too_long_fails_and_others_do_not(
    cluster_folder: Folder, runner: str, seconds: float
) -> None:
    folder = cluster_folder
    (folder.path / "hangs.py").write_text(HANGS.replace("SECONDS", str(seconds)))
    sweep = folder.write(
        trainable="hangs:train", seeds=[0], search={}, fixed={}, timeout="4s", retries=0
    )
    done = folder.orch("sweep", sweep, "--runner", runner, code=1)
    assert "1 trial failed" in done.stderr
    trials = folder.trials()
    errors = dict(zip(trials["x"], trials["error"], strict=True))
    assert errors[1] == "it took longer than `timeout` allows, 4 s"
    assert trials.set_index("x")["status"].to_dict() == {1: "failed", 2: "completed"}


ENDLESS = """
import time
from pathlib import Path


def train(params, trial):
    done = int(trial.load() or 0)
    for epoch in range(done + 1, 1_000_000):
        time.sleep(0.05)
        if trial.checkpoint_due:
            trial.save(str(epoch).encode())
        yield {"score": float(done)}
        if Path("gate").exists():
            return
"""


def saved_states(folder: Folder) -> dict[str, int]:
    store = Store(str(folder.path / "results/toy"))
    saved = {i: store.checkpoint(i, with_state=True) for i in store.snapshot().checkpoint_ids}
    return {i: int(found.state) for i, found in saved.items() if found and found.state}


@pytest.mark.slow
def test_trials_save_before_the_time_is_up_and_go_on(cluster_folder: Folder) -> None:
    folder = cluster_folder
    (folder.path / "endless.py").write_text(ENDLESS)
    sweep = folder.write(
        trainable="endless:train", seeds=[0], search={}, fixed={}, checkpoint_every=1_000_000
    )
    states: dict[str, int] = {}
    for seconds in (20, 80, 320):  # on a slow machine the workers take long to start
        done = folder.orch("sweep", sweep, "--hours", seconds / 3600, code=75)
        assert "time is up: 0 of 2 trials done" in done.stderr
        states = saved_states(folder)
        if len(states) == 2:
            break
    assert len(states) == 2, "only the end of the time can have asked them to save"
    (folder.path / "gate").touch()
    folder.orch("sweep", sweep)
    trials = folder.trials()
    went_on = dict(zip(trials["trial_id"], trials["score"], strict=True))
    assert went_on == states


WAITING = """
import time


def train(params, trial):
    for epoch in range(1, 1_000_000):
        while not trial.checkpoint_due:
            time.sleep(0.05)
        trial.save(str(epoch).encode())
        yield {"score": float(epoch)}
"""


@pytest.mark.parametrize("runner", ["tune", "inline"])
def test_trials_that_run_save_in_the_epoch_in_which_the_driver_gets_sigusr1(
    cluster_folder: Folder, runner: str
) -> None:
    folder = cluster_folder
    (folder.path / "waiting.py").write_text(WAITING)
    sweep = folder.write(
        trainable="waiting:train", seeds=[0], search={}, fixed={}, checkpoint_every=1_000
    )
    run = folder.start("sweep", sweep, "--runner", runner)
    logs = folder.path / "results/toy/logs"
    at_once = {"tune": 2, "inline": 1}[runner]
    until(
        lambda: len(list(logs.glob("*.log"))) == at_once,
        run,
        what="trials",
        output=folder.said.read_text,
    )
    run.send_signal(signal.SIGUSR1)
    assert run.wait(HANG_SECONDS) == 75, folder.said.read_text()
    assert len(saved_states(folder)) == at_once
