"""Where trials run: one seam, and the two backends behind it."""

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
    """What a machine of the cluster can give to trials."""

    cpus: float
    gpus: float

    def __str__(self) -> str:
        return f"{self.cpus:g} CPUs and {self.gpus:g} GPUs"


class Watcher(Protocol):
    """Is told by a runner what happens, in the driver's process."""

    def started(self, trial_id: str) -> None:
        """A trial starts, or starts again."""

    def epoch(self, trial_id: str, epoch: Epoch) -> None:
        """A trial has an epoch behind it; the first one of all comes before any commit.

        Raises:
            MetricError: the metrics are not what the sweep asks for; the run ends.
        """

    def finished(self, trial_id: str, seconds: float) -> None:
        """A trial is committed; it took so long, imports of its process not counted."""

    def failed(self, trial_id: str, text: str, attempts: int, *, again: bool) -> None:
        """An attempt failed; ``again`` tells whether another one follows.

        Without one, the trial failed after that many attempts.
        """


class Runner(Protocol):
    """Runs trials until each is committed or has failed."""

    def run(self, job: Job, todo: Sequence[str], retries: int, watcher: Watcher) -> None:
        """Run trials in the given order, as far as resources allow.

        Args:
            job: what the workers are to know.
            todo: ids of trials of the job.
            retries: how often a failed trial is tried again.
            watcher: is told what happens.

        Raises:
            KeyboardInterrupt: Ctrl-C; what is committed stays.
            OrchError: the run cannot start or go on.
        """


@contextmanager
def opened(name: str) -> Iterator[Runner]:
    """Make a runner by name; Ray is imported and started only for the one that needs it.

    Raises:
        ResourceError: Ray does not start, or there is no such cluster.
    """
    if name == "inline":
        from orchestrator.running.runners.inline import InlineRunner

        yield InlineRunner()
        return
    from orchestrator.running.runners.ray_settings import apply

    apply()
    from orchestrator.running.runners.ray_cluster import cluster, without_chatter
    from orchestrator.running.runners.tune import TuneRunner

    with without_chatter(), cluster():
        yield TuneRunner()
