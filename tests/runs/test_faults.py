"""What is killed loses nothing: real processes, real kills, and the same numbers after."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.comparing import assert_same
from support.folder import Folder
from support.waiting import HANG_SECONDS, until

from orchestrator.store import Store
from orchestrator.store.checkpoint import Head


def store_of(folder: Folder) -> Store:
    return Store(str(folder.path / "results/toy"))


def epochs_kept(folder: Folder) -> int:
    """Count the durable epochs of unfinished trials, by the heads of their checkpoints."""
    epochs: dict[str, int] = {}
    for head in (folder.path / "results/toy/checkpoints").glob("*/head-*"):
        with contextlib.suppress(FileNotFoundError):  # the next one has replaced it
            saved = Head.from_bytes(head.read_bytes()).epochs
            epochs[head.parent.name] = max(saved, epochs.get(head.parent.name, 0))
    return sum(epochs.values())


def logs(folder: Folder) -> dict[str, str]:
    names = (folder.path / "results/toy/logs").glob("*.log")
    return {path.stem: path.read_text() for path in names}


def waiting(folder: Folder) -> int:
    """Count the trials that have saved their first epoch and wait at the gate."""
    return len(store_of(folder).snapshot().checkpoint_ids)


def open_gate(folder: Folder) -> None:
    (folder.path / "gate").touch()


@pytest.fixture
def gated(cluster_folder: Folder) -> tuple[Folder, Path]:
    """Write a sweep whose trials wait after their first epoch until the gate is open."""
    folder = cluster_folder
    return folder, folder.write(fixed=waiting_trials(folder), search={}, seeds=[0, 1])


def waiting_trials(folder: Folder) -> dict[str, Any]:
    """Return the fixed params of trials that wait at the gate."""
    return {"epochs": 3, "fault": "wait", "marks": str(folder.path)}


def assert_as_undisturbed(folder: Folder, sweep: Path) -> None:
    folder.orch("sweep", sweep, "--runner", "inline", "--store", "undisturbed")
    assert_same(folder.numbers(), folder.numbers(root="undisturbed"))


@pytest.mark.no_cover
def test_a_driver_killed_at_random_instants_loses_no_saved_epoch(folder: Folder) -> None:
    fault = {"fault": "wait", "fault_epoch": 140}  # no trial ends before the last kill
    sweep = folder.write(search={}, fixed={"epochs": 150, **fault, "marks": str(folder.path)})
    instants = random.Random(20161)
    for _ in range(3):
        target = epochs_kept(folder) + instants.randint(1, 60)
        driver = folder.start("sweep", sweep)
        until(lambda t=target: epochs_kept(folder) >= t or at_the_gate(folder), driver)
        kept = epochs_kept(folder)
        driver.kill()
        driver.wait()
        saved = {i: store_of(folder).checkpoint(i).head.epochs for i in unfinished(folder)}
        assert saved
        assert epochs_kept(folder) >= kept
        before = logs(folder)
    open_gate(folder)
    folder.orch("sweep", sweep)
    for trial_id, epochs in saved.items():
        since = logs(folder)[trial_id].removeprefix(before[trial_id])
        starts = [int(n) for n in re.findall(r"from epoch (\d+)", since)]
        assert starts, "an unfinished trial did not go on"
        assert all(start > epochs for start in starts), "an epoch that was saved ran again"
    assert_as_undisturbed(folder, sweep)


def at_the_gate(folder: Folder) -> list[Path]:
    return list(folder.path.glob("waiting-*"))


def unfinished(folder: Folder) -> list[str]:
    trials = store_of(folder).snapshot().trials()
    return list(trials["trial_id"][trials["status"] == "unfinished"])


def test_a_killed_worker_is_replaced_and_its_trial_goes_on(gated: tuple[Folder, Path]) -> None:
    folder, sweep = gated
    driver = folder.start("sweep", sweep)
    until(lambda: waiting(folder) >= 2, driver)
    trial_id = store_of(folder).snapshot().checkpoint_ids[0]
    (pid,) = re.findall(r"process (\d+)", logs(folder)[trial_id])
    os.kill(int(pid), signal.SIGKILL)
    open_gate(folder)
    assert driver.wait(HANG_SECONDS) == 0
    trials = folder.trials().set_index("trial_id")
    assert trials["attempts"][trial_id] == 2
    assert "attempt 2" in logs(folder)[trial_id]
    assert_as_undisturbed(folder, sweep)


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(gated: tuple[Folder, Path]) -> None:
    folder, sweep = gated
    with (folder.path / "words").open("w+") as words:
        driver = subprocess.Popen(
            folder.command("sweep", sweep),
            cwd=folder.path,
            env=folder.environment,
            stderr=words,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        until(lambda: waiting(folder) >= 2, driver)
        driver.send_signal(signal.SIGINT)
        assert driver.wait(HANG_SECONDS) == 130
        words.seek(0)
        assert f"to continue: orch sweep {sweep}" in words.read()
    status = folder.orch("status", sweep).stdout
    assert "0 running" in status
    assert f"{waiting(folder)} interrupted" in status
    open_gate(folder)
    folder.orch("sweep", sweep)
    assert_as_undisturbed(folder, sweep)


def test_a_second_driver_is_refused_until_the_first_is_dead(gated: tuple[Folder, Path]) -> None:
    folder, sweep = gated
    first = folder.start("sweep", sweep)
    until(lambda: waiting(folder) >= 2, first)
    refused = folder.orch("sweep", sweep, "--runner", "inline", code=2)
    assert f"process {first.pid} on" in refused.stderr
    assert "in use" in refused.stderr
    first.kill()
    first.wait()
    open_gate(folder)
    folder.orch("sweep", sweep, "--runner", "inline")
    assert set(folder.trials()["status"]) == {"completed"}
    assert_as_undisturbed(folder, sweep)


def test_a_second_driver_is_refused_while_the_first_checks_the_configs_of_a_new_store(
    folder: Folder,
) -> None:
    slow = "import os, pathlib, time\nimport toy\n\ntrain = toy.train\n\n\ndef check(params):\n"
    slow += f"    while not pathlib.Path({str(folder.path / 'gate')!r}).exists():\n"
    slow += f"        pathlib.Path({str(folder.path)!r}, 'checking').touch()\n"
    slow += "        time.sleep(0.05)\n\n\ntrain.check = check\n"
    (folder.path / "slow.py").write_text(slow)
    sweep = folder.write(trainable="slow:train", fixed={"epochs": 3})
    first = folder.start("sweep", sweep, "--runner", "inline")
    until(lambda: (folder.path / "checking").exists(), first)
    refused = folder.orch("sweep", sweep, "--runner", "inline", code=2)
    assert "in use" in refused.stderr
    open_gate(folder)
    assert first.wait(HANG_SECONDS) == 0
    assert len(folder.trials()) == 8
    assert_as_undisturbed(folder, sweep)


def test_ctrl_c_while_configs_are_checked_is_an_interruption_too(folder: Folder) -> None:
    (folder.path / "slow.py").write_text(
        "import pathlib, time\npathlib.Path('imported').touch()\nwhile True: time.sleep(1)\n"
        "def train(params, trial): yield {'score': 1}\n"
    )
    driver = folder.start("sweep", folder.write(trainable="slow:train"))
    until(lambda: (folder.path / "imported").exists(), driver)
    driver.send_signal(signal.SIGINT)
    assert driver.wait(HANG_SECONDS) == 130
    assert not (folder.path / "results").exists()


def test_another_terminal_sees_what_runs(gated: tuple[Folder, Path]) -> None:
    folder, _ = gated
    sweep = folder.write(fixed=waiting_trials(folder), search={}, seeds=[0])
    driver = folder.start("sweep", sweep)
    until(lambda: waiting(folder) == 2, driver)
    until(lambda: "2 running" in folder.orch("status", sweep).stdout, driver)
    status = folder.orch("status", sweep).stdout
    assert f"process {driver.pid} on" in status
    for trial_id in logs(folder):
        assert f"results/toy/logs/{trial_id}.log" in status
    trials = store_of(folder).snapshot().trials()
    assert list(trials["status"]) == ["unfinished", "unfinished"]
    assert list(pd.read_parquet(folder.path / "results/toy/trials")["trial_id"]) == []
    open_gate(folder)
    assert driver.wait(HANG_SECONDS) == 0


def test_a_full_memory_is_a_failure_in_its_own_words(folder: Folder) -> None:
    """Ray ends workers once 1 % of the memory is in use, which it always is."""
    low = {"RAY_memory_usage_threshold": "0.01", "RAY_memory_monitor_refresh_ms": "100"}
    tight = Folder(folder.path, folder.environment | low)
    sweep = tight.write(
        fixed=waiting_trials(folder), factors={"x": [1]}, search={}, seeds=[0], retries=0
    )
    tight.orch("sweep", sweep, code=1)
    assert list(folder.trials()["status"]) == ["failed"]
    assert folder.trials()["error"][0].startswith("out of memory")
    open_gate(folder)
    folder.orch("sweep", sweep)
    assert json.loads(folder.orch("plan", sweep, "--json").stdout)["missing"] == 0
