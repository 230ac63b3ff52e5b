"""Runners, which run trials: the interface, and the two implementations by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from orchestrator.running.execution import Epoch
from orchestrator.running.job import Job

NAMES = ("tune", "inline")


@dataclass(frozen=True)
class Node:
    """The resources of a node of the cluster."""

    cpus: float
    gpus: float

    def __str__(self) -> str:
        return f"{self.cpus:g} CPUs and {self.gpus:g} GPUs"


class Watcher(Protocol):
    """Receives a runner's events, in the driver's process."""

    def started(self, trial_id: str) -> None:
        """A trial starts, or is retried."""

    def epoch(self, trial_id: str, epoch: Epoch) -> None:
        """A trial finishes an epoch; this comes before the trial goes on, or is committed."""

    def finished(self, trial_id: str, seconds: float) -> None:
        """A trial is committed after a number of seconds, without the imports of its process."""

    def failed(
        self,
        trial_id: str,
        text: str,
        attempts: int,
        *,
        again: bool,
        error: BaseException | None = None,
    ) -> None:
        """An attempt at a trial fails; ``again`` says whether the trial is retried.

        If not, the trial has failed for good after that many attempts. ``error`` is what ended
        it, if it is known.

        Raises:
            OrchError: the run ends.
        """

    def edited(self, trial_id: str, text: str) -> None:
        """A trial is not run, or not committed, since a file that it needs was edited."""


class Runner(Protocol):
    """Runs trials until each is committed or has failed for good."""

    def run(self, job: Job, todo: Sequence[str], retries: int, watcher: Watcher) -> None:
        """Run trials in the given order, as many at once as resources allow.

        Args:
            job: what the workers need to run the trials.
            todo: ids of the job's trials, in the order in which they start.
            retries: how often a failed trial is retried.
            watcher: receives the events.

        Raises:
            KeyboardInterrupt: Ctrl-C; committed trials are kept.
            OrchError: the run cannot start or continue.
        """


@contextmanager
def opened(name: str) -> Iterator[Runner]:
    """Make a runner by name; import and start Ray only for the one that needs it.

    Raises:
        ResourceError: Ray fails to start, or the cluster does not exist.
    """
    if name == "inline":
        from orchestrator.running.runners.inline import InlineRunner

        yield InlineRunner()
        return
    from orchestrator.running.runners.ray_settings import apply

    apply()
    from orchestrator.running.runners.ray_cluster import cluster, silenced_stdout
    from orchestrator.running.runners.tune import TuneRunner

    with silenced_stdout(), cluster():
        yield TuneRunner()
