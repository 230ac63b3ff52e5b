"""Every trial in a process of its own: how it ends, what it leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.memory_limit import limited
from support.processes import run, start, working_in
from support.waiting import HANG_SECONDS, until

from orchestrator.errors import (
    GpuMemoryError,
    KilledError,
    StoreError,
    TrainableError,
    TrialFailedError,
)
from orchestrator.running.processes import host
from orchestrator.running.processes.descendants import subreaping
from orchestrator.running.processes.host import TrialProcesses

ENDINGS = '''
"""Trials that end in different ways, and leave things behind."""

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

POOLS = []


def train(params, trial):
    yield {"score": 1.0}
    end = str(params["end"])
    if end == "exit zero":
        sys.exit(0)
    if end == "usage":
        argparse.ArgumentParser(prog="fit").parse_args(["--no-such-flag"])
    if end == "interrupt":
        raise KeyboardInterrupt
    if end == "raise":
        raise ValueError("no luck")
    if end == "own init":
        raise Coded(404, "no such file")
    if end == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if end == "kill its parent":
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(1000)
    if end == "os exit":
        os._exit(7)
    if end == "full memory":
        Path(params["group"]).write_text(str(os.getpid()))
        bytearray(1 << 30)
    if end == "memory":
        raise OutOfMemoryError("CUDA out of memory")
    if end == "orphans":
        for command in (["sleep", "1000"], [sys.executable, "-c", DAEMON]):
            subprocess.Popen(command)
        while not Path("daemon").exists() or params.get("then") == "wait":
            time.sleep(0.01)
    if end.startswith("a fork") and os.fork() == 0:
        if end == "a fork exits":
            sys.exit(3)
        if end == "a fork raises":
            raise ValueError("no luck")
        if end == "a fork asks":
            while True:
                trial.checkpoint_due
        if end == "a fork returns":
            return
    if end == "late":
        threading.Thread(target=report_late, args=(trial,)).start()
        return
    if end == "stuck":
        threading.Thread(target=threading.Event().wait).start()
        raise ValueError("no luck")
    if end == "pool":  # as torch's compiler leaves one
        POOLS.append(ThreadPoolExecutor())
        POOLS[-1].submit(int).result()
    if end == "words":
        print("a line", "of two")
        print("no newline", end="")
        sys.stdout.flush()
        print("\\nbar 1\\rbar 2\\rbar 3")
        print("to stderr", file=sys.stderr)
        subprocess.run(["echo", "a child's line"], check=True, stdout=sys.stdout)
        os.write(1, b"\\xff is no UTF-8\\n")
        trial.log("a line of its log")
    yield {"score": 2.0}
    for epoch in range(params.get("more", 0)):
        yield {"score": 3.0 + epoch}


class Coded(Exception):
    def __init__(self, code, text):
        self.code = code
        super().__init__(f"{text} ({code})")


class OutOfMemoryError(RuntimeError):
    pass


def report(params, trial):
    if params["by"] == "a thread":
        thread = threading.Thread(target=go_on, args=(trial,))
        thread.start()
        thread.join()
    else:
        go_on(trial)


def report_late(trial):
    threading.main_thread().join()
    time.sleep(0.2)
    trial.report(score=3.0)


def go_on(trial):
    for epoch in range(1, 4):
        trial.report(score=epoch)
    Path("went-on").touch()


DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open("daemon.part", "w").write(str(os.getpid()))
        os.rename("daemon.part", "daemon")
        time.sleep(1000)
"""
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with working_in(tmp_path_factory.mktemp("processes"), endings=ENDINGS) as place:
        yield place


@pytest.fixture
def processes(folder: Path) -> Iterator[Callable[..., TrialProcesses]]:
    opened: list[TrialProcesses] = []

    def make(module: str, name: str = "train") -> TrialProcesses:
        opened.append(TrialProcesses(f"{module}:{name}", str(folder), threads=1))
        return opened[-1]

    with subreaping():  # as a worker is
        yield make
        for each in opened:
            each.close()


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("exit zero", "SystemExit: 0 before the trial was over"),
        (
            "usage",
            "SystemExit: 2 before the trial was over "
            "(fit: error: unrecognized arguments: --no-such-flag)",
        ),
        ("interrupt", "KeyboardInterrupt, raised by the trainable"),
        ("raise", "ValueError: no luck"),
        ("own init", "Coded: no such file (404)"),
        ("os exit", "its process ended with exit code 7"),
    ],
)
def test_a_bad_end_is_named_and_the_next_trial_runs(processes: Any, end: str, reason: str) -> None:
    worker = processes("endings")
    with pytest.raises(TrialFailedError) as error:
        run(worker, start(end=end))
    assert str(error.value) == reason
    assert [report.metrics["score"] for report in run(worker, start(end=None))] == [1.0, 2.0]


