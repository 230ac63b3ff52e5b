"""A sweep on the cluster of two hosts, observed from the laptop."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.lab import LAPTOP_ORCH, Host, Lab
from support.waiting import HANG_SECONDS, until

REPOSITORY = Path(__file__).parents[2]
TRIALS, EPOCHS, CHECKPOINT_EVERY = 12, 48, 4


@dataclass
class Line:
    """A line that a command printed, and when."""

    time: float
    text: str


@dataclass
class Run:
    """One `orch sweep --cluster`, observed from the laptop."""

    lab: Lab
    root: Path
    process: subprocess.Popen[str]
    lines: list[Line] = field(default_factory=list)

    @classmethod
    def start(cls, lab: Lab, root: Path) -> Run:
        """Start the sweep."""
        command = [*LAPTOP_ORCH, "sweep", "sweeps/faults.yaml", "--cluster", "lab.yaml"]
        return cls(lab, root, lab.start(*command, "--store", root))

    def __post_init__(self) -> None:
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for text in self.process.stdout:
            self.lines.append(Line(time.monotonic(), text.rstrip()))

    @property
    def store(self) -> Path:
        """The folder of its store."""
        return self.root / "faults"

    @property
    def output(self) -> str:
        """Its output so far."""
        return "\n".join(line.text for line in self.lines)

    def running(self) -> dict[str, int]:
        """The last finished epoch of each running trial, as the driver last reported."""
        try:
            found = json.loads((self.store / ".driver.json").read_text())["running"]
        except (FileNotFoundError, ValueError):
            return {}
        return {str(trial): int(epoch) for trial, epoch in found.items()}

    def running_on(self, host: Host) -> dict[str, int]:
        """The same for the trials on one host."""
        return {
            trial: epoch
            for trial, epoch in self.running().items()
            if any(last.host == host.name for last in self.attempts(trial)[-1:])
        }

    def trials(self) -> list[str]:
        """The ids of all trials that were ever started."""
        return sorted(path.stem for path in (self.store / "logs").glob("*.log"))

    def attempts(self, trial: str) -> list[Attempt]:
        """Read the starts of a trial from its log."""
        log = self.store / f"logs/{trial}.log"
        return [Attempt.of(m) for m in _ATTEMPT.finditer(log.read_text() if log.exists() else "")]

    def poll(self) -> int | None:
        """Return the exit code, or None before the end and before the last line is read."""
        return None if self.reader.is_alive() else self.process.poll()

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait for something that the sweep does."""
        return until(condition, self, what=what, output=lambda: self.output)

    def wait_for_line(self, pattern: str, since: float) -> float:
        """Wait until it prints a line; return the seconds from a moment to that line."""

        def line() -> Line | None:
            later = (line for line in list(self.lines) if line.time >= since)
            return next((line for line in later if re.search(pattern, line.text)), None)

        printed: Line = self.until(line, f"a line with {pattern!r}")
        return printed.time - since

    def end(self) -> int:
        """Wait for its end and return its exit code."""
        code = self.process.wait(HANG_SECONDS)
        self.reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


_ATTEMPT = re.compile(
    r"attempt (\d+), process (\d+) on (\S+), from (?:epoch (\d+)|the start)", re.MULTILINE
)


@dataclass(frozen=True)
class Attempt:
    """One start of a trial."""

    number: int
    process: int
    host: str
    epoch: int

    @classmethod
    def of(cls, match: re.Match[str]) -> Attempt:
        """Parse a line of the log."""
        number, process, host, epoch = match.groups()
        return cls(int(number), int(process), host, int(epoch or 1))
