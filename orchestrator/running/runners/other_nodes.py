"""Lets the trainable see its configs on every node, since data may be missing on one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from orchestrator.errors import TrainableError
from orchestrator.running import preflight
from orchestrator.running.job import DATA_DIR, Job
from orchestrator.running.runners.ray_cluster import alive, on


def check(job: Job, todo: Sequence[str]) -> None:
    """Check each distinct config on each other node that can hold its trials.

    The driver has let its own node see them, before it wrote anything.

    Raises:
        TrainableError: it names each node and what the trainable says there.
    """
    pending = {node["NodeManagerAddress"]: _ask_on(node, job, todo) for node in _others()}
    problems = [
        f"{address}: {text}" for address, answer in pending.items() for text in _complaints(answer)
    ]
    if problems:
        raise TrainableError("\n".join(problems))


def _others() -> list[dict[str, Any]]:
    here = ray.get_runtime_context().get_node_id()
    return [node for node in alive() if node["NodeID"] != here]


def _ask_on(node: dict[str, Any], job: Job, todo: Sequence[str]) -> Any:
    cpus, gpus = (node["Resources"].get(name, 0) for name in ("CPU", "GPU"))
    tasks = [job.tasks[i] for i in todo]
    held = [task for task in tasks if task.cpu <= cpus and task.gpu <= gpus]
    # Seeds are no matter of configs: of each config the first trial is shown.
    configs = {task.row["config_id"]: dict(task.params) for task in reversed(held)}
    asked = [] if job.smoke else list(configs.values())
    return on(node, _answer, job.trainable, job.folder, job.data_dir, asked)


def _answer(
    trainable: str, folder: str, data_dir: str | None, configs: list[dict[str, Any]]
) -> dict[str, Any]:
    if data_dir is not None:
        os.environ[DATA_DIR] = data_dir
    return preflight.ask(trainable, folder, configs)


def _complaints(reference: Any) -> list[str]:
    try:
        answer = ray.get(reference)
    except RayTaskError as error:
        return [str(error.cause)]
    except RayError:
        return []  # the node has just gone, and no trial will run there
    return [answer["import"]] if answer["import"] else sorted(set(answer["refused"].values()))
