"""`orchestrator.report`, called in whatever a program starts, and how its epochs are read."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import orchestrator
from orchestrator.errors import TrialError
from orchestrator.reporting import reports_to
from orchestrator.running.programs import Epoch
from orchestrator.running.programs.reports import Reports

SAID: list[str] = []


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reports]:
    """Make a reader, and the environment of a program in this process."""
    SAID.clear()
    reader = Reports(SAID.append)
    for name, value in reader.environment.items():
        monkeypatch.setenv(name, value)
    yield reader
    reader.close()


def read(reader: Reports, runs: Callable[[], bool]) -> list[Epoch]:
    """Read epochs as they come while something runs."""
    epochs: list[Epoch] = []
    while runs():
        if select.select([reader], [], [], 0.05)[0]:
            epochs += reader.poll()
    return [*epochs, *reader.end()]


def test_a_report_is_an_epoch_of_numbers_booleans_and_gaps(reports: Reports) -> None:
    orchestrator.report({"loss": 1, "train": {"accuracy": np.float32(0.5)}}, step=10)
    orchestrator.report(done=True, gap=None, tensor=torch.tensor(2.0), count=np.int64(1))
    orchestrator.report(**{"nan": float("nan"), "infinity": float("-inf")})
    first, second, third = reports.poll()
    assert first == {"loss": 1.0, "train/accuracy": 0.5, "step": 10.0}
    assert second == {"done": 1.0, "gap": None, "tensor": 2.0, "count": 1.0}
    assert str(third) == "{'nan': nan, 'infinity': -inf}"
    assert list(reports.end()) == []


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ({"loss": "0.5"}, "was given `loss` as '0.5' of type str; a metric is a number"),
        ({"a": {"b": torch.ones(2)}}, r"`a/b` as tensor\(\[1\., 1\.\]\) of type torch.Tensor"),
        ({"huge": 10**400}, "`huge` as 1000"),
        ([0.5], "takes a mapping of metrics, not list"),
    ],
)
def test_what_is_no_metric_is_an_error_in_the_script(
    reports: Reports, metrics: Any, said: str
) -> None:
    with pytest.raises(TypeError, match=said):
        orchestrator.report(metrics)
    assert list(reports.end()) == []


def test_two_metrics_of_one_name_are_an_error_in_the_script(reports: Reports) -> None:
    with pytest.raises(ValueError, match="two metrics named `a/b`"):
        orchestrator.report({"a": {"b": 1}, "a/b": 2})
    assert list(reports.end()) == []


def test_outside_a_trial_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ORCH_REPORT", raising=False)
    orchestrator.report(loss=1.0)
    orchestrator.report(loss="not even looked at")


def test_threads_report_to_one_reader_which_may_read_late(reports: Reports) -> None:
    """A full pipe lets them wait."""
    wide = {f"metric {number}": number for number in range(300)}

    def train(thread: int) -> None:
        for epoch in range(20):
            orchestrator.report(wide, thread=thread, epoch=epoch)

    threads = [threading.Thread(target=train, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    epochs = read(reports, lambda: any(thread.is_alive() for thread in threads))
    assert len(epochs) == 80
    assert all(epoch.items() >= wide.items() for epoch in epochs)
    for number in range(4):
        assert [e["epoch"] for e in epochs if e["thread"] == number] == list(range(20))


RANKS = """
import subprocess, sys
ranks = [subprocess.Popen([sys.executable, "rank.py", str(rank)]) for rank in range(4)]
sys.exit(any([rank.wait() for rank in ranks]))
"""
RANK = """
import sys
from orchestrator import report
wide = {f"metric {number} of rank {sys.argv[1]}": number for number in range(2000)}
for epoch in range(10):
    report(wide, rank=int(sys.argv[1]), epoch=epoch)
"""


def test_reports_of_several_processes_at_once_stay_whole(reports: Reports, tmp_path: Path) -> None:
    (tmp_path / "rank.py").write_text(RANK)
    program = subprocess.Popen([sys.executable, "-c", RANKS], cwd=tmp_path)
    epochs = read(reports, lambda: program.poll() is None)
    assert program.returncode == 0
    for rank in range(4):
        own = [epoch for epoch in epochs if epoch["rank"] == rank]
        assert [epoch["epoch"] for epoch in own] == list(range(10))
        assert {len(epoch) for epoch in own} == {2002}


def test_a_process_that_outlives_its_trial_is_told(
    reports: Reports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports.close()
    with pytest.raises(RuntimeError, match="the trial of this process has ended"):
        orchestrator.report(loss=1.0)
    os.mkfifo(tmp_path / "pipe")  # as of a reader that was killed
    monkeypatch.setenv("ORCH_REPORT", str(tmp_path / "pipe"))
    with pytest.raises(RuntimeError, match="nobody reads"):
        orchestrator.report(loss=1.0)
    monkeypatch.setattr(reports, "close", lambda: None)


def test_a_trainable_in_this_process_takes_reports_itself(reports: Reports) -> None:
    taken: list[Any] = []
    with reports_to(taken.append):
        orchestrator.report({"loss": 1.0}, step=1)
    orchestrator.report(loss=2.0)
    assert taken == [{"loss": 1.0, "step": 1}]
    assert list(reports.poll()) == [{"loss": 2.0}]


def test_reports_beside_metrics_are_dropped_which_the_log_says_once(reports: Reports) -> None:
    reports.discard()
    assert SAID == []
    for _ in range(2):
        orchestrator.report(loss=1.0)
        reports.discard()
    assert len(SAID) == 1
    assert "orchestrator.report are ignored, since the sweep file has `metrics`" in SAID[0]
    assert list(reports.end()) == []


def test_what_others_write_into_the_pipe_is_named(reports: Reports) -> None:
    with Path(reports.environment["ORCH_REPORT"]).open("w") as pipe:
        pipe.write("loss 0.5\n")
    with pytest.raises(TrialError, match=r"`loss 0\.5` came through ORCH_REPORT"):
        list(reports.poll())


def test_without_reports_the_error_names_both_ways(reports: Reports) -> None:
    assert "never called orchestrator.report" in reports.nothing()
    assert "has no `metrics`" in reports.nothing()


def test_the_import_needs_the_standard_library_alone() -> None:
    code = """
        import sys
        before = set(sys.modules)
        from orchestrator import report
        loaded = {name.partition(".")[0] for name in sys.modules.keys() - before}
        print(loaded - sys.stdlib_module_names)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "{'orchestrator'}"
