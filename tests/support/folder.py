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
