"""Errors as the user raised them, however odd, in what can be stored and shown anywhere."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.folder import Folder

from orchestrator import open_store
from orchestrator.labels import printable
from orchestrator.running import failures

RAISING = r"""
import ctypes
import os
import signal
import sys
import threading


class Own(Exception):
    def __init__(self, place, reason):
        self.lock = threading.Lock()
        super().__init__(f"{place}: {reason}")


class Odd(Exception):
    def __str__(self):
        raise ValueError("no text")


class Number(Exception):
    def __str__(self):
        return 3


def deep(n):
    return deep(n + 1)


def raises(kind):
    if kind == "own":
        raise Own("here", "with a lock")
    if kind == "odd":
        raise Odd
    if kind == "number":
        raise Number
    if kind == "deep":
        deep(0)
    if kind == "exit":
        print("usage: no such option", file=sys.stderr)
        sys.exit(3)
    if kind == "interrupt":
        raise KeyboardInterrupt
    if kind == "segfault":
        ctypes.string_at(0)
    if kind == "abort":
        os.abort()
    if kind == "term":
        os.kill(os.getpid(), signal.SIGTERM)
    if kind == "control":
        raise ValueError("\x1b[31mred\x1b[0m \x07 \r \x00 \u202e")
    if kind == "lines":
        raise ValueError("\n".join(f"line {n} of many" for n in range(300_000)))
    if kind == "line":
        raise ValueError("y" * 5_000_000)
    if kind == "no utf-8":
        raise ValueError("caf\udce9.png")
    if kind == "base":
        raise BaseException("a base")
    if kind == "leave":
        raise GeneratorExit
    if kind == "empty":
        raise ValueError


def train(params, trial):
    print("caf\udce9 \x1b[2J")
    trial.probe("size", "caf\udce9", 1.0, index=0)
    trial.record(file="caf\udce9")
    yield {"score": 1.0, "caf\udce9": 2.0}
    raises(params["kind"])
"""
SAID = {
    "own": "Own: here: with a lock",
    "odd": "Odd: (its text cannot be had: ValueError)",
    "number": "Number: (its text cannot be had: TypeError)",
    "deep": "RecursionError: maximum recursion depth exceeded",
    "exit": "SystemExit: 3 before the trial was over (usage: no such option)",
    "interrupt": "KeyboardInterrupt, raised by the trainable",
    "segfault": "its process was killed by SIGSEGV",
    "abort": "its process was killed by SIGABRT",
    "term": "its process was killed by SIGTERM",
    "control": r"ValueError: \x1b[31mred\x1b[0m \x07 \r \x00 \u202e",
    "lines": "ValueError: line 0 of many",
    "line": "ValueError: yyyy",
    "no utf-8": r"ValueError: caf\udce9.png",
    "base": "BaseException: a base",
    "leave": "GeneratorExit",
    "empty": "ValueError",
}
IN_PROCESS = [kind for kind in SAID if kind not in {"segfault", "abort", "term"}]


@pytest.fixture
def raising(folder: Folder) -> Folder:
    (folder.path / "raising.py").write_text(RAISING)
    return folder


def write(folder: Folder, kinds: list[str]) -> Path:
    keys = {"factors": {"kind": kinds}, "search": {}, "fixed": {}, "seeds": [0], "retries": 0}
    return folder.write(trainable="raising:train", **keys)


def check(folder: Folder, kinds: list[str], said: str) -> None:
    results = open_store(folder.path / "results/toy")
    errors = dict(zip(results.trials["kind"].astype(str), results.trials["error"], strict=True))
    for kind in kinds:
        error = errors[kind]
        assert error.startswith(SAID[kind])
        assert kind in {"lines", "line", "deep"} or error == SAID[kind]
        assert len(error) <= failures.LONGEST
        assert error == printable(error)
        assert f"(kind={kind}, seed=0) failed: {SAID[kind][:20]}" in said
    assert errors["lines"].endswith("line 299999 of many")
    assert said == printable(said).replace("\\x1b[2J", "\\x1b[2J")
    assert list(results.probes("size")["layer"].astype(str).unique()) == [r"caf\udce9"]
    status = folder.orch("status", folder.path / "toy.yaml").stdout
    assert len(status) < 10_000
    assert status == printable(status)


@pytest.mark.slow
def test_under_ray_each_is_told_and_shown(raising: Folder) -> None:
    kinds = list(SAID)
    sweep = write(raising, [*kinds, "fine"])
    done = raising.orch("sweep", sweep, "--keep-going", code=1)
    assert "Traceback" not in done.stderr
    check(raising, kinds, done.stderr)
    log = raising.orch("logs", sweep, "kind=control,seed=0").stdout
    assert log == printable(log)
    assert r"caf\udce9 \x1b[2J" in log


def test_in_the_commands_own_process_each_is_told_and_shown(raising: Folder) -> None:
    sweep = write(raising, [*IN_PROCESS, "fine"])
    done = subprocess.run(
        raising.command("sweep", sweep, "--keep-going", "--runner", "inline"),
        cwd=raising.path,
        env=raising.environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    said = done.stderr.decode().rpartition("Traceback")[2]
    lines = "\n".join(line for line in said.splitlines() if line.startswith("trial "))
    check(raising, IN_PROCESS, lines)


@given(st.text(max_size=5000))
def test_a_shortened_text_is_short_and_keeps_both_ends(text: str) -> None:
    short = failures.shortened(text)
    assert len(short) <= failures.LONGEST
    if len(text) <= failures.LONGEST:
        assert short == text
    else:
        start, _, end = short.partition("[… the log has the rest …]")
        assert text.startswith(start.rstrip("\n")) or not start.strip()
        assert text.endswith(end.lstrip("\n")) or not end.strip()
