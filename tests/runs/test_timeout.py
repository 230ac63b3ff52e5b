"""An attempt that takes longer than it may, with both runners."""

from __future__ import annotations

import pytest
from support.folder import Folder

HANGS = """
import time


def train(params, trial):
    yield {"score": 1.0}
    if params["x"] == 1:
        time.sleep(SECONDS)
    yield {"score": 2.0}
"""


@pytest.mark.parametrize(("runner", "seconds"), [("tune", 3600), ("inline", 1.5)])
def test_an_attempt_that_takes_too_long_fails_and_others_do_not(
    cluster_folder: Folder, runner: str, seconds: float
) -> None:
    folder = cluster_folder
    (folder.path / "hangs.py").write_text(HANGS.replace("SECONDS", str(seconds)))
    sweep = folder.write(
        trainable="hangs:train", seeds=[0], search={}, fixed={}, timeout="1s", retries=0
    )
    done = folder.orch("sweep", sweep, "--runner", runner, code=1)
    assert "1 trial failed" in done.stderr
    trials = folder.trials()
    errors = dict(zip(trials["x"], trials["error"], strict=True))
    assert errors[1] == "TrialError: it took longer than `timeout` allows, 1 s"
    assert not errors[2]
