"""Pilots on Ray: each trial in its own process, as many at once as resources allow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import ray
from ray.exceptions import RayError

from orchestrator.pilot.trial_profile import TrialProfile, profile_trial
from orchestrator.running import failures
from orchestrator.running.job import Job
from orchestrator.running.runners import Node
from orchestrator.running.runners.ray_cluster import (
    cluster,
    nodes,
    require_fit,
    silenced_stdout,
)
from orchestrator.running.runners.ray_errors import translated


def run(
    job: Job, trial_ids: Sequence[str], on_finished: Callable[[str, TrialProfile], None]
) -> list[Node]:
    """Profile trials, each with exclusive use of its GPUs.

    Args:
        job: what the workers need to run the trials.
        trial_ids: trials of the job.
        on_finished: called with the id and profile of each trial.

    Returns:
        The nodes of the cluster, which is this machine unless RAY_ADDRESS names another.

    Raises:
        ResourceError: the cluster does not exist, or cannot hold a trial.
    """
    tasks = {
        i: replace(task, gpu=max(task.gpu, 1) if task.gpu else 0) for i, task in job.tasks.items()
    }
    job = replace(job, tasks=tasks)
    remote = ray.remote(max_calls=1, max_retries=0)(profile_trial)
    with silenced_stdout(), cluster():
        require_fit(job, trial_ids)
        shared = ray.put(job)
        pending = {
            remote.options(num_cpus=tasks[i].cpu, num_gpus=tasks[i].gpu).remote(shared, i): i
            for i in trial_ids
        }
        while pending:
            (reference, *_), _ = ray.wait(list(pending))
            on_finished(pending.pop(reference), _profile(reference))
        return nodes()


def _profile(reference: ray.ObjectRef[TrialProfile]) -> TrialProfile:
    try:
        return ray.get(reference)
    except RayError as error:
        return TrialProfile(error=failures.reason(translated(error)))
