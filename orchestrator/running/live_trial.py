"""The trial object that a trainable receives in a sweep."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from orchestrator.errors import TrialError
from orchestrator.running.job import Task
from orchestrator.store import Writer


@dataclass
class LiveTrial:
    """The `orchestrator.trial.Trial` of a sweep: collects what an epoch hands over."""

    task: Task
    smoke: bool
    checkpoint_every: int
    writer: Writer
    state: bytes | None
    epoch: int
    """The current epoch, from 1."""
    saved: bytes | None = None
    """The state saved in the current epoch."""
    facts: dict[str, str] = field(default_factory=dict)
    probes: list[tuple[Any, ...]] = field(default_factory=list)
    """The current epoch's rows of the table ``probes``."""

    @property
    def threads(self) -> int:
        """CPU threads that the trial may use."""
        return self.task.threads

    @property
    def gpus(self) -> float:
        """The trial's part of a GPU, or number of GPUs."""
        return self.task.gpu

    @property
    def checkpoint_due(self) -> bool:
        """Whether the current epoch should save a checkpoint."""
        # A smoke run has one epoch, and the state of a large network takes a gigabyte to write.
        return not self.smoke and self.epoch % self.checkpoint_every == 0

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
        self.writer.log(self.task.trial_id, f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {text}")
