"""The two packages know nothing of each other, and the command starts light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

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


def test_commands_that_run_nothing_import_neither_ray_nor_torch() -> None:
    heavy = {"ray", "torch", "scipy.stats", "matplotlib"}
    code = (
        "import sys, orchestrator.cli, orchestrator.planning, orchestrator.status, "
        f"orchestrator.tables, orchestrator.pruning\nprint(sorted({heavy} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
