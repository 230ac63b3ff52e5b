"""Race, confirm and decide on real Ray: the trials that results ask for run in the same run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.comparing import assert_same
from support.folder import Folder
from support.waiting import until

RATES = """
import random


def train(params, trial):
    chance = random.Random(f"{params['x']} {params['lr']} {params['seed']}").random()
    yield {"score": params["lr"] + 0.3 * chance}
"""


@pytest.mark.parametrize("runner", ["tune", "inline"])
def test_both_runners_come_to_the_same_race(cluster_folder: Folder, runner: str) -> None:
    folder = cluster_folder
    (folder.path / "rates.py").write_text(RATES)
    sweep = folder.write(
        trainable="rates:train",
        seeds=[0, 1, 2],
        race={"keep": 0.5, "at_least": 1},
        confirm=2,
        search={"lr": [0.1, 0.2, 0.3, 0.4]},
        fixed={},
    )
    done = folder.orch("sweep", sweep, "--runner", runner)
    assert "Selected on seeds 0-2, reported on 1000-1001." in done.stdout
    trials = folder.trials()
    assert list(trials.groupby(["x", "seed"]).size()) == [4, 2, 1, 1, 1] * 2
    again = folder.orch("sweep", sweep, "--runner", "inline")
    assert "all 18 trials are already done" in again.stderr
    folder.orch("sweep", sweep, "--runner", "inline", "--store", "other")
    assert_same(folder.numbers(), folder.numbers(root="other"))


CHANCES = """
import random
import time
from pathlib import Path


def train(params, trial):
    if params["seed"] == 1003 and not Path("gate").exists():
        Path("waits").touch()
        while not Path("gate").exists():
            time.sleep(0.01)
    chance = random.Random(f"{params['x']} {params['seed']}").gauss(0, 1)
    trial.probe("size", "only", chance + 4 * params["x"], index=0)
    yield {"score": chance}
"""


def write_chances(folder: Folder) -> Path:
    (folder.path / "chances.py").write_text(CHANCES)
    of_probe = {"compare": {"x": [2, 1]}, "probe": "size", "expect": "greater"}
    of_score = {"compare": {"x": [4, 3]}, "metric": "score", "expect": "less"}
    return folder.write(
        trainable="chances:train",
        factors={"x": [1, 2, 3, 4]},
        search={},
        fixed={},
        decide={"at_most": 9},
        claims=[{"name": "probe", **of_probe}, {"name": "score", **of_score}],
    )


def claims_of(folder: Folder, sweep: Path, root: str = "results") -> list[dict[str, Any]]:
    shown = folder.orch("claims", sweep, "--format", "json", "--store", root).stdout
    claims: list[dict[str, Any]] = json.loads(shown)
    for claim in claims:  # seeds that ran ahead are shown, and depend on the slots
        claim["looks"] = claim["looks"][: claim["n"] - 1]
    return claims


def test_a_driver_that_is_killed_comes_to_the_verdicts_of_an_undisturbed_one(
    cluster_folder: Folder,
) -> None:
    folder = cluster_folder
    sweep, gate = write_chances(folder), folder.path / "gate"
    driver = folder.start("sweep", sweep)
    until((folder.path / "waits").exists, driver)
    driver.kill()
    driver.wait()
    assert (folder.path / "results/toy/looks.json").exists()
    gate.touch()
    done = folder.orch("sweep", sweep)
    assert "Looks at probe" in done.stdout
    found = claims_of(folder, sweep)
    assert [claim["verdict"] for claim in found] == ["supported", "undecided"]
    assert 2 < found[0]["n"] < found[1]["n"] == 9
    folder.orch("sweep", sweep, "--runner", "inline", "--store", "other")
    assert claims_of(folder, sweep, "other") == found
    assert "already done" in folder.orch("sweep", sweep, "--runner", "inline").stderr
