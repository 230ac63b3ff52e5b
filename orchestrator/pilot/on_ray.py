"""Pilots on Ray: each trial in a process of its own, as many at once as resources allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import ray
from ray.exceptions import RayError

from orchestrator.pilot.trial_profile import Reading, measure
from orchestrator.running.job import Job
from orchestrator.running.runners import Node
from orchestrator.running.runners.ray_cluster import (
    cluster,
    nodes,
    refuse_what_cannot_fit,
    without_chatter,
)
from orchestrator.running.runners.ray_errors import words


def run(job: Job, todo: Sequence[str], finished: Callable[[str, Reading], None]) -> list[Node]:
    """Measure trials, each of which has the GPUs that it uses for itself.

    Args:
        job: what the workers are to know.
        todo: ids of trials of the job.
        finished: is told of each.

    Returns:
        The nodes of the cluster, which is this machine unless RAY_ADDRESS names another.

    Raises:
        ResourceError: there is no such cluster, or it cannot hold a trial.
    """
    tasks = {
        i: replace(task, gpu=max(task.gpu, 1) if task.gpu else 0) for i, task in job.tasks.items()
    }
    job = replace(job, tasks=tasks)
    remote = ray.remote(max_calls=1, max_retries=0)(measure)
    with without_chatter(), cluster():
        refuse_what_cannot_fit(job, todo)
        shared = ray.put(job)
        waiting = {
            remote.options(num_cpus=tasks[i].cpu, num_gpus=tasks[i].gpu).remote(shared, i): i
            for i in todo
        }
        while waiting:
            (ended, *_), _ = ray.wait(list(waiting))
            finished(waiting.pop(ended), _reading(ended))
        return nodes()


def _reading(ended: ray.ObjectRef[Reading]) -> Reading:
    try:
        return ray.get(ended)
    except RayError as error:
        return Reading(error=words(error))
