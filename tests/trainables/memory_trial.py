"""A trial that keeps in memory what a runner would write."""

import atexit
import shutil
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple


@cache
def _folders() -> Path:
    folders = Path(tempfile.mkdtemp(prefix="orch-folders-"))
    atexit.register(shutil.rmtree, folders)
    return folders


def _folder() -> Path:
    return Path(tempfile.mkdtemp(dir=_folders()))


class ProbeRow(NamedTuple):
    probe: str
    layer: str
    value: float
    index: int
    unit: int | None
    at: float | None


@dataclass
class MemoryTrial:
    """The contract of `trainables.contract.Trial`, with everything kept in lists."""

    saved: bytes | None = None
    checkpoint_due: bool = True
    smoke: bool = False
    threads: int = 1
    gpus: float = 0
    attempt: int = 1
    folder: Path = field(default_factory=_folder)
    rows: list[ProbeRow] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    steps: list[tuple[int, int]] = field(default_factory=list)

    def probe(self, probe, layer, value, *, index, unit=None, at=None):
        self.rows.append(ProbeRow(probe, layer, value, index, unit, at))

    def load(self):
        return self.saved

    def save(self, state):
        self.saved = state

    def step(self, images, *, of):
        self.steps.append((images, of))

    def record(self, **facts):
        self.facts |= facts

    def log(self, text):
        self.lines.append(text)
