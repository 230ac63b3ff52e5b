"""`orch plan --pilot`: real trials in real processes, of which nothing is left."""

from __future__ import annotations

import json
import re

from support.folder import Folder

HEAVY = """
import toy


def train(params, trial):
    held = b"x" * (64 << 20)
    yield from toy.train(params, trial)
    del held
"""


def contents(folder: Folder) -> dict[str, bytes]:
    found = (path for path in folder.path.rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in found if "__pycache__" not in path.parts}


def test_a_pilot_measures_cells_that_lack_trials_and_leaves_the_store_alone(
    cluster_folder: Folder,
) -> None:
    folder = cluster_folder
    (folder.path / "heavy.py").write_text(HEAVY)
    keys = {"trainable": "heavy:train", "seeds": [0, 1]}
    folder.orch("sweep", folder.write(factors={"x": [1]}, **keys), "--runner", "inline")
    sweep = folder.write(factors={"x": [1, 2, 3]}, **keys)
    before = contents(folder)
    done = folder.orch("plan", sweep, "--pilot", "--json")
    found = json.loads(done.stdout)
    assert (found["done"], found["missing"]) == (4, 8)
    assert [(cell["x"], cell["missing"]) for cell in found["pilot"]] == [(2, 4), (3, 4)]
    for cell in found["pilot"]:
        assert cell["whole_trial"]
        assert cell["epochs_measured"] == 3
        assert cell["memory"] > 60 << 20
        assert cell["seconds"] > 0
        assert cell["gpu_memory"] is None
    assert contents(folder) == before
    assert json.loads(folder.orch("plan", sweep, "--json").stdout)["missing"] == 8


def test_a_pilot_says_what_it_measured_and_which_cells_fail(cluster_folder: Folder) -> None:
    sweep = cluster_folder.write(factors={"x": [1], "fault": ["[raise]", "raise", None]})
    done = cluster_folder.orch("plan", sweep, "--pilot", code=1)
    assert "failed: x=1, fault=raise: RuntimeError: this trial always fails" in done.stdout
    assert done.stdout.count("whole trial") == 2
    assert "Nothing is stored." in done.stdout
    said = "8 missing trials on 2 CPUs; 1 cell without an estimate left out"
    assert said in " ".join(done.stdout.split())
    assert "[raise]" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "Traceback" not in done.stdout + done.stderr
    assert not (cluster_folder.path / "results").exists()


def test_a_pilot_expects_the_later_rounds_of_a_race_and_what_claims_may_ask_for(
    cluster_folder: Folder,
) -> None:
    sweep = cluster_folder.write(
        factors={"x": [1, 2]},
        race={"keep": 0.5},
        confirm=1,
        decide={"at_most": 3},
        claims=[{"name": "c", "compare": {"x": [2, 1]}, "metric": "accuracy", "expect": "greater"}],
    )
    counts = json.loads(cluster_folder.orch("plan", sweep, "--json").stdout)
    said = " ".join(cluster_folder.orch("plan", sweep, "--pilot").stdout.split())
    assert counts["missing"] < min(counts["at_worst"], counts["full_grid"])
    expected = (
        rf"about \S+ s for {counts['missing']} missing trials on 2 CPUs; "
        r"about \S+ s if no claim gets a verdict; about \S+ s for the full grid"
    )
    assert re.search(expected, said), said


def test_a_pilot_refuses_what_a_sweep_would_refuse(cluster_folder: Folder) -> None:
    (cluster_folder.path / "strict.py").write_text(
        "def train(params, trial):\n    yield {}\n\n"
        "def check(params):\n    raise ValueError('x: too large')\n\ntrain.check = check\n"
    )
    refused = cluster_folder.write(trainable="strict:train")
    done = cluster_folder.orch("plan", refused, "--pilot", code=2)
    assert f"{refused}: line 2: `trainable`: x: too large" in done.stderr
    large = cluster_folder.write(resources={"gpu": 0.5})
    done = cluster_folder.orch("plan", large, "--pilot", code=2)
    assert "a trial requests 1 CPUs and 1 GPUs, more than any node has" in done.stderr


def test_where_nothing_is_missing_there_is_no_pilot(folder: Folder) -> None:
    sweep = folder.write()
    folder.orch("sweep", sweep, "--runner", "inline")
    found = json.loads(folder.orch("plan", sweep, "--pilot", "--json").stdout)
    assert found["missing"] == 0
    assert "pilot" not in found
