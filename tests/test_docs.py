"""What is made from the code has not drifted, and the documentation builds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from support.scripts import imported

from orchestrator.cli.main import main
from orchestrator.spec import loading as spec

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))


def reference() -> Any:
    """Import docs/reference.py, which is no package's."""
    return imported(DOCS / "reference.py")


def test_generated_pages_are_what_the_code_says() -> None:
    for name, text in reference().pages().items():
        drifted = (DOCS / name).read_text() != text
        assert not drifted, f"docs/{name} has drifted; run `python docs/reference.py`"


def commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """List a command, and those in it if it is a group, with their names."""
    yield name, command
    for part, inner in command.commands.items() if isinstance(command, click.Group) else ():
        yield from commands(inner, f"{name} {part}")


def test_every_command_key_and_column_is_described() -> None:
    pages = reference().pages()
    for name, command in commands(main, "orch"):
        assert isinstance(command, click.Group) or f"## `{name}`" in pages["commands.md"]
        assert command.help
    for name, field in spec.Sweep.model_fields.items():
        assert f"| `{field.alias or name}` |" in pages["sweep-file.md"]
    assert "| `trial_id` |" in pages["columns.md"]


def test_no_page_names_a_folder_of_one_machine() -> None:
    for page in PAGES:
        assert not re.search(r"/(home|root|tmp|work|Users)/", (DOCS / page).read_text()), page


def test_mkdocs_builds_every_page(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="mkdocs-material is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for page in PAGES:
        assert (tmp_path / page).with_suffix(".html").exists()
    assert not list(tmp_path.rglob("*.py"))


def test_every_test_file_belongs_to_a_room_that_contributing_names() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    table = text.partition("| room |")[2].partition("\n\n")[0]
    named = set()
    for name in re.findall(r"\b(?:runs/)?test_[\w*]+|\b(?:trainables|runs)/(?!\w)", table):
        found = list((ROOT / "tests").glob(f"{name}*.py" if name[-1] == "/" else f"{name}.py"))
        assert found, f"CONTRIBUTING.md names tests/{name}"
        named |= set(found)
    files = set((ROOT / "tests").rglob("test_*.py")) - set((ROOT / "tests/cluster").iterdir())
    assert not {path.name for path in files - named}


def test_every_help_ends_with_two_examples_that_fit_the_commands() -> None:
    every = dict(commands(main, "orch"))
    for name, command in every.items():
        shown = [line.split(" > ")[0].split() for line in str(command.epilog).splitlines()[2:]]
        assert len(shown) == 2, name
        for words in shown:
            assert " ".join(words).startswith(f"{name} ")
            length = 3 if words[1] == "cluster" else 2
            typed, arguments = every[" ".join(words[:length])], words[length:]
            context = typed.make_context(name, arguments, resilient_parsing=True)
            named = [word for word in arguments if word.endswith(".yaml")]
            assert all((ROOT / path).exists() for path in named), words
            given = typed.make_parser(context).parse_args(arguments)[0]
            assert given.keys() - {"help"}, words
