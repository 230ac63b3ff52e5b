"""Trials in processes of their own, through the interface that a worker uses."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from orchestrator.running.live_trial import Report, Start
from orchestrator.running.processes.host import TrialProcesses


def alive(process: psutil.Process) -> bool:
    """Say whether a process goes on; one that nobody reaps does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextlib.contextmanager
def working_in(folder: Path, **modules: str) -> Iterator[Path]:
    """Work in a folder of modules, given by name, without the variables that a worker sets."""
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("OMP_NUM_THREADS", raising=False)
        patch.delenv("PYTHONHASHSEED", raising=False)
        yield folder


def start(
    gpus: float = 0, epoch: int = 1, *, smoke: bool = False, attempt: int = 1, **params: Any
) -> Start:
    """Make what an attempt at a trial is given."""
    return Start(
        trial_id="0123456789abcdef",
        params={"seed": 3, **params},
        epoch=epoch,
        folder=str(Path.cwd()),
        facts={},
        threads=1,
        gpus=gpus,
        smoke=smoke,
        checkpoint_every=1,
        attempt=attempt,
    )


def run(worker: TrialProcesses, begin: Start, state: bytes | None = None) -> list[Report]:
    """Run a trial to its end."""
    return list(worker.run(begin, state, lambda _: None))
