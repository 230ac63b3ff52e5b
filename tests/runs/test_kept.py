"""Artifacts of sweeps on Ray, of which a driver is killed."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.folder import Folder
from support.waiting import until

pytestmark = pytest.mark.slow

LEAVING = """
import time
from pathlib import Path


def train(params, trial):
    for epoch in range(1, 4):
        yield {"score": params["lr"] + 0.001 * params["seed"], "step": epoch}
    (trial.folder / "keep").mkdir(exist_ok=True)
    (trial.folder / "keep" / "name").write_text(f"{params['x']} {params['lr']} {params['seed']}")
    if params["seed"] == 1:
        Path("waits").touch()
        while not Path("gate").exists():
            time.sleep(0.01)
"""


def kept(folder: Folder, root: str = "results") -> list[str]:
    paths = (folder.path / root / "toy/artifacts").rglob("*")
    return sorted(path.read_text() for path in paths if path.is_file())


def test_a_driver_that_is_killed_costs_no_artifact_and_leaves_none_too_many(
    cluster_folder: Folder,
) -> None:
    folder = cluster_folder
    (folder.path / "leaving.py").write_text(LEAVING)
    sweep = folder.write(
        trainable="leaving:train",
        fixed={},
        search={"lr": [0.1, 0.2, 0.3, 0.4]},
        race={"keep": 0.5},
        artifacts="winners",
    )
    driver = folder.start("sweep", sweep)
    until(Path(folder.path, "waits").exists, driver)
    driver.kill()
    driver.wait()
    assert {"1 0.4 0", "1 0.3 0"} <= set(kept(folder)), "until the cell is complete"
    (folder.path / "gate").touch()
    said = folder.orch("sweep", sweep).stdout
    assert kept(folder) == ["1 0.4 0", "1 0.4 1", "2 0.4 0", "2 0.4 1"]
    assert "artifacts of 4 trials, 28 bytes" in said
    folder.orch("sweep", sweep, "--runner", "inline", "--store", "undisturbed")
    assert kept(folder, "undisturbed") == kept(folder)
