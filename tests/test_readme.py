"""The README's examples are run."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.folder import environment
from support.waiting import HANG_SECONDS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def run(*command: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def shape_of(text: str) -> str:
    """Reduce a printed table to its words: figures differ from one processor to another."""
    return " ".join(re.sub(r"[0-9.±─]+", " ", text).split())


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run the quickstart as the Makefile does, but into a folder of its own."""
    folder = tmp_path_factory.mktemp("quickstart")
    store = str(folder / "results")
    file = str(ROOT / "sweeps/quickstart.yaml")
    (folder / "sweeps").mkdir()
    shutil.copy(file, folder / "sweeps")
    return folder, run("-m", "orchestrator", "sweep", file, "--store", store, folder=ROOT)


def test_the_quickstart_prints_the_table_that_the_readme_shows(
    quickstart: tuple[Path, str],
) -> None:
    table, _ = blocks("text")
    shown = shape_of(table.replace("(within noise)", ""))
    printed = shape_of(quickstart[1].replace("(within noise)", ""))
    assert printed.startswith(shown)


def test_pandas_reads_the_probes_as_the_readme_shows(quickstart: tuple[Path, str]) -> None:
    snippet, _ = blocks("python")
    _, shown = blocks("text")
    printed = run("-c", snippet, folder=quickstart[0])
    assert shape_of(printed) == shape_of(shown)
    assert "nan" not in printed.lower()


def test_a_trainable_of_ones_own_runs_as_it_stands_in_the_readme(tmp_path: Path) -> None:
    (sweep,) = blocks("yaml")
    _, trainable = blocks("python")
    (tmp_path / "mine.py").write_text(trainable)
    (tmp_path / "widths.yaml").write_text(sweep)
    run("-m", "orchestrator", "sweep", "widths.yaml", folder=tmp_path)
    plan = run("-m", "orchestrator", "plan", "widths.yaml", "--json", folder=tmp_path)
    assert '"trials": 12, "done": 12' in plan


def test_every_command_in_the_readme_exists() -> None:
    for command in set(re.findall(r"`orch (\w+)", README)):
        run("-m", "orchestrator", command, "--help", folder=ROOT)


def test_the_readme_opens_with_a_published_row() -> None:
    published = (ROOT / "docs/results/table1-mini/tables.md").read_text()
    [row] = [line for line in README.splitlines() if line.startswith("| vgg16_11 ")]
    assert row in published
