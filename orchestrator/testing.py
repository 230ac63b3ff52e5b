"""A trial in memory, to test a trainable without a sweep, Ray or a store.

For example, in a test of ``train``::

    from orchestrator.testing import Trial, run

    trial = Trial()
    epochs = run(train, params, trial)
    assert run(train, params, trial.resumed(after=1)) == epochs[1:]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.code import Trainable
from orchestrator.errors import TrialError
from orchestrator.running.live_trial import LiveTrial, Report, Start, run_trainable
from orchestrator.running.resuming import require_loaded
from orchestrator.running.yielded import Metrics

__all__ = ["Epoch", "Probe", "Trial", "run"]


@dataclass(frozen=True)
class Probe:
    """A measurement, with the fields of the table ``probes``."""

    epoch: int
    probe: str
    layer: str
    index: int
    unit: int | None
    at: float | None
    value: float


class Epoch(NamedTuple):
    """What became durable with one yield.

    Attributes:
        number: from 1.
        metrics: by the names of their columns.
        step: the trainable's own counter; None if it has none.
        probes: what was measured.
        facts: all that were recorded so far.
        state: what was saved in this epoch; None if nothing was.
    """

    number: int
    metrics: Metrics
    step: float | None
    probes: list[Probe]
    facts: dict[str, str]
    state: bytes | None


class Trial(LiveTrial):
    """The second argument of a trainable, which keeps everything in lists.

    Args:
        checkpoint_every: epochs from one due checkpoint to the next.
        smoke: whether the trial is of a smoke run.
        threads: CPU threads that it may use.
        gpus: GPUs that it may use, or the fraction of one.
        attempt: number of the attempt, from 1.
        folder: the trial's own folder, such as pytest's ``tmp_path``.

    Attributes:
        epochs: what became durable, an entry per yield of all attempts.
        lines: what it logged, without the time.
        steps: the training steps, as (images, of).
    """

    def __init__(
        self,
        *,
        checkpoint_every: int = 1,
        smoke: bool = False,
        threads: int = 1,
        gpus: float = 0,
        attempt: int = 1,
        folder: Path | None = None,
    ) -> None:
        self._folder = folder
        start = Start(
            trial_id="0" * 16,
            params={},
            epoch=1,
            facts={},
            threads=threads,
            gpus=gpus,
            smoke=smoke,
            checkpoint_every=checkpoint_every,
            attempt=attempt,
            folder=str(folder or ""),
        )
        self._begin(start, None, [])

    def _begin(self, start: Start, state: bytes | None, epochs: list[Epoch]) -> None:
        self.lines: list[str] = []
        self.steps: list[tuple[int, int]] = []
        self.epochs = epochs
        self._before = len(epochs)
        super().__init__(start, state, self.lines.append, self._keep)

    def _keep(self, report: Report) -> None:
        if self.state is not None:
            require_loaded(report, self._before)
        probes = [Probe(*row) for row in report.probes]
        self.epochs.append(
            Epoch(
                number=self.epoch - 1,  # which has just ended
                metrics=report.metrics,
                step=report.step,
                probes=probes,
                facts=report.facts,
                state=report.state,
            )
        )

    @property
    def folder(self) -> Path:
        """The trial's own folder.

        Raises:
            TrialError: it was made without one.
        """
        if self._folder is None:
            raise TrialError("the trial has no folder: Trial(folder=…) gives it one")
        return self._folder

    def step(self, images: int, *, of: int) -> None:
        """Keep a training step."""
        self.steps.append((images, of))

    def log(self, text: str) -> None:
        """Keep a line."""
        self.lines.append(text)

    def resumed(self, *, after: int | None = None) -> Trial:
        """Make the trial of the next attempt, which starts from the last durable state.

        Args:
            after: the epochs after which this attempt is taken to have been killed; by default,
                all that have ended. What came after the last save among them is run again.
        """
        done = self.epochs[:after]
        while done and done[-1].state is None:
            done.pop()
        state, facts = (done[-1].state, done[-1].facts) if done else (None, {})
        trial = Trial(folder=self._folder)
        start = replace(self.start, epoch=len(done) + 1, facts=facts, attempt=self.attempt + 1)
        trial._begin(start, state, done)
        return trial


def run(train: Trainable, params: Mapping[str, Any], trial: Trial) -> list[Metrics]:
    """Run a trainable to its end, as a sweep does.

    Args:
        train: the trainable.
        params: its params, ``seed`` among them.
        trial: a new trial, or one from `Trial.resumed`.

    Returns:
        The metrics of each epoch that this attempt ran.

    Raises:
        TrialError: the trainable breaks the contract of `orchestrator.trial`.
        NotLoadedError: it does not load the state from which the trial resumes.
        Exception: whatever the trainable raises.
    """
    before = len(trial.epochs)
    trial.start = replace(trial.start, params=dict(params))
    run_trainable(train, trial)
    return [epoch.metrics for epoch in trial.epochs[before:]]
