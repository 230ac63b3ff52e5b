"""A trainable with a typo: told once, by both runners, in the user's own frames."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.folder import Folder

FIT = """\
def train(params, trial):
    yield {"score": scaled(params)}


def scaled(params):
    return params["x"] * params["lr"] * params["widht"]
"""


@pytest.fixture
def sweep(cluster_folder: Folder) -> Path:
    """Write a sweep of twelve trials, each of which would fail."""
    (cluster_folder.path / "fit.py").write_text(FIT)
    return cluster_folder.write(
        trainable="fit:train", seeds=[0, 1, 2], fixed={"width": 3}, retries=1
    )


@pytest.mark.parametrize("runner", ["tune", "inline"])
def test_a_typo_is_told_once_with_the_users_frames(
    cluster_folder: Folder, sweep: Path, runner: str
) -> None:
    done = cluster_folder.orch("sweep", sweep, "--runner", runner, code=1)
    assert done.stdout == ""
    before, _, error = done.stderr.partition("error: ")
    file = cluster_folder.path / "fit.py"
    first, *frames, last = [line for line in error.splitlines() if "^" not in line]
    count, _, rest = first.partition(" ")  # others may fail before the first ones
    assert 3 <= int(count) <= 12
    assert (
        rest == "of 12 trials failed with the same error and none has finished, so the sweep stops:"
    )
    assert frames == [
        f'  File "{file}", line 2, in train',
        '    yield {"score": scaled(params)}',
        f'  File "{file}", line 6, in scaled',
        '    return params["x"] * params["lr"] * params["widht"]',
        "KeyError: 'widht'",
    ]
    assert last.endswith("run all trials with --keep-going")
    if runner == "tune":
        assert "KeyError" not in before
    trials = cluster_folder.trials()
    assert list(trials["status"]) == ["failed"] * int(count)
    assert set(trials["attempts"]) == {1}
    status = cluster_folder.orch("status", sweep).stdout
    assert f"{count} trials failed: KeyError: 'widht'; see results/toy/logs/" in status

    file.write_text(FIT.replace('params["widht"]', "1"))
    cluster_folder.orch("sweep", sweep, "--runner", runner)
    assert len(cluster_folder.trials()) == 12


def test_keep_going_runs_all_and_shows_no_table_of_nothing(cluster_folder: Folder) -> None:
    (cluster_folder.path / "fit.py").write_text(FIT)
    sweep = cluster_folder.write(trainable="fit:train", seeds=[0], fixed={"width": 3}, retries=0)
    done = cluster_folder.orch("sweep", sweep, "--keep-going", code=1)
    assert done.stdout == ""
    assert "no trial has finished: there is nothing to show yet" in done.stderr
    assert "4 trials failed; to retry: orch sweep" in done.stderr
    status = cluster_folder.orch("status", sweep).stdout
    assert status.count("KeyError") == 1
    assert "4 trials failed: KeyError: 'widht'; see results/toy/logs/" in status
