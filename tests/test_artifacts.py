"""`artifacts`: what a store retains of its trials, and what it says of those without."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.buckets import Bucket
from support.commands import orch
from support.storing import Lab, make_sweep

import orchestrator
from orchestrator.errors import StoreError
from orchestrator.spec.grid import expand
from orchestrator.store import settle
from orchestrator.store.files import Files

TRAINABLE = """
import os
from pathlib import Path


def train(params, trial):
    keep = trial.folder / "keep"
    keep.mkdir()
    artifacts = Path("results/toy/artifacts")
    name = f"{params['x']} {params['lr']} {params['seed']}"
    with Path("seen").open("a") as seen:
        there = sorted(os.listdir(artifacts)) if artifacts.is_dir() else []
        seen.write(f"{name} {' '.join(there)}\\n")
    if params["lr"] != 0.7:
        (keep / "weights.txt").write_text(f"{VERSION} {name}")
    yield {"score": params["lr"] + 0.001 * params["seed"] + params["x"]}


VERSION = 1
"""


class Runs:
    """A folder with a trainable that leaves a file, and says which artifacts it sees."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "leaves.py").write_text(TRAINABLE)

    def write(self, name: str = "toy", **keys: Any) -> str:
        sweep = {
            "name": name,
            "trainable": "leaves:train",
            "seeds": [0, 1],
            "factors": {"x": [1, 2]},
            "search": {"lr": [0.1, 0.2, 0.3, 0.4]},
            "select": {"metric": "score"},
            "artifacts": "winners",
            **keys,
        }
        (self.folder / f"{name}.yaml").write_text(json.dumps(sweep))
        return f"{name}.yaml"

    def orch(self, *words: str, code: int = 0) -> str:
        done = orch(self.folder, *words)
        assert done.exit_code == code, done.output
        return done.stdout + done.stderr

    def sweep(self, file: str, *words: str) -> str:
        return self.orch("sweep", file, "--runner", "inline", *words)

    def kept(self, name: str = "toy") -> list[str]:
        """Read what the store retains, sorted."""
        found = (self.folder / "results" / name / "artifacts").rglob("*")
        return sorted(path.read_text() for path in found if path.is_file())

    def ids(self, name: str = "toy") -> dict[tuple[int, float, int], str]:
        trials = orchestrator.open_store(self.folder / "results" / name).trials
        keys = zip(trials["x"], trials["lr"], trials["seed"], strict=True)
        return dict(zip(keys, trials["trial_id"], strict=True))


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


# Which are retained


def test_an_unknown_choice_is_refused(runs: Runs) -> None:
    said = runs.orch("sweep", runs.write(artifacts="winner"), code=2)
    assert "toy.yaml: line 1: `artifacts`: expected 'none', 'winners' or 'all'" in said


@pytest.mark.parametrize(
    ("keys", "kept"),
    [
        ({}, ["1 1 0.4 0", "1 1 0.4 1", "1 2 0.4 0", "1 2 0.4 1"]),
        ({"artifacts": "none"}, []),
        ({"race": {"keep": 0.5}}, ["1 1 0.4 0", "1 1 0.4 1", "1 2 0.4 0", "1 2 0.4 1"]),
        ({"confirm": 1}, ["1 1 0.4 1000", "1 2 0.4 1000"]),
        ({"select": {"metric": "score", "mode": "min"}, "seeds": [0]}, ["1 1 0.1 0", "1 2 0.1 0"]),
    ],
)
def test_those_of_the_trials_that_tables_report_are_retained(
    runs: Runs, keys: dict[str, Any], kept: list[str]
) -> None:
    runs.sweep(runs.write(**keys))
    assert runs.kept() == kept


def test_all_are_retained_where_the_file_says_so_and_fewer_once_it_does_not(runs: Runs) -> None:
    runs.sweep(runs.write(artifacts="all"))
    assert len(runs.kept()) == 16
    runs.sweep(runs.write(artifacts="none"))
    assert len(runs.kept()) == 16, "none retains no more, and deletes nothing"
    runs.sweep(runs.write())
    assert len(runs.kept()) == 4


