"""Edits of a trial's code: between two runs, and while a sweep runs."""

from __future__ import annotations

import io
import json
import platform
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.folder import Folder, environment
from support.waiting import until

KEYS: dict[str, Any] = {
    "trainable": "fit:train",
    "seeds": [0],
    "factors": {"a": [1, 2]},
    "search": {},
    "fixed": {},
    "select": {"metric": "score", "mode": "max"},
}
WAIT = """
import time
from pathlib import Path


def wait(params):
    Path(f"waiting-{params['a']}").touch()
    while not Path("gate").exists():
        time.sleep(0.01)
"""


@pytest.fixture
def plain(tmp_path: Path) -> Folder:
    """Make an empty working folder."""
    return Folder(tmp_path, environment())


def inline(folder: Folder, file: Path, *options: object, code: int = 0) -> str:
    return folder.orch("sweep", file, "--runner", "inline", *options, code=code).stderr


def counts(folder: Folder, file: Path) -> dict[str, int]:
    planned: dict[str, int] = json.loads(folder.orch("plan", file, "--json").stdout)
    return planned


def values(folder: Folder, name: str = "toy") -> dict[int, float]:
    rows = pd.read_parquet(folder.path / "results" / name / "trials")
    return dict(zip(rows["a"], rows["score"], strict=True))


def archived(folder: Folder, digest: str, name: str = "toy") -> set[str]:
    data = (folder.path / "results" / name / "code" / f"{digest}.zip").read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {n.removeprefix("files/") for n in archive.namelist() if n.startswith("files/")}


# Between two runs.


def test_an_edit_to_an_imported_module_makes_trials_stale_and_a_comment_does_not(
    plain: Folder,
) -> None:
    model = plain.path / "model.py"
    model.write_text("BASE = 0.5\n")
    (plain.path / "fit.py").write_text(
        "from model import BASE\ndef train(params, trial):\n    yield {'score': BASE}\n"
    )
    file = plain.write(**KEYS)
    inline(plain, file)
    model.write_text("# the base\nBASE = (0.5)\n")
    assert counts(plain, file)["stale"] == 0
    model.write_text("BASE = 0.9\n")
    assert counts(plain, file)["stale"] == 2
    inline(plain, file, "--seeds", "0,1")
    shown = plain.orch("table", file, "--seeds", "0,1").stdout
    assert "(2)§" in shown
    assert "§ a 1; a 2: its trials ran different code (model.py)." in " ".join(shown.split())
    trials = plain.trials()
    by_seed = {seed: set(rows["code_digest"]) for seed, rows in trials.groupby("seed")}
    assert by_seed[0].isdisjoint(by_seed[1])
    for digest in by_seed[0] | by_seed[1]:
        assert archived(plain, digest) == {"fit.py", "model.py"}
    report = plain.orch("report", file, "--output", plain.path / "page.html")
    assert report.returncode == 0
    assert "2 trials ran other code than the present" in (plain.path / "page.html").read_text()


def test_a_config_that_the_code_reads_counts_where_the_sweep_file_lists_it(plain: Folder) -> None:
    (plain.path / "conf").mkdir()
    base = plain.path / "conf/base.json"
    base.write_text('{"steps": 200}')
    (plain.path / "fit.py").write_text(
        "import json\nfrom pathlib import Path\n"
        "def train(params, trial):\n"
        "    yield {'score': json.loads(Path('conf/base.json').read_text())['steps']}\n"
    )
    keys = {**KEYS, "code": ["conf/*.json"]}
    inline(plain, plain.write("short", **keys))
    again = plain.write("again", **keys)
    assert (counts(plain, again)["reused"], counts(plain, again)["missing"]) == (2, 0)
    inline(plain, again)
    (digest,) = set(plain.trials("again")["code_digest"])
    assert archived(plain, digest, "again") == {"fit.py", "conf/base.json"}

    base.write_text('{"steps": 40000}')
    long = plain.write("long", **keys)
    assert (counts(plain, long)["reused"], counts(plain, long)["missing"]) == (0, 2)
    inline(plain, long)
    assert set(values(plain, "long").values()) == {40000}


