"""Ways in which training code is laid out: what is loaded counts, and nothing else does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from support.commands import as_in_a_new_process
from support.folder import Folder, environment

import orchestrator
from orchestrator.code import Archive

KEYS: dict[str, Any] = {
    "trainable": "fit:train",
    "seeds": [0],
    "factors": {"a": [1, 2]},
    "search": {},
    "fixed": {},
    "select": {"metric": "score", "mode": "max"},
}
PRINTING = "import json, sys\nprint(json.dumps({'score': float(sys.argv[1])}))\n"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Make an empty working folder, in one that may hold others."""
    for name in ("work", "temporary"):
        (tmp_path / name).mkdir()
    return Folder(tmp_path / "work", {**environment(), "TMPDIR": str(tmp_path / "temporary")})


def write(folder: Folder, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def sweep(folder: Folder, *options: str, code: int = 0, **keys: Any) -> Path:
    file = folder.write(**{**KEYS, **keys})
    folder.orch("sweep", file, "--runner", "inline", *options, code=code)
    return file


def stale(folder: Folder, file: Path) -> int:
    planned: dict[str, int] = json.loads(folder.orch("plan", file, "--json").stdout)
    return planned["stale"]


def command(*words: str) -> dict[str, Any]:
    return {"trainable": None, "command": [*words], "metrics": {"json": "stdout"}}


@pytest.mark.parametrize(
    "entry", ["'../shelf'", "str(Path(__file__).resolve().parent.parent / 'shelf')"]
)
def test_a_module_beside_the_working_folder_is_compared_and_stored(
    folder: Folder, entry: str
) -> None:
    module = f"beside_{len(entry)}"
    write(
        folder,
        {
            "fit.py": f"import sys\nfrom pathlib import Path\nsys.path.insert(0, {entry})\n"
            f"def train(params, trial):\n    from {module} import SCALE\n"
            "    yield {'score': SCALE * params['a']}\n",
            f"../shelf/{module}.py": "SCALE = 2\n",
            f"{module}.py": "SCALE = 3\n",
        },
    )
    file = sweep(folder)
    assert stale(folder, file) == 0
    write(folder, {f"../shelf/{module}.py": "SCALE = 4\n"})
    assert stale(folder, file) == 2
    outside = {*folder.path.parent.rglob("*")}
    again = folder.process("again", file, "a=1,seed=0", "--stored")
    assert "equal to the bit" in again.stdout
    assert {*folder.path.parent.rglob("*")} == outside


def test_stored_code_is_written_nowhere_else(folder: Folder) -> None:
    write(folder, {"fit.py": "def train(params, trial):\n    yield {'score': params['a']}\n"})
    file = sweep(folder)
    (path,) = folder.path.glob("results/toy/code/*.zip")
    archive = Archive.read(path.read_bytes())
    assert archive is not None
    target = str(folder.path / "written")
    path.write_bytes(archive.but((), {target: b""}).data)
    done = folder.orch("again", file, "a=1,seed=0", "--stored", code=2)
    assert f"names a file elsewhere: {target}" in done.stderr
    assert not Path(target).exists()


def test_a_module_that_a_trial_writes_imports_and_deletes_is_none_of_its_code(
    folder: Folder,
) -> None:
    write(
        folder,
        {
            "fit.py": "import importlib, sys, tempfile\nfrom pathlib import Path\n"
            "def train(params, trial):\n"
            "    with tempfile.TemporaryDirectory() as place:\n"
            "        name = f'made_{params[\"a\"]}'\n"
            "        Path(place, name + '.py').write_text('VALUE = 1')\n"
            "        sys.path.insert(0, place)\n"
            "        value = importlib.import_module(name).VALUE\n"
            "    yield {'score': value}\n"
        },
    )
    assert stale(folder, sweep(folder)) == 0


def test_the_scripts_that_a_shell_script_runs_are_code(folder: Folder) -> None:
    write(folder, {"run.sh": "python train.py $1\n", "train.py": PRINTING})
    file = sweep(folder, **command("sh", "run.sh", "{a}", "{seed}"))
    assert stale(folder, file) == 0
    write(folder, {"train.py": PRINTING.replace("float(", "2 * float(")})
    assert stale(folder, file) == 2


def test_what_other_trials_write_to_files_that_words_name_makes_none_stale(
    folder: Folder,
) -> None:
    script = PRINTING + "open(sys.argv[2], 'a').write('line')\n"
    write(folder, {"train.py": script})
    keys = command("python", "train.py", "{a}", "{a}-{seed}.log")
    sweep(folder, **keys)
    write(folder, {"train.py": f"{script}pass\n"})
    file = sweep(folder, "--rerun-stale", **keys)
    assert stale(folder, file) == 0


def test_a_config_counts_for_the_trials_whose_words_name_it(folder: Folder) -> None:
    write(folder, {"train.py": PRINTING, "1.json": "{}", "2.json": "{}"})
    file = sweep(folder, **command("python", "train.py", "{a}", "{a}.json", "{seed}"))
    write(folder, {"2.json": "[]"})
    assert stale(folder, file) == 1


def test_inline_runs_of_one_process_run_the_present_code(folder: Folder) -> None:
    write(
        folder,
        {
            "fit.py": "import importlib\nfrom parts import model\n"
            "def train(params, trial):\n"
            "    late = importlib.import_module('late')\n"
            "    yield {'score': model.VALUE, 'late': late.VALUE}\n",
            "parts/__init__.py": "",
            "parts/model.py": "VALUE = 1",
            "late.py": "VALUE = 1",
        },
    )
    with as_in_a_new_process(folder.path):
        for value in (1, 2):
            write(folder, {"parts/model.py": f"VALUE = {value}"})
            found = orchestrator.run({**KEYS, "name": "toy", "seeds": [value]}, runner="inline")
            rows = found.trials[found.trials["seed"] == value]
            assert {*rows["score"]} == {value}
        write(folder, {"late.py": "VALUE = 2"})
        found = orchestrator.run({**KEYS, "name": "toy", "seeds": [3]}, runner="inline")
        assert {*found.trials[found.trials["seed"] == 3]["late"]} == {2}
    write(folder, {"late.py": "VALUE = 3"})
    keys = {"seeds": [1, 2, 3]}
    assert stale(folder, folder.write(**{**KEYS, **keys})) == 6


def test_packages_count_that_an_inline_process_has_loaded_already(folder: Folder) -> None:
    write(
        folder,
        {"fit.py": "import numpy\ndef train(params, trial):\n    yield {'score': params['a']}\n"},
    )
    with as_in_a_new_process(folder.path):
        for seed in (0, 1):
            orchestrator.run({**KEYS, "name": "toy", "seeds": [seed]}, runner="inline")
    (path,) = folder.path.glob("results/toy/code/*.json")
    assert json.loads(path.read_text())["packages"] == {"numpy": version("numpy")}


@pytest.mark.filterwarnings("ignore::ImportWarning")  # Python's own, of such finders
def test_a_trainable_may_add_a_finder_of_the_old_kind(folder: Folder) -> None:
    write(
        folder,
        {
            "fit.py": "import sys\nclass Old:\n"
            "    def find_module(self, name, path=None):\n        pass\n"
            "sys.meta_path.append(Old())\n"
            "try:\n    import not_there\nexcept ImportError:\n    not_there = None\n"
            "finally:\n    sys.meta_path.pop()\n"
            "def train(params, trial):\n    yield {'score': params['a']}\n"
        },
    )
    sweep(folder)


def test_of_two_folders_with_one_name_the_file_counts_that_is_imported(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        folder,
        {
            "fit.py": "from tools.sizes import SIZE\n"
            "def train(params, trial):\n    yield {'score': SIZE}\n",
            "tools/sizes.py": "SIZE = 1",
            "../other/tools/sizes.py": "SIZE = 2",
        },
    )
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder.path.parent / "other")])
    assert stale(folder, sweep(folder)) == 0


def test_links_that_lead_nowhere_or_round_and_odd_names_end_nothing(folder: Folder) -> None:
    fit = "def train(params, trial):\n    yield {'score': params['a']}\n"
    write(folder, {"lab/__init__.py": "", "lab/fit.py": fit})
    (folder.path / "lab/gone.py").symlink_to("nothing.py")
    (folder.path / "lab/round").symlink_to(".")
    (folder.path / "lab/above").symlink_to("..")
    odd = Path(os.fsdecode(bytes(folder.path) + b"/caf\xe9.txt"))
    odd.write_text("1")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    for words in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "one"]):
        subprocess.run(["git", *words], cwd=folder.path, check=True)
    odd.write_text("2")
    sweep(folder, trainable="lab.fit:train")
    (folder.path / "lab" / f"{odd.stem}.py").touch()
    file = folder.write(**{**KEYS, "trainable": "lab.fit:train", "seeds": [0, 1]})
    done = folder.orch("sweep", file, "--runner", "inline", code=2)
    assert "'lab/caf\\udce9.py' counts as code, and its name is no UTF-8" in done.stderr
