"""The wheel, installed into an environment of its own that has not seen the source tree."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from support.folder import environment

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def done(*command: object, cwd: Path) -> str:
    ended = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the sources, install it, and return the environment.

    What it depends on is this environment's, which holds 5 GB: its folder is added to the path of
    the new one, without the `.pth` files that would lead to the source tree.
    """
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("orchestrator", "trainables"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    done(*pip, "wheel", "--quiet", "--no-deps", "-w", folder, source, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    shutil.rmtree(source)
    own = folder / "venv"
    venv.create(own, with_pip=False, symlinks=True)
    done(*pip, "--python", own, "install", "--quiet", "--no-deps", wheel, cwd=folder)
    (site,) = own.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return own


@pytest.mark.no_cover
def test_the_wheel_runs_the_quickstart(installed: Path, tmp_path: Path) -> None:
    where = "import orchestrator, trainables; print(orchestrator.__file__, trainables.__file__)"
    for file in done(installed / "bin/python", "-c", where, cwd=tmp_path).split():
        assert Path(file).is_relative_to(installed)
    text = (ROOT / "sweeps/quickstart.yaml").read_text()
    shorter = text.replace("  epochs: 10\n", "  epochs: 2\n  train_size: 200\n")
    assert shorter != text
    (tmp_path / "quickstart.yaml").write_text(shorter)
    orch = installed / "bin/orch"
    shown = done(orch, "sweep", "quickstart.yaml", "--seeds", "0", cwd=tmp_path)
    assert "accuracy: test_accuracy (%)" in shown
    done(orch, "report", "quickstart.yaml", "--seeds", "0", "-o", "report.html", cwd=tmp_path)
    assert "</html>" in (tmp_path / "report.html").read_text()


@pytest.mark.no_cover
def test_the_wheel_runs_a_program_and_what_init_writes(installed: Path, tmp_path: Path) -> None:
    orch = installed / "bin/orch"
    done(orch, "init", "mine", "--kind", "command", cwd=tmp_path)
    (file,) = tmp_path.glob("**/mine.yaml")
    done(orch, "sweep", file, "--runner", "inline", cwd=tmp_path)
    assert '"missing": 0' in done(orch, "plan", file, "--json", cwd=tmp_path)
