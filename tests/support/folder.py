"""Working folders for real sweeps: the toy trainable, the `orch` command and its results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pandas as pd

from orchestrator import open_store
from support import commands, comparing, warm
from support.waiting import HANG_SECONDS, Process


def environment() -> dict[str, str]:
    """Return this process's environment without the cluster, stores and data sets it names."""
    own = {"RAY_ADDRESS", "ORCH_STORE", "ORCH_DATA_DIR"}
    return {name: value for name, value in os.environ.items() if name not in own}


def needs_ray(arguments: Sequence[object]) -> bool:
    """Say whether a command runs trials on Ray, which ends with its process."""
    runs = arguments[0] in {"sweep", "decide"} and "inline" not in arguments
    return runs or "--pilot" in arguments


@dataclass(frozen=True)
class Folder:
    """A working folder with the toy trainable."""

    path: Path
    environment: dict[str, str]

    def write(self, name: str = "toy", **keys: Any) -> Path:
        """Write a small sweep file in which `keys` replace the default ones."""
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

    def start(self, *arguments: object) -> Process:
        """Start `orch` in this folder without waiting for it."""
        with self.said.open("a") as output:
            return self._start(arguments, output, output)

    def _start(self, arguments: Sequence[object], out: IO[str], err: IO[str]) -> Process:
        if "RAY_ADDRESS" in self.environment:
            return warm.start([*map(str, arguments)], self.path, self.environment, out, err)
        return subprocess.Popen(
            self.command(*arguments), cwd=self.path, env=self.environment, stdout=out, stderr=err
        )

    @property
    def said(self) -> Path:
        """The file with the output of commands from `start`."""
        return self.path / "said.log"

    def orch(self, *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run `orch` to its end and check its exit code; in this process if it needs no Ray."""
        if needs_ray(arguments):
            return self.process(*arguments, code=code)
        result = commands.orch(self.path, *arguments, environment=self.environment)
        assert result.exit_code == code, f"exit code {result.exit_code}\n{result.output}"
        return subprocess.CompletedProcess(arguments, code, result.stdout, result.stderr)

    def process(self, *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run `orch` to its end in a process of its own and check its exit code."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            ended = self._start(arguments, out, err).wait(HANG_SECONDS)
            out.seek(0)
            err.seek(0)
            done = subprocess.CompletedProcess(arguments, ended, out.read(), err.read())
        assert ended == code, f"exit code {ended}\n{done.stdout}{done.stderr}"
        return done

    def command(self, *arguments: object) -> list[str]:
        """Return the command line, for tests that start it themselves."""
        return [sys.executable, "-m", "orchestrator", *map(str, arguments)]

    def numbers(self, name: str = "toy", root: str = "results") -> dict[str, pd.DataFrame]:
        """Read all three tables with plain pandas, without the volatile columns."""
        return comparing.numbers(self.path / root / name)

    def trials(self, name: str = "toy", root: str = "results") -> pd.DataFrame:
        """Read the trials of a store, sorted by id."""
        frame = open_store(self.path / root / name).trials
        return frame.sort_values("trial_id", ignore_index=True)