def test_confirm_seeds_that_only_claims_ask_for_are_not_reported(runs: Runs) -> None:
    claim = {"name": "more", "compare": {"x": [2, 1]}, "metric": "score", "expect": "greater"}
    runs.sweep(runs.write(decide={"at_most": 5}, claims=[claim]))
    assert max(seed for _, _, seed in runs.ids()) > 1001
    assert [text.split()[-1] for text in runs.kept()] == ["1000", "1001"] * 2


def test_a_loser_goes_when_its_race_is_lost_or_its_cell_complete_and_not_before(
    runs: Runs,
) -> None:
    runs.sweep(runs.write(race={"keep": 0.5}))
    ids = runs.ids()
    seen = [line.split(" ") for line in (runs.folder / "seen").read_text().splitlines()]
    trials = [(int(x), float(lr), int(seed)) for x, lr, seed, *_ in seen]
    assert trials == [
        *((1, lr, 0) for lr in (0.1, 0.2, 0.3, 0.4)),
        *((1, lr, 1) for lr in (0.3, 0.4)),
        *((2, lr, 0) for lr in (0.1, 0.2, 0.3, 0.4)),
        *((2, lr, 1) for lr in (0.3, 0.4)),
    ]
    for index, (trial, (_, _, _, *there)) in enumerate(zip(trials, seen, strict=True)):
        x, _, seed = trial
        before = set(trials[:index])
        if seed == 1:
            before -= {(x, 0.1, 0), (x, 0.2, 0)}
        if x == 2:
            before = {t for t in before if t[0] == 2 or t[1] == 0.4}
        assert set(filter(None, there)) == {ids[each] for each in before}


def test_a_trial_that_a_file_no_longer_asks_for_keeps_its_artifact_until_it_is_pruned(
    runs: Runs,
) -> None:
    runs.sweep(runs.write(search={"lr": [0.3, 0.4]}))
    file = runs.write(search={"lr": [0.3]}, artifacts="all")
    runs.sweep(file)
    assert "1 1 0.4 0" in runs.kept()
    runs.orch("prune", file)
    assert not any(" 0.4 " in text for text in runs.kept())
    retired = (runs.folder / "results/toy/retired/artifacts").rglob("weights.txt")
    assert "1 1 0.4 0" in {path.read_text() for path in retired}


def test_a_trial_that_runs_again_leaves_its_artifact_anew(runs: Runs) -> None:
    file = runs.write()
    runs.sweep(file)
    (runs.folder / "leaves.py").write_text(TRAINABLE.replace("VERSION = 1", "VERSION = 2"))
    runs.sweep(file, "--rerun-stale")
    assert [text[0] for text in runs.kept()] == ["2"] * 4
    (runs.folder / "leaves.py").write_text(TRAINABLE.replace("VERSION = 1", "VERSION = 3"))
    runs.sweep(runs.write(artifacts="none"), "--rerun-stale")
    assert runs.kept() == [], "they are of trials whose rows are gone"


# Reuse


def test_that_of_a_reused_trial_comes_along(runs: Runs) -> None:
    runs.sweep(runs.write(artifacts="all"))
    runs.sweep(runs.write("other"))
    assert len((runs.folder / "seen").read_text().splitlines()) == 16
    assert runs.kept("other") == ["1 1 0.4 0", "1 1 0.4 1", "1 2 0.4 0", "1 2 0.4 1"]


def test_that_of_another_run_of_the_same_trial_does_not(runs: Runs) -> None:
    first = runs.write(artifacts="all")
    runs.sweep(first)
    runs.sweep(runs.write("other", artifacts="none"))
    (runs.folder / "leaves.py").write_text(TRAINABLE.replace("VERSION = 1", "VERSION = 2"))
    runs.sweep(first, "--rerun-stale")
    (runs.folder / "leaves.py").write_text(TRAINABLE)
    said = runs.sweep(runs.write("other"))
    assert runs.kept("other") == []
    assert "no artifact is there" in said


# Winners without one


