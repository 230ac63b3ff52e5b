"""A cluster of two hosts, brought up once by `orch cluster up`, and sweeps on it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from lab import LAPTOP_ORCH, Host, Lab, missing

REPOSITORY = Path(__file__).parents[2]
SWEEP = """\
name: faults
description: Enough to be hit in the middle, with a checkpoint every fourth epoch.
trainable: trainables.classify:train
seeds: [0, 1, 2]
factors:
  activation: [tanh, relu]
  order: [convention, swap]
fixed: {dataset: digits, model: vgg16_8, width: 0.125, lr: 0.1, epochs: 48, batch_size: 64}
select: {metric: test_accuracy}
checkpoint_every: 4
"""
TRIALS, EPOCHS, CHECKPOINT_EVERY = 12, 48, 4


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Make two hosts and a laptop, with a working copy and a cluster file on it."""
    if reason := missing():
        pytest.fail(f"the cluster cannot be tested here: {reason}")
    # Neither in /tmp nor in the home folder, of which each host has its own.
    folder = Path(tempfile.mkdtemp(prefix="orch-lab-", dir="/var/tmp"))
    work = folder / "work"
    _copy_checkout(work)
    (work / "sweeps/faults.yaml").write_text(SWEEP)
    made = Lab(folder, work)
    (work / "lab.yaml").write_text(_filled_in(made))
    try:
        made.up()
        yield made
    finally:
        made.down()
        shutil.rmtree(folder, ignore_errors=True)


def _copy_checkout(work: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=REPOSITORY, capture_output=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, target = REPOSITORY / name, work / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def _filled_in(lab: Lab) -> str:
    """Fill in the file for hosts of one's own, as its comments ask."""
    head, worker = (host.address for host in lab.hosts)
    text = (REPOSITORY / "clusters/on-prem.yaml").read_text()
    for old, new in (
        ("cluster_name: on-prem", f"cluster_name: {lab.folder.name}"),
        ("[192.0.2.11, 192.0.2.12]", f"[{worker}]"),
        ("192.0.2.10", head),
        ("ssh_user: ubuntu", "ssh_user: root"),
        ("~/.ssh/id_ed25519", str(lab.key)),
        ("/shared/results", str(lab.store)),
        ("ORCH_DATA_DIR=/data", f"ORCH_DATA_DIR={lab.data}"),
    ):
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="session")
def transcript() -> list[str]:
    """What was typed and printed on the laptop, for docs/cluster.md."""
    return []


@pytest.fixture(scope="session")
def cluster(lab: Lab, transcript: list[str]) -> Lab:
    """Bring the cluster up."""
    output = lab.orch("cluster", "up", "lab.yaml")
    transcript.append(f"$ orch cluster up lab.yaml\n{output}")
    return lab


@dataclass
class Line:
    """What a command printed, and when."""

    time: float
    text: str


@dataclass
class Run:
    """One `orch sweep --cluster`, followed from the laptop."""

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
        """Where its rows come to lie."""
        return self.root / "faults"

    @property
    def output(self) -> str:
        """All that it printed so far."""
        return "\n".join(line.text for line in self.lines)

    def running(self) -> dict[str, int]:
        """The last finished epoch of each running trial, as the driver told last."""
        try:
            found = json.loads((self.store / ".driver.json").read_text())["running"]
        except (FileNotFoundError, ValueError):
            return {}
        return {str(trial): int(epoch) for trial, epoch in found.items()}

    def running_on(self, host: Host) -> dict[str, int]:
        """Those of them that run on one host."""
        return {
            trial: epoch
            for trial, epoch in self.running().items()
            if any(last.host == host.name for last in self.attempts(trial)[-1:])
        }

    def trials(self) -> list[str]:
        """All that were ever started."""
        return sorted(path.stem for path in (self.store / "logs").glob("*.log"))

    def attempts(self, trial: str) -> list[Attempt]:
        """Read in a trial's log when, where and from which epoch it was started."""
        log = self.store / f"logs/{trial}.log"
        return [Attempt.of(m) for m in _ATTEMPT.finditer(log.read_text() if log.exists() else "")]

    def until(self, condition: Callable[[], object], what: str, seconds: float = 120) -> None:
        """Wait for something that the sweep brings about."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited for {what}\n{self.output}"
            assert self.process.poll() is None, f"ended before {what}\n{self.output}"
            time.sleep(0.05)

    def told(self, pattern: str, since: float, seconds: float = 120) -> float:
        """Wait until it prints a line; tell how long after a moment that was."""
        deadline = time.monotonic() + seconds
        while True:
            for line in list(self.lines):
                if line.time >= since and re.search(pattern, line.text):
                    return line.time - since
            assert time.monotonic() < deadline, f"waited for {pattern!r}\n{self.output}"
            time.sleep(0.05)

    def end(self, seconds: float = 300) -> int:
        """Wait for its end; return its exit code."""
        code = self.process.wait(seconds)
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
        """Take it from a line of the log."""
        number, process, host, epoch = match.groups()
        return cls(int(number), int(process), host, int(epoch or 1))
