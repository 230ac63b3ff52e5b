"""Files beside a trainable may have the name of any module that this tool or Ray imports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from support.folder import Folder
from support.waiting import HANG_SECONDS

FIT = """
import os
import subprocess
import sys

import helper
import yaml

CHILD = "import sys; print([sys.flags.safe_path, sys.path[0]])"


def train(params, trial):
    child = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True)
    trial.record(
        first=sys.path[0],
        own=f"{helper.__file__} {yaml.__file__}",
        child=child.stdout,
        safe=os.environ.get("PYTHONSAFEPATH"),
    )
    yield {"score": 1.0}
"""
OTHERS = ("queue", "random", "json", "types", "select", "statistics", "token", "ray", "pandas")


def test_a_sweep_runs_beside_files_with_the_names_of_pythons_and_rays_modules(
    folder: Folder,
) -> None:
    for name in (*OTHERS, "click", "numpy", "orchestrator"):
        (folder.path / f"{name}.py").write_text("raise RuntimeError(__file__)")
    for name in ("helper", "yaml"):
        (folder.path / f"{name}.py").write_text("")
    (folder.path / "fit.py").write_text(FIT)
    sweep = folder.write(trainable="fit:train", seeds=[0], search={}, fixed={})
    orch = Path(sys.executable).with_name("orch")  # `python -m` puts the folder before all else
    done = subprocess.run(
        [orch, "sweep", sweep],
        cwd=folder.path,
        env=folder.environment,
        timeout=HANG_SECONDS,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for facts in folder.trials()["facts"].map(json.loads):
        assert facts["first"] == str(folder.path)
        assert facts["own"] == f"{folder.path}/helper.py {folder.path}/yaml.py"
        assert facts["child"] == "[False, '']\n"
        assert facts["safe"] == "None"
