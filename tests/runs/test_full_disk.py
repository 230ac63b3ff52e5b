"""A disk that fills while a sweep runs: told in a line, and the next run ends complete."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.comparing import assert_same
from support.disks import mounted
from support.folder import Folder

pytestmark = pytest.mark.slow

GREEDY = """
import json
import os
from pathlib import Path

import toy


def train(params, trial):
    for epoch, metrics in enumerate(toy.train(params, trial), 1):
        if epoch == 1 and Path(params["marks"], "fill").exists():
            fill(Path(params["marks"], "results/filler"))
        yield metrics


def fill(path):
    with path.open("ab", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(256))
        except OSError:
            return
"""


@pytest.fixture
def small_disk(folder: Folder) -> Iterator[Path]:
    """Mount a disk of half a megabyte where the store is to be."""
    with mounted(folder.path / "results", "512k") as disk:
        yield disk


LEAVING = """
import toy


def train(params, trial):
    yield from toy.train(params, trial)
    (trial.folder / "keep").write_bytes(bytes(100_000 * params["seed"]))
"""


@pytest.fixture
def small_disk_of_artifacts(folder: Folder) -> Iterator[Path]:
    """Mount a disk of a quarter of a megabyte where the artifacts are to be."""
    with mounted(folder.path / "results/toy/artifacts", "256k") as disk:
        yield disk


def test_an_artifact_that_does_not_fit_costs_the_trial_nothing_and_is_named(
    folder: Folder, small_disk_of_artifacts: Path
) -> None:
    (folder.path / "leaving.py").write_text(LEAVING)
    sweep = folder.write(
        trainable="leaving:train", factors={}, search={}, seeds=[1, 2, 3], artifacts="winners"
    )
    done = folder.orch("sweep", sweep, "--runner", "inline")
    assert set(folder.trials()["status"]) == {"completed"}
    assert "artifacts of 1 trial, 100.0 kB" in done.stdout
    assert "seed=2 has no artifact; to make it: orch again" in done.stdout
    assert len(list(small_disk_of_artifacts.iterdir())) == 1, "what did not fit takes no room"
    log = folder.orch("logs", sweep, "seed=3").stdout
    assert "the artifact is not kept: results/toy/artifacts/" in log
    assert "(No space left on device)" in log
    small = folder.orch("again", sweep, "seed=3", "--keep", code=2)
    assert "free some space, then run the same command again" in small.stderr


def test_a_disk_that_fills_costs_a_line_and_nothing_after_it_is_freed(
    folder: Folder, small_disk: Path
) -> None:
    (folder.path / "greedy.py").write_text(GREEDY)
    (folder.path / "fill").touch()
    sweep = folder.write(trainable="greedy:train", search={}, retries=0)
    done = folder.orch("sweep", sweep, code=2)
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: results/toy/")
    assert "(No space left on device); free some space, then run the same command again" in last
    (folder.path / "fill").unlink()
    (small_disk / "filler").unlink()
    folder.orch("sweep", sweep)
    assert set(folder.trials()["status"]) == {"completed"}
    folder.orch("sweep", sweep, "--runner", "inline", "--store", "undisturbed")
    assert_same(folder.numbers(), folder.numbers(root="undisturbed"))
