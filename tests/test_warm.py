"""What trials share with the warm process that they are forked from: imports and memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support.processes import run, start, working_in

from orchestrator.running.live_trial import Report
from orchestrator.running.processes.host import TrialProcesses

LISTS = 400_000
COLLECTS = f'''
"""A trial that says how much of its memory is its own after a garbage collection."""

import gc

KEPT = [[number] for number in range({LISTS})]


def train(params, trial):
    gc.collect()
    with open("/proc/self/smaps_rollup") as lines:
        own = sum(int(line.split()[1]) for line in lines if line.startswith("Private"))
    yield {{"own": own, "kept": len(KEPT)}}
'''

OPTIMIZES = '''
"""A trial that says what torch imports for its first optimizer."""

import sys

import torch


def train(params, trial):
    before = set(sys.modules)
    weight = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.1)
    weight.sum().backward()
    optimizer.step()
    trial.record(imported=" ".join(sorted(set(sys.modules) - before)))
    yield {"weight": weight.item()}
'''


def report_of(source: str, folder: Path) -> Report:
    with working_in(folder, shares=source):
        worker = TrialProcesses("shares:train", str(folder), threads=1)
        try:
            (report,) = run(worker, start())
        finally:
            worker.close()
    return report


def test_a_garbage_collection_in_a_trial_copies_nothing_that_its_module_holds(
    tmp_path: Path,
) -> None:
    metrics = report_of(COLLECTS, tmp_path).metrics
    assert metrics["kept"] == LISTS
    held_kib = LISTS * 64 / 1024  # a list of one item takes 64 bytes or more
    assert metrics["own"] < held_kib / 2


def test_the_first_optimizer_of_a_trial_imports_nothing(tmp_path: Path) -> None:
    assert report_of(OPTIMIZES, tmp_path).facts["imported"] == ""


def test_a_trials_process_is_spared_the_libraries_of_the_driver() -> None:
    code = "import sys, orchestrator.running.processes.child; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"pydantic", "pyarrow", "pandas", "ruamel.yaml", "scipy", "ray", "rich", "click"}
    assert not heavy & set(done.stdout.split())


HOLDS = """
import atexit
import pathlib
import tempfile

DATA = tempfile.TemporaryDirectory()
pathlib.Path(DATA.name, "data").touch()
atexit.register(pathlib.Path("ended").touch)


def train(params, trial):
    own = tempfile.TemporaryDirectory()
    trial.record(own=own.name, shared=DATA.name)
    globals()["OWN"] = own
    found, ended = pathlib.Path(DATA.name, "data"), pathlib.Path("ended")
    yield {"found": found.exists(), "ended": ended.exists()}
"""


def test_what_a_module_tidies_up_at_its_exit_is_there_for_every_trial(tmp_path: Path) -> None:
    with working_in(tmp_path, holds=HOLDS):
        worker = TrialProcesses("holds:train", str(tmp_path), threads=1)
        try:
            reports = [report for _ in range(2) for report in run(worker, start())]
        finally:
            worker.close()
        assert [report.metrics for report in reports] == [{"found": 1.0, "ended": 0.0}] * 2
        assert Path("ended").exists()
        left = [path for report in reports for path in report.facts.values() if Path(path).exists()]
        assert left == []
