"""A race with confirm seeds on real Ray: the trials that results ask for run in the same run."""

from __future__ import annotations

import pytest
from support.comparing import assert_same
from support.folder import Folder

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