@pytest.mark.parametrize(
    ("glob", "told"),
    [
        ("conf/*.yml", "`conf/*.yml` matches no file of the working folder"),
        ("../*", "`../*` leaves the working folder"),
        ("toy.yaml", "`toy.yaml` matches no file of the working folder"),
    ],
)
@pytest.mark.parametrize("command", [("plan",), ("sweep", "--runner", "inline")])
def test_a_glob_of_no_use_is_refused_with_its_line(
    plain: Folder, glob: str, told: str, command: tuple[str, ...]
) -> None:
    (plain.path / "fit.py").write_text("def train(params, trial):\n    yield {'score': 1}\n")
    plain.write(**KEYS, code=["fit.py", glob])
    error = plain.orch(*command, "toy.yaml", code=2).stderr
    assert f"toy.yaml: line 8: `code[1]`: {told}" in error
    assert not (plain.path / "results").exists()


def test_what_only_one_trial_imports_counts_for_it_and_its_environment_lists_what_it_loaded(
    cluster_folder: Folder,
) -> None:
    folder = cluster_folder
    for number in (1, 2):
        (folder.path / f"variant_{number}.py").write_text(f"VALUE = {number}\n")
    (folder.path / "fit.py").write_text(
        "import importlib\n"
        "def train(params, trial):\n"
        "    if params['a'] == 1:\n"
        "        import numpy\n"
        "    yield {'score': importlib.import_module(f'variant_{params[\"a\"]}').VALUE}\n"
    )
    file = folder.write(**KEYS)
    folder.orch("sweep", file)
    trials = folder.trials().set_index("a")
    for number, digest in trials["code_digest"].items():
        assert archived(folder, digest) == {"fit.py", f"variant_{number}.py"}
    for number, packages in {1: {"numpy": version("numpy")}, 2: {}}.items():
        digest = trials["environment_digest"][number]
        listed = json.loads((folder.path / f"results/toy/code/{digest}.json").read_text())
        assert listed == {"python": platform.python_version(), "packages": packages}
    (folder.path / "variant_2.py").write_text("VALUE = 3\n")
    assert counts(folder, file)["stale"] == 1


# While a sweep runs.

NAMED = "edited while the sweep runs: "
PAGE = Path(__file__).parents[2] / "docs/identity.md"


def told(file: str, start: str) -> str:
    """Quote the message that the docs show for `model.py`, for another file."""
    (line,) = [line for line in PAGE.read_text().splitlines() if line.startswith(start)]
    return line.replace("model.py", file)


def test_a_file_edited_while_the_sweep_runs_is_named_and_never_mixed_in(
    cluster_folder: Folder,
) -> None:
    folder = cluster_folder
    text = WAIT + (
        "import os, signal\n"
        "VERSION = 1\n"
        "def train(params, trial):\n"
        "    if trial.load() is None:\n"
        "        trial.save(b'begun')\n"
        "        yield {'score': VERSION}\n"
        "        wait(params)\n"
        "        if params['a'] == 1 and not Path('died').exists():\n"
        "            Path('died').touch()\n"
        "            os.kill(os.getppid(), signal.SIGKILL)\n"
        "            time.sleep(60)\n"
        "        while not Path('retried').exists():\n"
        "            time.sleep(0.01)\n"
        "    yield {'score': VERSION}\n"
    )
    (folder.path / "fit.py").write_text(text)
    file = folder.write(**KEYS)
    process = folder.start("sweep", file)
    said = folder.said.read_text
    for number in (1, 2):
        until((folder.path / f"waiting-{number}").exists, process, what="trials", output=said)
    (folder.path / "fit.py").write_text(text.replace("VERSION = 1", "VERSION = 2"))
    until(lambda: told("fit.py", NAMED) in said(), process, what="the naming", output=said)
    (folder.path / "gate").touch()
    # The retry needs a process of its own, since the second trial keeps the other one.
    until(lambda: "1 not run after an edit" in said(), process, what="the retry", output=said)
    (folder.path / "retried").touch()
    assert process.wait() == 1, said()
    assert "1 trial not run: fit.py was edited while the sweep ran" in said()
    assert told("fit.py", "1 trial not run, ").rpartition(":")[0] in said()
    assert values(folder) == {2: 1}
    planned = counts(folder, file)
    assert (planned["done"], planned["stale"], planned["missing"]) == (1, 1, 1)

    assert NAMED not in inline(folder, file)
    assert values(folder) == {1: 2, 2: 1}
    (first,) = [row for row in folder.trials().to_dict("records") if row["a"] == 1]
    log = (folder.path / f"results/toy/logs/{first['trial_id']}.log").read_text()
    assert told("fit.py", "the checkpoint of an earlier attempt") in log


