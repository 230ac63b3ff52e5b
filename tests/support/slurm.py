"""A real Slurm of two nodes on this machine, and the sweeps that it runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from support.waiting import HANG_SECONDS

REPOSITORY = Path(__file__).parents[2]
_LAB = REPOSITORY / "tests/cluster/slurm-lab"
_NEEDED = {"sbatch": "slurm-wlm", "slurmd": "slurm-wlm", "munged": "munge", "ip": "iproute2"}


def missing() -> str | None:
    """Return why no Slurm can be started here, or None."""
    if sys.platform != "linux" or os.getuid() != 0:
        return "a Slurm of its own needs root on Linux"
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    absent = {package for name, package in _NEEDED.items() if shutil.which(name, path=path) is None}
    return f"not installed: {', '.join(sorted(absent))}" if absent else None


@dataclass
class Slurm:
    """The two nodes, and a folder that they share with this machine."""

    folder: Path

    @property
    def work(self) -> Path:
        """The working folder of the sweeps."""
        return self.folder / "work"

    @property
    def _lab(self) -> Path:
        return self.folder / "lab"

    @property
    def _environment(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "ORCH_"))}
        return {
            **inherited,
            "HOME": str(self.folder),
            "PATH": f"{self._lab / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY),
            "COLUMNS": "100",
        }

    def up(self) -> None:
        """Start what does not run."""
        self.work.mkdir(exist_ok=True)
        command = [_LAB, "up", self._lab, REPOSITORY, sys.prefix]
        subprocess.run([str(part) for part in command], check=True, timeout=HANG_SECONDS)

    def down(self) -> None:
        """End all that runs on the nodes, and them."""
        subprocess.run([str(_LAB), "down", str(self._lab)], check=True)

    def call(self, *command: object) -> str:
        """Run one of Slurm's commands on the login host; return what it prints."""
        done = subprocess.run(
            [str(part) for part in command],
            env=self._environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.strip()

    def start(self, *arguments: object, **variables: str) -> subprocess.Popen[str]:
        """Start `orch` in the working folder."""
        return subprocess.Popen(
            [sys.executable, "-m", "orchestrator", *map(str, arguments)],
            cwd=self.work,
            env=self._environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def orch(self, *arguments: object, code: int = 0, **variables: str) -> str:
        """Run `orch` to its end; return what it printed."""
        process = self.start(*arguments, **variables)
        output, _ = process.communicate(timeout=HANG_SECONDS)
        assert process.returncode == code, output
        return output
