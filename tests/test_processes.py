"""Every trial in a process of its own: what its neighbours did, how it ends, what it leaves."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.waiting import until

from orchestrator.errors import GpuMemoryError, TrainableError, TrialFailedError
from orchestrator.running.live_trial import Report, Start
from orchestrator.running.processes.host import TrialProcesses

NEIGHBOURS = '''
"""Trials that spoil their process in many ways, and one that says what it finds."""

import atexit
import builtins
import collections
import locale
import os
import random
import signal
import sys
import tempfile
import threading
import warnings

import numpy as np

KEPT = []


def environment():
    os.environ["OMP_NUM_THREADS"] = "7"
    os.environ["SPOILT"] = "yes"


def folder():
    os.chdir(tempfile.gettempdir())


def umask():
    os.umask(0o077)


def signals():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def generators():
    random.seed(99)
    np.random.seed(99)


def numpy_errors():
    np.seterr(all="raise")
    np.set_printoptions(precision=1)


def recursion():
    sys.setrecursionlimit(5000)


def imports():
    import wave  # which the measuring trial must not find imported

    KEPT.append(wave)


def files():
    KEPT.extend(open(os.devnull) for _ in range(50))


def at_exit():
    atexit.register(lambda: os.environ.update(SPOILT="at exit"))


def threads():
    threading.Thread(target=threading.Event().wait, daemon=True).start()


def modules():
    sys.modules["colorsys"] = sys.modules["random"]
    collections.OrderedDict = dict
    builtins.round = int


def memory():
    KEPT.append(b"x" * (200 << 20))


def warned():
    warnings.simplefilter("error")


def language():
    locale.setlocale(locale.LC_ALL, "C")


def exits():
    os._exit(3)


def crashes():
    os.kill(os.getpid(), signal.SIGSEGV)


def found():
    import colorsys

    mask = os.umask(0)
    os.umask(mask)
    return {
        "random": random.random(),
        "numpy": float(np.random.rand()),
        "hash": hash("a string"),
        "set": "".join({"a", "b", "c", "d", "e", "f"}),
        "threads": os.environ["OMP_NUM_THREADS"],
        "environment": sorted(name for name in os.environ if name.startswith("SPOILT")),
        "folder": os.getcwd(),
        "umask": mask,
        "signals": [str(signal.getsignal(s)) for s in (signal.SIGTERM, signal.SIGUSR1)],
        "numpy_errors": np.geterr(),
        "numpy_printing": np.get_printoptions()["precision"],
        "recursion": sys.getrecursionlimit(),
        "imported": "wave" in sys.modules,
        "descriptors": len(os.listdir("/proc/self/fd")),
        "running": [t.name for t in threading.enumerate()],
        "module": colorsys.__name__,
        "ordered": collections.OrderedDict.__name__,
        "round": round(1.5),
        "filters": len(warnings.filters),
        "kept": len(KEPT),
        "language": locale.setlocale(locale.LC_ALL),
    }


def train(params, trial):
    trial.record(found=repr(found()))
    yield {"drawn": random.random() + np.random.rand()}
    if params["spoil"]:
        globals()[params["spoil"]]()
        yield {"drawn": 0.0}
'''

KINDS = (
    "environment",
    "folder",
    "umask",
    "signals",
    "generators",
    "numpy_errors",
    "recursion",
    "imports",
    "files",
    "at_exit",
    "threads",
    "modules",
    "memory",
    "warned",
    "language",
    "exits",
    "crashes",
)

ENDINGS = '''
"""Trials that end in different ways, and leave things behind."""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def train(params, trial):
    yield {"score": 1.0}
    end = params["end"]
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
    if end == "os exit":
        os._exit(7)
    if end == "memory":
        raise OutOfMemoryError("CUDA out of memory")
    if end == "orphans":
        for command in (["sleep", "1000"], [sys.executable, "-c", DAEMON]):
            subprocess.Popen(command)
        while not Path("daemon").exists() or params.get("then") == "wait":
            time.sleep(0.01)
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


class Coded(Exception):
    def __init__(self, code, text):
        self.code = code
        super().__init__(f"{text} ({code})")


class OutOfMemoryError(RuntimeError):
    pass


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


SHARED = '''
"""A trial that says how much of its memory is its own after a garbage collection."""

import gc

KEPT = [[number] for number in range(400_000)]


def own():
    with open("/proc/self/smaps_rollup") as lines:
        return sum(int(line.split()[1]) for line in lines if line.startswith("Private"))


def train(params, trial):
    gc.collect()
    yield {"own": own(), "kept": len(KEPT)}
'''

OPTIMIZER = '''
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


def start(gpus: float = 0, epoch: int = 1, **params: Any) -> Start:
    return Start(
        params={"seed": 3, **params},
        epoch=epoch,
        folder=str(Path.cwd()),
        facts={},
        threads=1,
        gpus=gpus,
        smoke=False,
        checkpoint_every=1,
        attempt=1,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("processes")
    (place / "neighbours.py").write_text(NEIGHBOURS)
    (place / "endings.py").write_text(ENDINGS)
    (place / "shared_memory.py").write_text(SHARED)
    (place / "optimizer.py").write_text(OPTIMIZER)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.delenv("OMP_NUM_THREADS", raising=False)
        patch.delenv("PYTHONHASHSEED", raising=False)
        yield place


@pytest.fixture
def processes(folder: Path) -> Iterator[Callable[[str], TrialProcesses]]:
    opened: list[TrialProcesses] = []

    def make(module: str) -> TrialProcesses:
        opened.append(TrialProcesses(f"{module}:train", str(folder), threads=1))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


@pytest.fixture(scope="module")
def shared(folder: Path) -> Iterator[TrialProcesses]:
    """One worker, whose trials follow each other."""
    worker = TrialProcesses("neighbours:train", str(folder), threads=1)
    yield worker
    worker.close()


def run(worker: TrialProcesses, begin: Start) -> list[Report]:
    return list(worker.run(begin, None, lambda _: None))


@settings(max_examples=6)
@given(order=st.permutations(KINDS))
def test_a_trial_finds_its_process_as_a_fresh_one_whatever_ran_before(
    folder: Path, shared: TrialProcesses, order: tuple[str, ...]
) -> None:
    fresh = TrialProcesses("neighbours:train", str(folder), threads=1)
    (expected,) = run(fresh, start(spoil=None))
    fresh.close()
    for kind in order:
        if kind in {"exits", "crashes"}:
            with pytest.raises(TrialFailedError):
                run(shared, start(spoil=kind))
        else:
            run(shared, start(spoil=kind))
        assert run(shared, start(spoil=None)) == [expected]


def test_generators_follow_from_the_seed_and_the_epochs_so_far(shared: TrialProcesses) -> None:
    drawn = {
        (seed, epoch): run(shared, start(spoil=None, seed=seed, epoch=epoch))[0].metrics["drawn"]
        for seed in (0, 1)
        for epoch in (1, 2)
    }
    assert len(set(drawn.values())) == 4
    again = run(shared, start(spoil=None, seed=1, epoch=2))[0].metrics["drawn"]
    assert again == drawn[1, 2]


def test_garbage_collection_in_a_trial_copies_nothing_that_its_module_holds(
    processes: Any,
) -> None:
    (report,) = run(processes("shared_memory"), start())
    module_kib = 400_000 * 64 / 1024  # a list of one takes 64 bytes or more
    assert report.metrics["own"] < module_kib / 2


def test_the_first_optimizer_of_a_trial_imports_nothing(processes: Any) -> None:
    (report,) = run(processes("optimizer"), start())
    assert report.facts["imported"] == ""


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
        ("kill", "its process was killed by SIGKILL, as the kernel does when memory is full"),
        ("os exit", "its process ended with exit code 7"),
    ],
)
def test_a_bad_end_is_named_and_the_next_trial_runs(processes: Any, end: str, reason: str) -> None:
    worker = processes("endings")
    with pytest.raises(TrialFailedError) as error:
        run(worker, start(end=end))
    assert str(error.value) == reason
    assert [report.metrics["score"] for report in run(worker, start(end=None))] == [1.0, 2.0]


def test_a_full_gpu_is_an_error_of_its_own(processes: Any) -> None:
    worker = processes("endings")
    with pytest.raises(GpuMemoryError, match=r"out of GPU memory at `resources\.gpu: 0\.5`"):
        run(worker, start(end="memory", gpus=0.5))
    with pytest.raises(TrialFailedError, match="OutOfMemoryError: CUDA out of memory"):
        run(worker, start(end="memory"))


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


def test_a_trainable_that_cannot_be_imported_says_why(processes: Any, folder: Path) -> None:
    (folder / "broken.py").write_text("import nothing_of_that_name\n")
    with pytest.raises(TrainableError, match="No module named 'nothing_of_that_name'"):
        run(processes("broken"), start())
    (folder / "deadly.py").write_text("import os\nos._exit(4)\n")
    with pytest.raises(TrainableError, match="ended with exit code 4"):
        run(processes("deadly"), start())
