"""The README's examples are run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import commands
from support.folder import Folder, environment
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
    """Run the quickstart as the Makefile does, in a shorter version and a folder of its own."""
    folder = tmp_path_factory.mktemp("quickstart")
    file = folder / "sweeps/quickstart.yaml"
    file.parent.mkdir()
    text = (ROOT / "sweeps/quickstart.yaml").read_text()
    assert text.count("  epochs: 10\n") == 1
    file.write_text(text.replace("  epochs: 10\n", "  epochs: 2\n  train_size: 200\n"))
    return folder, run("-m", "orchestrator", "sweep", "sweeps/quickstart.yaml", folder=folder)


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
    folder = Folder(tmp_path, environment())
    folder.orch("sweep", "widths.yaml", "--runner", "inline")
    assert '"trials": 12, "done": 12' in folder.orch("plan", "widths.yaml", "--json").stdout


def test_every_command_in_the_readme_exists() -> None:
    for command in set(re.findall(r"`orch (\w+)", README)):
        assert commands.orch(ROOT, command, "--help").exit_code == 0


def test_the_readme_opens_with_a_published_row() -> None:
    published = (ROOT / "docs/results/table1-small/tables.md").read_text()
    [row] = [line for line in README.splitlines() if line.startswith("| vgg16_11 ")]
    assert row in published
