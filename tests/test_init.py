"""`orch init`: what it writes runs, and it overwrites nothing."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from support.commands import orch

from orchestrator.cli.beginning import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_runs_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    written = orch(tmp_path, "init", f"lines_{kind}", "--kind", kind)
    assert written.stdout.splitlines()[:2] == [f"lines_{kind}.yaml", f"lines_{kind}.py"]
    assert f"next: orch plan lines_{kind}.yaml" in written.stdout
    ast.parse((tmp_path / f"lines_{kind}.py").read_text())
    assert orch(tmp_path, "plan", f"lines_{kind}.yaml").exit_code == 0
    done = orch(tmp_path, "sweep", f"lines_{kind}.yaml", "--runner", "inline")
    assert done.exit_code == 0, done.output
    shown = orch(tmp_path, "table", f"lines_{kind}.yaml", "--format", "json").stdout
    rows = {row["schedule"]: row["mean"] for row in json.loads(shown)}
    assert rows == pytest.approx({"constant": 0.2508, "falling": 0.2472}, abs=0.05)


def test_the_kind_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert orch(tmp_path, "init", "asked", keys="function\n").exit_code == 0
    assert "trial.report" in (tmp_path / "asked.py").read_text()


def test_without_an_answer_the_option_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = orch(tmp_path, "init", "asked", keys="")
    assert refused.exit_code == 2
    assert "Give it by --kind: generator, function, command" in refused.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["null", "true", "false", "results", "folder"])
def test_a_name_may_be_a_word_of_yaml_or_that_of_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    orch(tmp_path, "init", name, "--kind", "generator")
    planned = orch(tmp_path, "plan", f"{name}.yaml")
    assert planned.exit_code == 0, planned.stderr


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("A b", "A b: expected a name of a-z, 0-9 and _, a letter first"),
        ("json", "json: there is a module of this name, which Python would import"),
        ("package", "package: there is a module of this name, which Python would import"),
        ("there", "there.py is there already; give another name, or move it away"),
    ],
)
def test_a_name_that_is_taken_is_refused_and_nothing_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.py").write_text("own = True\n")
    (tmp_path / "package").mkdir()
    (tmp_path / "package/__init__.py").touch()
    refused = orch(tmp_path, "init", name, "--kind", "command" if name == "there" else "generator")
    assert refused.exit_code == 2
    assert said in refused.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"there.py", "package"}
