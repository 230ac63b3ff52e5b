"""Runs sweeps for benchmarks: a working folder with its own trainable, and `orch`."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from orchestrator import open_store

MODULE = "bench"

NOOP = """
def train(params, trial):
    yield {"score": 1.0}
"""

PROGRAM = """
print('{"score": 1}')
"""

SLEEPER = """
import time


def train(params, trial):
    time.sleep(20)
    yield {"score": 1.0}
"""

TORCH = """
import time

import torch


def train(params, trial):
    started = time.perf_counter()
    model = torch.nn.Linear(64, 10)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.randn(32, 64)).square().mean().backward()
    optimiser.step()
    yield {"score": 1.0, "training": time.perf_counter() - started}
"""
"""Imports torch, trains for one step, and says how long that takes."""

DIGITS: dict[str, Any] = {
    "trainable": "trainables.classify:train",
    "factors": {"activation": ["tanh"]},
    "fixed": {
        "dataset": "digits",
        "model": "vgg16_8",
        "width": 0.125,
        "lr": 0.1,
        "weight_decay": 0.001,
        "epochs": 10,
        "batch_size": 64,
        "lr_drops": [6, 9],
        "augment": "crop",
    },
    "select": {"metric": "test_accuracy"},
}
"""Keys of a sweep of small networks on handwritten digits, which need no download."""


@dataclass(frozen=True)
class Folder:
    """A working folder whose module `bench` holds the trainable."""

    path: Path

    def write(self, name: str, **keys: Any) -> Path:
        """Write a sweep file; `keys` replace those of a sweep with one trial of `bench:train`."""
        sweep = {
            "name": name,
            "trainable": f"{MODULE}:train",
            "seeds": [0],
            "factors": {"x": [1]},
            "select": {"metric": "score"},
            **keys,
        }
        file = self.path / f"{name}.yaml"
        file.write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in sweep.items()))
        return file

    def orch(self, *arguments: object) -> datetime:
        """Run `orch` in the folder, on its own Ray; return the time at which it started.

        Raises:
            subprocess.CalledProcessError: The command fails; the error holds its output.
        """
        environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
        started = datetime.now(UTC)
        command = [sys.executable, "-m", "orchestrator", *map(str, arguments)]
        subprocess.run(command, cwd=self.path, env=environment, check=True, capture_output=True)
        return started

    def trials(self, name: str, root: str = "results") -> pd.DataFrame:
        """Return the rows of `trials` in a sweep's store."""
        return open_store(self.path / root / name).trials


@contextmanager
def folder(source: str = NOOP) -> Iterator[Folder]:
    """Make a temporary working folder."""
    with tempfile.TemporaryDirectory(prefix="orch-bench-") as path:
        (Path(path) / f"{MODULE}.py").write_text(source)
        yield Folder(Path(path))


def half_the_cores() -> dict[str, float]:
    """Return the `resources` of a trial of which two fill this machine."""
    return {"cpu": (os.cpu_count() or 1) / 2, "gpu": 0}


def seconds_between_ends(trials: pd.DataFrame) -> float:
    """Compute the wall seconds per trial after the first one."""
    ends = trials["ended_at"]
    return float((ends.max() - ends.min()).total_seconds()) / (len(ends) - 1)
