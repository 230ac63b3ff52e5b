"""Commands are written again as they were typed: for a cluster, and in "to continue: …"."""

from __future__ import annotations

import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner
from support.toys import SWEEP

from orchestrator.cli import running
from orchestrator.cli.main import main
from orchestrator.cli.typed import arguments_for, command_line


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command line; give the words for a cluster, and the whole line."""
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORCH_DATA_DIR", "elsewhere")
    captured: list[Any] = []

    def capture(context: click.Context, *_: Any, **__: Any) -> int:
        words = arguments_for(context, file="copied.yaml", cluster=None, detach=None)
        captured.append((words, command_line(context)))
        return 0

    there = SimpleNamespace(run_sweep=capture, run_reader=capture, follow_sweep=capture)
    monkeypatch.setattr(running, "remote", lambda _: there)
    monkeypatch.setattr("orchestrator.cli.reading.remote", lambda _: there)

    def run(line: str) -> tuple[list[str], str]:
        result = CliRunner().invoke(main, shlex.split(line)[1:], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return captured.pop()

    return run


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("orch sweep sweep.yaml --cluster c.yaml", "sweep copied.yaml"),
        ("orch sweep --cluster=c.yaml --detach sweep.yaml", "sweep copied.yaml"),
        (
            "orch sweep sweep.yaml --seeds 0-2 --rerun-stale --cluster c.yaml --store s3://a/b",
            "sweep copied.yaml --seeds 0-2 --rerun-stale --store s3://a/b",
        ),
        (
            "orch sweep --cluster c.yaml --smoke --runner=tune --data-dir 'a b' -- sweep.yaml",
            "sweep copied.yaml --runner tune --smoke --data-dir 'a b'",
        ),
        ("orch plan --cluster c.yaml --json --pilot sweep.yaml", "plan copied.yaml --json --pilot"),
        ("orch status sweep.yaml --cluster c.yaml", "status copied.yaml"),
        ("orch logs sweep.yaml 0123 --cluster c.yaml", "logs copied.yaml 0123"),
        ("orch logs sweep.yaml --cluster c.yaml", "logs copied.yaml"),
    ],
)
def test_what_is_about_the_way_to_a_cluster_is_left_out(typed: Any, line: str, words: str) -> None:
    for_cluster, whole = typed(line)
    assert sorted(for_cluster) == sorted(shlex.split(words))
    assert for_cluster[0] == shlex.split(words)[0]
    assert whole == shlex.join(shlex.split(line))


def test_the_arguments_for_a_cluster_are_a_command_of_their_own(typed: Any) -> None:
    words, _ = typed("orch sweep sweep.yaml --seeds 0,3 --cluster c.yaml --store /shared/results")
    context = main.make_context("orch", words)
    name, command, rest = main.resolve_command(context, words)
    assert command is not None
    params = command.make_context(name, rest).params
    assert params["file"] == Path("copied.yaml")
    assert params["seeds"] == (0, 3)
    assert (params["root"], params["cluster"]) == ("/shared/results", None)
