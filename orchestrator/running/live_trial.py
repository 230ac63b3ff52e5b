"""A trial as its trainable runs it, in whichever process: what it is given, what it hands over."""

from __future__ import annotations

import copy
import os
import socket
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.code import Trainable
from orchestrator.errors import TrialError
from orchestrator.running import failures
from orchestrator.running.yielded import Metrics, YieldedReader


@dataclass(frozen=True)
class Start:
    """What a process needs to run a trial, besides the state of its checkpoint."""

    params: Mapping[str, Any]
    epoch: int
    """The first epoch to run, from 1."""
    facts: Mapping[str, str]
    """Recorded before the checkpoint."""
    threads: int
    gpus: float
    smoke: bool
    checkpoint_every: int
    attempt: int
    folder: str
    """The trial's own folder."""


class Report(NamedTuple):
    """What a trainable hands over at the end of an epoch.

    Attributes:
        metrics: by the names of their columns.
        step: the trainable's own counter; None if it has none.
        probes: rows with the columns of `schema.PROBE_SCHEMA`.
        facts: all that were recorded so far.
        state: what was saved in this epoch; None if nothing was.
        loaded: whether the trainable has asked for the state of its checkpoint.
    """

    metrics: Metrics
    step: float | None
    probes: list[tuple[Any, ...]]
    facts: dict[str, str]
    state: bytes | None
    loaded: bool


@dataclass
class LiveTrial:
    """The `orchestrator.trial.Trial` of a sweep: collects what an epoch hands over."""

    start: Start
    state: bytes | None
    write: Callable[[str], None]
    """Takes lines for the log file."""
    epoch: int
    """The current epoch, from 1."""
    facts: dict[str, str]
    loaded: bool = False
    """Whether the trainable has asked for the state."""
    saved: bytes | None = None
    """The state saved in the current epoch."""
    probes: list[tuple[Any, ...]] = field(default_factory=list)
    """The current epoch's rows of the table ``probes``."""

    @classmethod
    def of(cls, start: Start, state: bytes | None, write: Callable[[str], None]) -> LiveTrial:
        """Make the trial that a trainable is given."""
        return cls(start, state, write, start.epoch, dict(start.facts))

    @property
    def attempt(self) -> int:
        """The number of this attempt, from 1."""
        return self.start.attempt

    @property
    def folder(self) -> Path:
        """The trial's own folder."""
        return Path(self.start.folder)

    @property
    def smoke(self) -> bool:
        """Whether one epoch of two small batches is enough."""
        return self.start.smoke

    @property
    def threads(self) -> int:
        """CPU threads that the trial may use."""
        return self.start.threads

    @property
    def gpus(self) -> float:
        """The trial's part of a GPU, or number of GPUs."""
        return self.start.gpus

    @property
    def checkpoint_due(self) -> bool:
        """Whether the current epoch should save a checkpoint."""
        # A smoke run has one epoch, and the state of a large network takes a gigabyte to write.
        return not self.smoke and self.epoch % self.start.checkpoint_every == 0

    def probe(
        self,
        probe: str,
        layer: str,
        value: float,
        *,
        index: int,
        unit: int | None = None,
        at: float | None = None,
    ) -> None:
        """Keep a value until the epoch ends."""
        self.probes.append((self.epoch, probe, layer, index, unit, at, float(value)))

    def load(self) -> bytes | None:
        """Return the state of the checkpoint that the trial resumes from."""
        self.loaded = True
        return self.state

    def save(self, state: bytes) -> None:
        """Keep the state until the epoch ends."""
        if not isinstance(state, bytes):
            raise TrialError(f"trial.save takes bytes, not {type(state).__name__}")
        self.saved = state

    def step(self, images: int, *, of: int) -> None:
        """Ignore the step: only a pilot times steps."""

    def record(self, **facts: str) -> None:
        """Keep facts for the trial's row."""
        self.facts.update({name: str(fact) for name, fact in facts.items()})

    def log(self, text: str) -> None:
        """Write a line, with the time, to the trial's log."""
        self.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {text}")

    def end_epoch(self, metrics: Metrics, step: float | None) -> Report:
        """Hand over the epoch under way, and begin the next one."""
        report = Report(metrics, step, self.probes, dict(self.facts), self.saved, self.loaded)
        self.probes, self.saved = [], None
        self.epoch += 1
        return report


def reports(trainable: Trainable, trial: LiveTrial) -> Generator[Report, None, None]:
    """Run a trainable to its end.

    Raises:
        GpuMemoryError: the trial runs out of GPU memory.
        TrialError: the trainable breaks the contract of `orchestrator.trial`.
        Exception: whatever the trainable raises.
    """
    start = trial.start
    origin = "from the start" if start.epoch == 1 else f"from epoch {start.epoch}"
    if start.epoch > 1 and trial.state is None:
        origin = f"after epoch {start.epoch - 1}, if its own counter says so"
    process = f"process {os.getpid()} on {socket.gethostname()}"
    trial.log(f"attempt {start.attempt}, {process}, {origin}")
    reader = YieldedReader(start.params, trial.log)
    generator = trainable(copy.deepcopy(dict(start.params)), trial)
    try:
        for yielded in generator:
            yield trial.end_epoch(*reader.read(yielded))
    except Exception as error:
        if gpu_error := failures.of_gpu_memory(error, trial.gpus):
            raise gpu_error from error
        raise
    finally:
        close = getattr(generator, "close", None)
        if close is not None:
            close()