def test_a_winner_without_one_is_named_with_the_command_that_makes_it(runs: Runs) -> None:
    runs.sweep(runs.write(artifacts="none"))
    said = runs.sweep(runs.write())
    assert said.count("has no artifact; to make it: ") == 4
    assert "x=1, lr=0.4, seed=0 has no artifact" in said
    status = runs.orch("status", "toy.yaml")
    commands = re.findall("to make it: orch (.*)", status)
    assert "kept: weights.txt (9 bytes)" in runs.orch(*shlex.split(commands[0]))
    assert runs.kept() == ["1 1 0.4 0"]
    said = runs.orch("status", "toy.yaml")
    assert "artifacts of 1 trial, 9 bytes, in " in said
    assert said.count("to make it") == 3


def test_a_command_in_a_message_names_the_stores_that_were_typed(runs: Runs) -> None:
    said = runs.sweep(runs.write(search={"lr": [0.7]}), "--store", "my stores")
    (command, *_) = re.findall("to make it: orch (.*)", said)
    said = runs.orch(*shlex.split(command))
    assert "nothing to keep: the trial has left nothing in `keep`" in said


def test_numbers_that_differ_keep_nothing(runs: Runs) -> None:
    runs.sweep(runs.write(artifacts="none"))
    (runs.folder / "leaves.py").write_text(TRAINABLE.replace('params["lr"] +', 'params["lr"] -'))
    said = runs.orch("again", "toy.yaml", "x=1,lr=0.4,seed=1", "--keep", code=1)
    assert "not equal" in said
    assert runs.kept() == []
    said = runs.orch("again", "toy.yaml", "x=1,lr=0.4,seed=1", "--keep", "--pdb", code=2)
    assert "leave out --keep" in said


# What is said of them


def test_programs_and_python_find_them(runs: Runs) -> None:
    file = runs.write()
    runs.sweep(file)
    of_sweep = json.loads(runs.orch("status", file, "--json"))["artifacts"]
    assert of_sweep == {"trials": 4, "bytes": 36, "lacking": []}
    trial = json.loads(runs.orch("status", file, "x=2,lr=0.4,seed=1", "--json"))
    folder = runs.folder / "results/toy/artifacts" / trial["trial_id"]
    assert trial["artifact"] == {"folder": str(folder), "files": {"weights.txt": 9}}
    assert f"artifact: {folder}/weights.txt (9 bytes)" in runs.orch(
        "status", file, "x=2,lr=0.4,seed=1"
    )
    loser = json.loads(runs.orch("status", file, "x=2,lr=0.1,seed=1", "--json"))
    assert loser["artifact"] is None
    best = orchestrator.open_store(runs.folder / "results/toy").best()
    read = [[Path(p, "weights.txt").read_text() for p in paths] for paths in best["artifacts"]]
    assert read == [["1 1 0.4 0", "1 1 0.4 1"], ["1 2 0.4 0", "1 2 0.4 1"]]
    shutil.rmtree(best["artifacts"][0][0])
    left = orchestrator.open_store(runs.folder / "results/toy").best()["artifacts"]
    assert list(left) == [(None, best["artifacts"][0][1]), best["artifacts"][1]]
    assert "of 3 trials, 27 bytes" in orchestrator.open_store(runs.folder / "results/toy").report()


def test_a_command_hears_that_its_files_are_not_kept(runs: Runs) -> None:
    (runs.folder / "program.py").write_text(
        "import os\nfrom pathlib import Path\n"
        "keep = Path(os.environ['ORCH_TRIAL_FOLDER'], 'keep')\n"
        "keep.mkdir()\n(keep / 'out').write_text('of the program')\n"
        """print('{"score": 1}')\n"""
    )
    keys = {
        "trainable": None,
        "command": ["python", "program.py", "--{params}"],
        "metrics": {"json": "stdout"},
        "search": {},
        "factors": {},
        "seeds": [0],
    }
    assert "is deleted when a trial ends" in runs.sweep(runs.write(**keys, artifacts="none"))
    said = runs.sweep(runs.write(**keys), "--store", "others")
    assert "is deleted when" not in said
    assert runs.kept("../others/toy") == ["of the program"]