LATE = WAIT + (
    "def train(params, trial):\n"
    "    wait(params)\n"
    "    try:\n"
    "        from late import VALUE\n"
    "    except Exception:\n"
    "        VALUE = -1\n"
    "    yield {'score': VALUE}\n"
)


@pytest.mark.parametrize("change", ["VALUE = 2\n", "# the value\nVALUE = 1\n"])
def test_a_module_edited_before_its_late_import_is_not_run_unless_it_means_the_same(
    cluster_folder: Folder, change: str
) -> None:
    folder, is_edit = cluster_folder, "2" in change
    (folder.path / "fit.py").write_text(LATE)
    (folder.path / "late.py").write_text("VALUE = 1\n")
    file = folder.write(**KEYS)
    process = folder.start("sweep", file)
    said = folder.said.read_text
    for number in (1, 2):
        until((folder.path / f"waiting-{number}").exists, process, what="trials", output=said)
    (folder.path / "late.py").write_text(change)
    (folder.path / "gate").touch()
    assert process.wait() == (1 if is_edit else 0), said()
    if is_edit:
        assert "no trial has run: late.py was edited while the sweep ran" in said()
        assert f"{NAMED}late.py differs" in said()
        inline(folder, file)
    else:
        assert NAMED not in said()
    assert values(folder) == dict.fromkeys((1, 2), 2 if is_edit else 1)


def test_a_listed_file_that_is_edited_before_the_commit_leaves_the_trial_uncommitted(
    cluster_folder: Folder,
) -> None:
    folder = cluster_folder
    base = folder.path / "base.json"
    base.write_text("1")
    (folder.path / "fit.py").write_text(
        WAIT + "def train(params, trial):\n"
        "    value = float(Path('base.json').read_text())\n"
        "    if params['a'] == 2:\n"
        "        wait(params)\n"
        "    yield {'score': value}\n"
    )
    file = folder.write(**KEYS, code=["*.json"])
    process = folder.start("sweep", file)
    said = folder.said.read_text
    committed = folder.path / "results/toy/trials"
    until((folder.path / "waiting-2").exists, process, what="the second trial", output=said)
    until(lambda: len(list(committed.glob("[!0.]*.parquet"))) == 1, process, output=said)
    base.write_text("2")
    (folder.path / "gate").touch()
    assert process.wait() == 1, said()
    assert "1 trial not run: base.json was edited while the sweep ran" in said()
    assert f"{NAMED}base.json differs" in said()
    assert values(folder) == {1: 1}
    inline(folder, file)
    assert values(folder) == {1: 1, 2: 2}
    assert counts(folder, file)["stale"] == 1


def test_inline_trials_are_held_to_the_same(plain: Folder) -> None:
    (plain.path / "fit.py").write_text(
        "from pathlib import Path\n"
        "def train(params, trial):\n"
        "    if params['a'] == 1 and not Path('edited').exists():\n"
        "        Path('edited').touch()\n"
        "        Path('late.py').write_text('VALUE = 2')\n"
        "    import late\n"
        "    yield {'score': late.VALUE}\n"
    )
    (plain.path / "late.py").write_text("VALUE = 1")
    file = plain.write(**KEYS)
    assert "no trial has run: late.py was edited while the sweep ran" in inline(plain, file, code=1)
    inline(plain, file)
    assert values(plain) == {1: 2, 2: 2}
