"""Checks the configs on every node, since data may be missing on some."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from orchestrator.errors import TrainableError
from orchestrator.running import preflight
from orchestrator.running.job import DATA_DIR, Job
from orchestrator.running.runners.ray_cluster import alive, run_on


def check(job: Job, todo: Sequence[str]) -> None:
    """Check each distinct config on each other node that can hold its trials.

    The driver's own node has checked them before anything was written.

    Raises:
        TrainableError: a node cannot import the trainable, or its check refuses a config there; the
            message names each such node.
    """
    if job.is_program:
        return
    pending = {node["NodeManagerAddress"]: _start_check(node, job, todo) for node in _other_nodes()}
    problems = [
        f"{address}: {problem}"
        for address, reference in pending.items()
        for problem in _problems(reference)
    ]
    if problems:
        raise TrainableError("\n".join(problems))


def _other_nodes() -> list[dict[str, Any]]:
    here = ray.get_runtime_context().get_node_id()
    return [node for node in alive() if node["NodeID"] != here]


def _start_check(node: dict[str, Any], job: Job, todo: Sequence[str]) -> Any:
    cpus, gpus = (node["Resources"].get(name, 0) for name in ("CPU", "GPU"))
    tasks = [job.tasks[i] for i in todo]
    fitting = [task for task in tasks if task.cpu <= cpus and task.gpu <= gpus]
    # One trial of each config is enough, since a check does not depend on the seed.
    by_config = {task.row["config_id"]: dict(task.params) for task in reversed(fitting)}
    configs = [] if job.smoke else list(by_config.values())
    return run_on(node, _check_here, job.runs, job.folder, job.data_dir, configs)


def _check_here(
    trainable: str, folder: str, data_dir: str | None, configs: list[dict[str, Any]]
) -> dict[str, Any]:
    if data_dir is not None:
        os.environ[DATA_DIR] = data_dir
    return preflight.check_configs(trainable, folder, configs)


def _problems(reference: Any) -> list[str]:
    try:
        result = ray.get(reference)
    except RayTaskError as error:
        return [str(error.cause)]
    except RayError:
        return []  # the node has just left the cluster, and no trial will run there
    return [result["import"]] if result["import"] else sorted(set(result["refused"].values()))