def test_a_process_that_is_killed_is_said_to_be_with_the_memory_that_it_had(
    processes: Any,
) -> None:
    worker = processes("endings")
    said = r"its process was killed by SIGKILL, as may happen when memory is full; it had \d+ MiB"
    with pytest.raises(KilledError, match=f"^{said}$"):
        run(worker, start(end="kill"))


def test_memory_that_is_full_is_named_where_the_kernel_kills(processes: Any) -> None:
    worker = processes("endings")
    said = r"its process was killed by the kernel because memory was full; it had \d+ MiB"
    with (
        limited(200 << 20) as group,
        pytest.raises(KilledError, match=f"^{said}$"),
    ):
        run(worker, start(end="full memory", group=str(group)))
    assert [report.metrics["score"] for report in run(worker, start(end=None))] == [1.0, 2.0]


def test_a_full_gpu_is_an_error_of_its_own(processes: Any) -> None:
    worker = processes("endings")
    with pytest.raises(GpuMemoryError, match=r"out of GPU memory at `resources\.gpu: 0\.5`"):
        run(worker, start(end="memory", gpus=0.5))
    with pytest.raises(TrialFailedError, match="OutOfMemoryError: CUDA out of memory"):
        run(worker, start(end="memory"))


def test_a_pool_of_threads_that_a_trial_leaves_open_ends_with_it(processes: Any) -> None:
    worker = processes("endings")
    assert len(list(run(worker, start(end="pool")))) == 2
    assert len(list(run(worker, start(end="pool")))) == 2


def test_a_thread_that_reports_after_the_end_is_told_so(processes: Any) -> None:
    lines: list[str] = []
    assert len(list(processes("endings").run(start(end="late"), None, lines.append))) == 1
    assert "a thread reports after the trainable has ended" in "\n".join(lines)


def test_a_trial_that_has_failed_does_not_wait_for_its_threads(
    processes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "GRACE_SECONDS", 0.2)
    worker = processes("endings")
    with pytest.raises(TrialFailedError, match=r"^ValueError: no luck$"):
        run(worker, start(end="stuck"))
    assert len(list(run(worker, start(end=None)))) == 2


@pytest.mark.parametrize("does", ["exits", "raises", "returns", "reports", "asks"])
def test_a_process_that_a_trial_forks_takes_no_part_in_it(processes: Any, does: str) -> None:
    begin = start(end=f"a fork {does}", more=100)
    begin = replace(begin, checkpoint_every=1000, timeout=HANG_SECONDS)
    lines: list[str] = []
    reports = processes("endings").run(begin, None, lines.append)
    assert [report.metrics["score"] for report in reports] == [*map(float, range(1, 103))]
    assert ("ValueError: no luck" in "\n".join(lines)) == (does == "raises")


def test_what_a_trial_starts_ends_with_it(processes: Any, folder: Path) -> None:
    worker = processes("endings")
    run(worker, start(end="orphans"))
    assert not psutil.pid_exists(int((folder / "daemon").read_text()))
    (folder / "daemon").unlink()
    warm = worker._warm._process.pid
    assert psutil.Process(warm).children(recursive=True) == []


def test_a_trial_that_is_closed_ends_with_all_that_it_started(processes: Any, folder: Path) -> None:
    worker = processes("endings")
    reports = worker.run(start(end="orphans"), None, lambda _: None)
    next(reports)
    next(reports)
    daemon = int((folder / "daemon").read_text())
    assert psutil.pid_exists(daemon)
    reports.close()
    assert not psutil.pid_exists(daemon)
    (folder / "daemon").unlink()


