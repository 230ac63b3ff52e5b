"""Real sweeps in a folder of their own: a toy trainable, the command, and what came out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from orchestrator import open_store
from support import comparing
from support.waiting import HANG_SECONDS

TOY = '''
"""A trainable whose numbers follow from params, seed and epoch, and which can be made to fail."""

import json
import os
import random
import signal
import time
from pathlib import Path


def train(params, trial):
    fault_epoch = params.get("fault_epoch", 2)
    state = json.loads(trial.load() or b'{"epoch": 0, "total": 0.0}')
    for epoch in range(state["epoch"] + 1, params["epochs"] + 1):
        if epoch == fault_epoch:
            misbehave(params.get("fault"), params.get("marks"))
        chance = random.Random(f"{params['seed']}/{epoch}").random()
        total = state["total"] + chance
        trial.probe("chance", "only", chance, index=0)
        if trial.checkpoint_due:
            trial.save(json.dumps({"epoch": epoch, "total": total}).encode())
        state = {"epoch": epoch, "total": total}
        score = total * params.get("x", 1) * params.get("lr", 1)
        if params.get("fault") == "diverge" and epoch == fault_epoch:
            yield {"score": score, "loss": float("nan")}
        else:
            yield {"score": score, "loss": 1.0 / epoch}


def misbehave(fault, marks):
    first = Path(f"{marks}/once-{fault}")
    if fault == "raise":
        raise RuntimeError("this trial always fails")
    if fault == "raise once" and not first.exists():
        first.touch()
        raise RuntimeError("this trial fails once")
    if fault == "die once" and not first.exists():
        first.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "wait":
        Path(f"{marks}/waiting-{os.getpid()}").touch()
        while not Path(f"{marks}/gate").exists():
            time.sleep(0.01)


def other_metrics(params, trial):
    yield {"score": 1.0} if params["x"] == 1 else {"score": 1.0, "extra": 2.0}


def check(params):
    if params.get("x") == 99:
        raise ValueError("x: 99 is too large")


train.check = check
'''


def environment() -> dict[str, str]:
    """Return this process's environment without the cluster, stores and data sets it names."""
    own = {"RAY_ADDRESS", "ORCH_STORE", "ORCH_DATA_DIR"}
    return {name: value for name, value in os.environ.items() if name not in own}


@dataclass(frozen=True)
class Folder:
    """A working folder with the toy trainable."""

    path: Path
    environment: dict[str, str]

    def write(self, name: str = "toy", **keys: Any) -> Path:
        """Write a small sweep file; keys replace those of the default one."""
        sweep = {
            "name": name,
            "trainable": "toy:train",
            "seeds": [0, 1],
            "factors": {"x": [1, 2]},
            "search": {"lr": [1.0, 0.5]},
            "fixed": {"epochs": 3, "marks": str(self.path)},
            "select": {"metric": "score", "mode": "max"},
            **keys,
        }
        path = self.path / f"{name}.yaml"
        lines = [f"{key}: {json.dumps(value)}" for key, value in sweep.items() if value is not None]
        path.write_text("\n".join(lines) + "\n")
        return path

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """Start `orch` with this folder as its working folder, to be killed or waited for."""
        with self.said.open("a") as words:
            return subprocess.Popen(
                self.command(*arguments),
                cwd=self.path,
                env=self.environment,
                stdout=words,
                stderr=words,
                text=True,
            )

    @property
    def said(self) -> Path:
        """Where to read what commands print that were only started."""
        return self.path / "said.log"

    def orch(self, *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run `orch` to its end, which must be with the exit code that is expected."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.path,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def command(self, *arguments: object) -> list[str]:
        """Name the command, for tests that start it themselves."""
        return [sys.executable, "-m", "orchestrator", *map(str, arguments)]

    def numbers(self, name: str = "toy", root: str = "results") -> dict[str, pd.DataFrame]:
        """Read all three tables as plain pandas does, but for what differs between runs."""
        return comparing.numbers(self.path / root / name)

    def trials(self, name: str = "toy") -> pd.DataFrame:
        """Read the trials of a store, whatever their order in it."""
        frame = open_store(self.path / "results" / name).trials
        return frame.sort_values("trial_id", ignore_index=True)
