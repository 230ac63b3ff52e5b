"""A trial has the same numbers whatever its neighbours do, and however often it dies."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from support.processes import run, start, working_in
from support.waiting import until

from orchestrator.errors import TrialFailedError
from orchestrator.running.live_trial import Report, Start
from orchestrator.running.processes.host import TrialProcesses

NEIGHBOURS = '''
"""Trials that spoil their process in many ways, and then say what they find and train."""

import atexit
import builtins
import collections
import contextlib
import decimal
import gc
import hashlib
import io
import locale
import os
import random
import resource
import signal
import sys
import tempfile
import threading
import warnings

import numpy as np
import torch

KEPT = []


def environment():
    os.environ["OMP_NUM_THREADS"] = "7"
    os.environ["SPOILT"] = "yes"


def folder():
    os.chdir(tempfile.gettempdir())


def umask():
    os.umask(os.umask(0) ^ 0o077)


def signals():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)


def limits():
    resource.setrlimit(resource.RLIMIT_NOFILE, (99, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    os.nice(1)


def hash_order():
    os.environ["PYTHONHASHSEED"] = "1"


def generators():
    random.seed(99)
    np.random.seed(99)
    torch.manual_seed(99)


def numpy_errors():
    np.seterr(all="raise")
    np.set_printoptions(precision=1)


def torch_dtype():
    torch.set_default_dtype(torch.float64)


def torch_grad():
    torch.set_grad_enabled(False)


def torch_threads():
    torch.set_num_threads(3)


def torch_switches():
    torch.use_deterministic_algorithms(True)
    torch.set_float32_matmul_precision("medium")
    torch.set_flush_denormal(True)


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


def patches():
    torch.nn.Linear.reset_parameters = lambda layer: None
    random.shuffle = lambda items: None


def memory():
    KEPT.append(b"x" * (64 << 20))


def collection():
    gc.disable()


def decimals():
    decimal.getcontext().prec = 3


def warned():
    warnings.simplefilter("error")


def language():
    locale.setlocale(locale.LC_ALL, "C.UTF-8" if locale.setlocale(locale.LC_ALL) == "C" else "C")


def exits():
    os._exit(3)


def crashes():
    os.kill(os.getpid(), signal.SIGSEGV)


def found():
    import colorsys

    mask = os.umask(0)
    os.umask(mask)
    return {
        "environment": {
            name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "PYTHONHASHSEED", "SPOILT")
        },
        "folder": os.getcwd(),
        "umask": mask,
        "signals": [str(signal.getsignal(s)) for s in (signal.SIGTERM, signal.SIGUSR1)],
        "limits": [resource.getrlimit(resource.RLIMIT_NOFILE), os.nice(0)],
        "hash": hash("a string"),
        "numpy": [np.geterr(), np.get_printoptions()["precision"]],
        "torch": [
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
            torch.get_num_threads(),
            torch.are_deterministic_algorithms_enabled(),
            torch.get_float32_matmul_precision(),
            float(torch.tensor([1e-30]) * 1e-10),  # 0 where denormal numbers are flushed
        ],
        "recursion": sys.getrecursionlimit(),
        "imported": "wave" in sys.modules,
        "descriptors": len(os.listdir("/proc/self/fd")),
        "at exit": atexit._ncallbacks(),
        "threads": [thread.name for thread in threading.enumerate()],
        "modules": [colorsys.__name__, collections.OrderedDict.__name__, round(1.5)],
        "kept": len(KEPT),
        "collection": gc.isenabled(),
        "decimals": str(decimal.Decimal(1) / 3),
        "warnings": len(warnings.filters),
        "language": locale.setlocale(locale.LC_ALL),
    }


def seed(text):
    value = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])
    random.seed(value)
    np.random.seed(value)
    torch.manual_seed(value)


def drawn():
    """Images and targets, of which every part depends on a generator or on the order of a set."""
    images = torch.rand(32, 16)
    order = list({f"image {number}" for number in range(32)})
    random.shuffle(order)
    targets = np.random.rand(32, 1) + [[int(name.split()[1])] for name in order]
    return images, torch.as_tensor(targets, dtype=images.dtype)


def train(params, trial):
    with contextlib.suppress(KeyError):
        globals()[params["spoil"]]()
    trial.record(found=repr(found()))
    net = torch.nn.Sequential(torch.nn.Linear(16, 8), torch.nn.Dropout(0.1), torch.nn.Linear(8, 1))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.001, momentum=0.9)
    first = 0
    if saved := trial.load():
        state = torch.load(io.BytesIO(saved), weights_only=False)
        first = state["epoch"]
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        if params["randomness"] == "kept in the state":
            random.setstate(state["random"])
            np.random.set_state(state["numpy"])
            torch.set_rng_state(state["torch"])
    for epoch in range(first, params["epochs"]):
        if params["randomness"] == "seeded by epoch":
            seed(f"{params['seed']} {epoch}")
        images, targets = drawn()
        loss = ((net(images) - targets) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        long_sum = torch.rand(1 << 17).sum()  # whose last bits differ with the number of threads
        state = {
            "epoch": epoch + 1,
            "net": net.state_dict(),
            "optimizer": optimizer.state_dict(),
            "random": random.getstate(),
            "numpy": np.random.get_state(),
            "torch": torch.get_rng_state(),
        }
        torch.save(state, buffer := io.BytesIO())
        trial.save(buffer.getvalue())
        yield {"loss": loss, "long_sum": long_sum}
'''

KINDS = (
    "environment",
    "folder",
    "umask",
    "signals",
    "limits",
    "hash_order",
    "generators",
    "numpy_errors",
    "torch_dtype",
    "torch_grad",
    "torch_threads",
    "torch_switches",
    "recursion",
    "imports",
    "files",
    "at_exit",
    "threads",
    "modules",
    "patches",
    "memory",
    "collection",
    "decimals",
    "warned",
    "language",
    "exits",
    "crashes",
)
EPOCHS = 3
RANDOMNESS = ("seeded by epoch", "kept in the state")
LIVES = ("undisturbed", "retried from nothing", "resumed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with working_in(tmp_path_factory.mktemp("neighbours"), neighbours=NEIGHBOURS) as place:
        yield place


@pytest.fixture(scope="module")
def alone(folder: Path) -> Callable[[str], list[Report]]:
    """Look up what a trial without neighbours hands over, by where its randomness comes from."""
    fresh = TrialProcesses("neighbours:train", str(folder), threads=1)
    reports = {source: run(fresh, measuring(randomness=source)) for source in RANDOMNESS}
    fresh.close()
    return lambda randomness: reports[randomness]


@pytest.fixture(scope="module")
def shared(folder: Path) -> Iterator[TrialProcesses]:
    """One worker, whose trials follow each other."""
    worker = TrialProcesses("neighbours:train", str(folder), threads=1)
    yield worker
    worker.close()


def measuring(
    spoil: str | None = None,
    randomness: str = "seeded by epoch",
    epochs: int = EPOCHS,
    seed: int = 3,
) -> Start:
    return start(spoil=spoil, randomness=randomness, epochs=epochs, seed=seed)


def misbehave(worker: TrialProcesses, kind: str) -> list[Report] | None:
    """Run a trial of one epoch that spoils its process; None if it fails."""
    with contextlib.suppress(TrialFailedError):
        return run(worker, measuring(spoil=kind, epochs=1))
    return None


def killed(worker: TrialProcesses, begin: Start, after: int) -> list[Report]:
    """Run a trial whose process is killed after some epochs."""
    lines: list[str] = []
    trial = worker.run(begin, None, lines.append)
    done = list(itertools.islice(trial, after))
    until(lambda: lines, what="the log, which may come after the first report")
    (process,) = re.findall(r"process (\d+) on", lines[0])
    os.kill(int(process), signal.SIGKILL)
    with pytest.raises(TrialFailedError, match="SIGKILL"):
        next(trial)
    return done


# To shrink an order would take many minutes, and would seldom make it clearer.
@settings(max_examples=3, derandomize=True, phases=[Phase.generate])
@given(order=st.permutations(KINDS), after=st.integers(1, EPOCHS - 1))
def test_a_trial_has_the_same_bits_whatever_ran_before_and_after_a_retry_and_a_resume(
    alone: Callable[[str], list[Report]],
    shared: TrialProcesses,
    order: tuple[str, ...],
    after: int,
) -> None:
    neighbours = itertools.cycle(order)

    def meanwhile() -> list[str]:
        """Let the next three neighbours run."""
        kinds = list(itertools.islice(neighbours, 3))
        for kind in kinds:
            misbehave(shared, kind)
        return kinds

    for life, randomness in itertools.product(LIVES, RANDOMNESS):
        begin, expected = measuring(randomness=randomness), alone(randomness)
        before = meanwhile()
        if life == "undisturbed":
            assert run(shared, begin) == expected, (randomness, before)
            continue
        done = killed(shared, begin, after)
        assert done == expected[:after], (randomness, before)
        between = meanwhile()
        if life == "retried from nothing":
            assert run(shared, replace(begin, attempt=2)) == expected, (randomness, between)
        else:
            again = replace(begin, attempt=2, epoch=after + 1, facts=done[-1].facts)
            reports = run(shared, again, done[-1].state)
            assert reports == expected[after:], (randomness, between)


def test_each_neighbour_would_change_a_trial_of_its_own_process(
    alone: Callable[[str], list[Report]], shared: TrialProcesses
) -> None:
    assert [k for k in KINDS if misbehave(shared, k) == alone("seeded by epoch")[:1]] == []


def test_generators_follow_from_the_seed_and_the_epochs_so_far(shared: TrialProcesses) -> None:
    drawn = {}
    for seed, epoch in itertools.product((0, 1), (1, 2)):
        begin = replace(measuring(randomness="global", epochs=1, seed=seed), epoch=epoch)
        drawn[seed, epoch] = run(shared, begin)[0].metrics
        assert run(shared, begin)[0].metrics == drawn[seed, epoch]
    for metric in ("loss", "long_sum"):
        assert len({metrics[metric] for metrics in drawn.values()}) == 4