@pytest.mark.parametrize("by", ["the main thread", "a thread"])
def test_a_function_that_reports_ends_when_it_is_closed(
    processes: Any, folder: Path, by: str
) -> None:
    worker = processes("endings", "report")
    assert [r.metrics["score"] for r in run(worker, start(by=by))] == [1.0, 2.0, 3.0]
    (folder / "went-on").unlink()
    reports = worker.run(start(by=by), None, lambda _: None)
    assert next(reports).metrics == {"score": 1.0}
    reports.close()
    assert not (folder / "went-on").exists()
    assert len(run(worker, start(by=by))) == 3
    (folder / "went-on").unlink()


def test_nothing_outlives_a_killed_warm_process(processes: Any, folder: Path) -> None:
    worker = processes("endings")
    with ThreadPoolExecutor() as pool:
        trial = pool.submit(run, worker, start(end="orphans", then="wait"))
        until((folder / "daemon").exists, what="the orphan")
        os.kill(worker._warm._process.pid, signal.SIGKILL)
        with pytest.raises(TrialFailedError, match="was killed by SIGKILL"):
            trial.result()
    daemon = int((folder / "daemon").read_text())
    assert not psutil.pid_exists(daemon)
    (folder / "daemon").unlink()
    assert len(run(worker, start(end=None))) == 2


def test_what_the_worker_started_besides_outlives_a_killed_warm_process(processes: Any) -> None:
    with subprocess.Popen([sys.executable], stdin=subprocess.PIPE) as bystander:
        worker = processes("endings")
        with pytest.raises(TrialFailedError):
            run(worker, start(end="kill its parent"))
        assert bystander.poll() is None


def test_a_warm_process_that_dies_between_trials_is_replaced(processes: Any) -> None:
    worker = processes("endings")
    run(worker, start(end=None))
    os.kill(worker._warm._process.pid, signal.SIGKILL)
    worker._warm._process.wait()
    assert len(run(worker, start(end=None))) == 2


def test_all_that_a_trial_prints_is_in_its_log_in_order(processes: Any) -> None:
    worker = processes("endings")
    lines: list[str] = []
    list(worker.run(start(end="words"), None, lines.append))
    text = "\n".join(lines).splitlines()
    assert text[0].endswith("from the start")
    assert text[1:-1] == [
        "a line of two",
        "no newline",
        "bar 3",
        "to stderr",
        "a child's line",
        "\\xff is no UTF-8",
    ]
    assert text[-1].endswith(" a line of its log")


def test_a_log_that_cannot_be_written_costs_the_trial_nothing(processes: Any) -> None:
    def full(_text: str) -> None:
        raise StoreError("the disk is full")

    assert len(list(processes("endings").run(start(end="words"), None, full))) == 2


def test_a_trainable_whose_import_starts_threads_runs_and_its_log_says_why(
    processes: Any, folder: Path
) -> None:
    (folder / "threaded.py").write_text(
        "import threading\n"
        "threading.Thread(target=threading.Event().wait, daemon=True, name='ticker').start()\n"
        "def train(params, trial):\n"
        "    yield {'active': threading.active_count()}\n"
    )
    worker = processes("threaded")
    lines: list[str] = []
    for _ in range(2):
        (report,) = worker.run(start(), None, lines.append)
        assert report.metrics == {"active": 2.0}
    said = "this trial starts a new Python, since its import starts threads (ticker)"
    assert lines.count(said) == 2


def test_a_probe_takes_numbers_of_numpy_and_numbered_layers(processes: Any, folder: Path) -> None:
    (folder / "probing.py").write_text(
        "import numpy as np\n"
        "def train(params, trial):\n"
        "    one = np.int64(1)\n"
        "    trial.probe('size', 'first', one, index=one, unit=one, at=np.float32(0.5))\n"
        "    trial.probe('size', 2, 1.0, index=2)\n"
        "    yield {'score': 1}\n"
    )
    (report,) = run(processes("probing"), start())
    assert [tuple(row) for row in report.probes] == [
        (1, "size", "first", 1, 1, 0.5, 1.0),
        (1, "size", "2", 2, None, None, 1.0),
    ]


def test_a_trainable_that_cannot_be_imported_says_why(processes: Any, folder: Path) -> None:
    (folder / "broken.py").write_text("import nothing_of_that_name\n")
    with pytest.raises(TrainableError, match="No module named 'nothing_of_that_name'"):
        run(processes("broken"), start())
    (folder / "deadly.py").write_text("import os\nos._exit(4)\n")
    with pytest.raises(TrainableError, match="ended with exit code 4"):
        run(processes("deadly"), start())
