"""The two packages know nothing of each other, and the command starts light."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from support import commands
from support.toys import Toy

ROOT = Path(__file__).parent.parent


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).partition(".")[0])
    return found


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("orchestrator", {"torch", "torchvision", "trainables"}),
        ("trainables", {"ray", "orchestrator"}),
    ],
)
def test_the_packages_are_held_apart(package: str, forbidden: set[str]) -> None:
    for path in (ROOT / package).rglob("*.py"):
        assert not imports(path) & forbidden, path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """A working folder in which the toy sweep has run."""
    toy = Toy(tmp_path_factory.mktemp("finished"))
    assert commands.orch(toy.folder, "sweep", toy.file, "--runner", "inline").exit_code == 0
    return toy


@pytest.mark.parametrize(
    "command", ["--help", "plan", "status", "table", "sweep", "export --to tensorboard"]
)
def test_commands_that_run_nothing_import_neither_ray_nor_torch(
    finished: Toy, command: str
) -> None:
    python = [sys.executable, "-c", REPORTING_IMPORTS]
    arguments = [command] if command == "--help" else [*command.split(), finished.file.name]
    run = partial(subprocess.run, cwd=finished.folder, capture_output=True, text=True, check=True)
    assert run([*python, *arguments]).stderr.splitlines()[-1] == "[]"


def test_the_installed_command_and_the_module_are_one() -> None:
    script = str(Path(sys.executable).with_name("orch"))
    one, other = (
        subprocess.run([*start, "tabel"], capture_output=True, text=True, check=False)
        for start in ([script], [sys.executable, "-m", "orchestrator"])
    )
    assert one.returncode == other.returncode == 2
    assert "Usage: orch [OPTIONS] COMMAND" in one.stderr
    assert (one.stdout, one.stderr) == (other.stdout, other.stderr)


REPORTING_IMPORTS = """
import atexit, sys
heavy = {"ray", "torch", "scipy.stats", "matplotlib"}
atexit.register(lambda: print(sorted(heavy & sys.modules.keys()), file=sys.stderr))
from orchestrator.cli.main import main
main()
"""


def test_an_interruption_while_source_text_runs_has_the_same_exit_code() -> None:
    """Python itself would end by the signal then, whatever the exit code."""
    done = subprocess.run([sys.executable, "-c", INTERRUPTED_IN_SOURCE_TEXT], check=False)
    assert done.returncode == 130


INTERRUPTED_IN_SOURCE_TEXT = """
try:
    exec("raise KeyboardInterrupt")
except KeyboardInterrupt:
    pass
from orchestrator import __main__ as command

command.main = lambda **_: command.sys.exit(130)
command.run()
"""
