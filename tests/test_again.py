"""`orch again`: a stored trial runs once more, and is compared to the bit."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from support.commands import orch
from support.folder import environment

from orchestrator.running.again import Again
from orchestrator.running.comparison import Comparison, Rows
from orchestrator.running.show_again import print_again

TRAINABLE = """
import random

from helper import SCALE


def train(params, trial):
    for epoch in range(30):
        yield {"score": SCALE * random.random() + params["x"], "other": epoch}
    if params["x"] == 3:
        raise ValueError("no luck")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "noise.py").write_text(TRAINABLE)
    (tmp_path / "helper.py").write_text("SCALE = 1.0\n")
    sweep = {
        "name": "noise",
        "trainable": "noise:train",
        "seeds": [0, 1],
        "factors": {"x": [1, 2, 3]},
        "select": {"metric": "score"},
        "retries": 0,
    }
    (tmp_path / "noise.yaml").write_text(json.dumps(sweep))
    run(tmp_path, "sweep", "noise.yaml", "--keep-going", code=1)
    return tmp_path


def run(folder: Path, *arguments: str, code: int = 0, keys: str = "") -> str:
    """Run `orch` in a process of its own, as trials under Ray do, and return what it prints."""
    command = [sys.executable, "-m", "orchestrator", *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(),
        input=keys,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def files(folder: Path) -> dict[str, bytes]:
    paths = (folder / "results").rglob("*")
    return {str(path): path.read_bytes() for path in paths if path.is_file()}


@pytest.mark.slow
def test_a_trial_of_ray_is_equal_to_the_bit_and_an_edit_shows(folder: Path) -> None:
    before = files(folder)
    same = run(folder, "again", "noise.yaml", "x=1,seed=1")
    assert "equal to the bit in all metrics and all 30 epochs" in same
    assert "10 epochs between them not shown" in same
    (folder / "helper.py").write_text("SCALE = 2.0\n")
    edited = run(folder, "again", "noise.yaml", "x=1,seed=1", code=1)
    assert "not equal: from epoch 1 on in score" in edited
    assert "equal to the bit" in run(folder, "again", "noise.yaml", "x=1,seed=1", "--stored")
    assert files(folder) == before, "nothing is stored"
    assert "{'score': " in run(folder, "again", "noise.yaml", "x=1,seed=1", "--pdb")
    debugged = run(
        folder, "again", "noise.yaml", "x=3,seed=1", "--pdb", keys="p params\nc\n", code=1
    )
    assert "ValueError: no luck" in debugged
    assert "{'x': 3, 'seed': 1}" in debugged
    code = next((folder / "results/noise/code").glob("*.zip"))
    code.write_bytes(b"")
    lost = run(folder, "again", "noise.yaml", "x=1,seed=1", "--stored", code=2)
    assert "does not hold the code that the trial ran" in lost
    failed = run(folder, "again", "noise.yaml", "x=3,seed=1", code=2)
    told = "(x=3, seed=1) has failed: there is nothing to compare with; to debug it: "
    assert f"{told}orch again noise.yaml x=3,seed=1 --pdb" in failed


def test_a_trial_that_fails_is_told_with_its_place_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "late.py").write_text(
        "import pathlib\ndef train(params, trial):\n    yield {'score': 1.0}\n"
        "    if pathlib.Path('data.txt').read_text():\n        raise ValueError('late')\n"
    )
    (tmp_path / "data.txt").touch()
    (tmp_path / "late.yaml").write_text(
        "name: late\ntrainable: late:train\nseeds: [0]\nselect: {metric: score}\n"
    )
    assert orch(tmp_path, "sweep", "late.yaml", "--runner", "inline").exit_code == 0
    (tmp_path / "data.txt").write_text("more")
    failed = run(tmp_path, "again", "late.yaml", "seed=0", code=1)
    assert "(seed=0) fails when it runs again:\n" in failed
    assert '  File "late.py", line 5, in train\n    raise ValueError' in failed
    assert "ValueError: late; to debug it: orch again late.yaml seed=0 --pdb" in failed
    alone = run(tmp_path, "again", "late.yaml", "seed=0", "--stored", code=1)
    assert '  File "late.py", line 4, in train' in alone
    assert "with --stored it finds only the code that the store holds" in alone


def test_a_trial_of_one_epoch_is_told_in_the_singular() -> None:
    epochs = pd.DataFrame({"epoch": [1], "score": [0.5]})
    console = Console(file=io.StringIO())
    rows = Rows(pd.Series({"resumed_at": "[]"}), epochs, pd.DataFrame(), None)
    print_again(Again("score", Comparison(rows, rows, None, (), ()), None), console)
    assert "equal to the bit in all metrics and its one epoch" in console.file.getvalue()


def test_what_cannot_run_again_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sweep = {
        "name": "echo",
        "command": [sys.executable, "-c", 'print({{"score": {seed}}})'],
        "metrics": {"regex": "(?P<score>\\d+)"},
        "seeds": [0],
        "select": {"metric": "score"},
    }
    (tmp_path / "echo.yaml").write_text(json.dumps(sweep))
    assert orch(tmp_path, "sweep", "echo.yaml", "--runner", "inline").exit_code == 0
    debug = orch(tmp_path, "again", "echo.yaml", "seed=0", "--pdb")
    assert "--pdb needs a trainable" in debug.stderr
    both = orch(tmp_path, "again", "echo.yaml", "seed=0", "--pdb", "--stored")
    assert "--pdb runs the present files; leave out --stored" in both.stderr
    assert "echo has no trial seed=7" in orch(tmp_path, "again", "echo.yaml", "seed=7").stderr