def test_what_is_no_file_of_the_trial_is_left_out_and_named(runs: Runs) -> None:
    (runs.folder / "leaves.py").write_text(
        "import os\n\n\ndef train(params, trial):\n"
        "    keep = trial.folder / 'keep'\n    keep.mkdir()\n"
        "    (trial.folder / 'real').write_text('real')\n"
        "    (keep / 'link').symlink_to('../real')\n"
        "    (keep / 'passwd').symlink_to('/etc/passwd')\n"
        "    (keep / 'etc').symlink_to('/etc')\n"
        "    os.mkfifo(keep / 'pipe')\n"
        "    (keep / 'circle').symlink_to('circle')\n"
        "    open(os.fsencode(keep) + b'/caf\\xe9', 'w').close()\n"
        "    yield {'score': 1}\n"
    )
    file = runs.write(search={}, factors={}, seeds=[0])
    runs.sweep(file)
    assert runs.kept() == ["real"]
    log = runs.orch("logs", file, "seed=0")
    left_out = ["caf\\udce9", "circle", "etc", "passwd", "pipe"]
    assert re.findall("(?m)^(.*) is left out of the artifact", log) == left_out
    os.mkdir(os.fsencode(runs.folder) + b"/results/caf\xe9")  # noqa: PTH102
    assert "1 of 1 trials done" in runs.orch("status", file)


def test_a_file_may_stand_in_place_of_the_folder(runs: Runs) -> None:
    (runs.folder / "leaves.py").write_text(
        "def train(params, trial):\n    (trial.folder / 'keep').write_text('alone')\n"
        "    yield {'score': 1}\n"
    )
    runs.sweep(runs.write(search={}, factors={}, seeds=[0]))
    assert runs.kept() == ["alone"]


# Buckets


def test_they_lie_in_a_bucket_as_on_a_disk(
    runs: Runs, s3: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    root = f"{s3.address}/runs"
    runs.sweep(runs.write(artifacts="all"), "--store", root)
    runs.sweep(runs.write("other"), "--store", root)
    best = orchestrator.open_store(f"{root}/other").best()
    found = [path for paths in best["artifacts"] for path in paths]
    files = Files(f"{root}/other")
    names = [path.removeprefix(f"{root}/other/") for path in found]
    assert [files.read(f"{name}/weights.txt") for name in names] == [
        b"1 1 0.4 0",
        b"1 1 0.4 1",
        b"1 2 0.4 0",
        b"1 2 0.4 1",
    ]
    assert len(files.sizes("artifacts")) == 4
    assert "artifacts of 4 trials, 36 bytes" in runs.orch("status", "other.yaml", "--store", root)


def test_one_that_the_store_refuses_costs_the_trial_nothing(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise StoreError("results/toy: cannot be written (No space left on device)")

    monkeypatch.setattr(Files, "link", refuse)
    file = runs.write(search={"lr": [0.1]})
    said = runs.sweep(file)
    assert said.count("has no artifact; to make it") == 4
    log = runs.orch("logs", file, "x=1,lr=0.1,seed=0")
    assert "the artifact is not kept: results/toy: cannot be written (No space left" in log
    assert runs.kept() == []


def test_what_killed_workers_leave_goes_at_the_next_start(runs: Runs) -> None:
    file = runs.write(search={"lr": [0.4]})
    runs.sweep(file)
    artifacts = runs.folder / "results/toy/artifacts"
    for name in (".half-0123", "0123456789abcdef"):
        (artifacts / name).mkdir()
        (artifacts / name / "weights.txt").write_text("half")
    runs.sweep(file)
    assert len(list(artifacts.iterdir())) == 4


def test_retiring_a_trial_moves_its_artifact_with_it(tmp_path: Path) -> None:
    lab, sweep = Lab(str(tmp_path / "toy")), make_sweep()
    trials = expand(sweep)
    lab.prepare(sweep)
    lab.commit(sweep, *trials)
    (tmp_path / "keep").write_text("left")
    for trial in trials:
        lab.store.artifacts.put(trial.trial_id, tmp_path)
    settle.retire(lab.store, sweep, {trials[0].trial_id})
    assert set(lab.store.artifacts.sizes()) == {trials[0].trial_id}
    moved = lab.store.files.read(f"retired/artifacts/{trials[1].trial_id}/keep")
    assert moved == b"left"
