"""Runners, which run trials: the interface, and the two implementations by name."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from orchestrator.running.attempts import Attempts
from orchestrator.running.job import Job

NAMES = ("tune", "inline")


@dataclass(frozen=True)
class Node:
    """The resources of a node of the cluster."""

    cpus: float
    gpus: float

    def __str__(self) -> str:
        return f"{self.cpus:g} CPUs and {self.gpus:g} GPUs"


class Runner(Protocol):
    """Runs the attempts of one run."""

    def run(self, job: Job, attempts: Attempts) -> Exception | None:
        """Run attempts, as many at once as resources allow, and say what becomes of each.

        A runner takes attempts until there are none, or fewer; it is called again while attempts
        remain. Errors that are not its own it passes on as our own, from `orchestrator.errors`.

        Args:
            job: what the workers need to run the trials.
            attempts: the queue, which may grow until it is over.

        Returns:
            What ended it while it still ran attempts, if anything did. Whether they are lost is
            decided by `Attempts.recover`.

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

    with ThreadPoolExecutor(1) as pool:
        # Tune takes a second to import, in which the start of Ray mostly waits.
        tune = pool.submit(import_module, "orchestrator.running.runners.tune")
        with silenced_stdout(), cluster() as is_own:
            yield tune.result().TuneRunner(own_ray=is_own)
