"""The Ray cluster that trials run on: a local one, or the one at RAY_ADDRESS."""

from __future__ import annotations

import contextlib
import math
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_constants
from ray._private import utils as ray_utils
from ray._private.node import Node as RayNode
from ray.job_config import JobConfig
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.errors import ResourceError
from orchestrator.running.job import Job
from orchestrator.running.runners import Node, ray_head
from orchestrator.running.runners.ray_settings import OBJECT_STORE_BYTES
from orchestrator.temporary import temporary

_MANY_TRIALS = 200
"""As many as Tune itself has for a grid."""


@contextlib.contextmanager
def cluster() -> Iterator[bool]:
    """Connect to the cluster at RAY_ADDRESS, or start a local one; keep an open connection.

    Yields:
        Whether it is one of our own, which ends with the block.

    Raises:
        ResourceError: the cluster does not exist, or Ray fails to start.
    """
    if ray.is_initialized():  # by the Python program that runs the sweep
        yield False
        return
    address = _address()
    settings: dict[str, Any] = {
        "logging_level": "CRITICAL",
        "log_to_driver": False,
        "job_config": _JobConfig(),
    }
    with contextlib.ExitStack() as ended:
        if address is None:
            settings |= {
                "address": "local",
                "include_dashboard": False,
                "object_store_memory": OBJECT_STORE_BYTES,
                "_temp_dir": ended.enter_context(temporary("ray", short=True)),
            }
        else:
            _require_reachable(address)
        ended.callback(_shut_down)
        try:
            with bare_node(), _same_handlers():
                ray.init(**settings)
        except Exception as error:  # noqa: BLE001  (Ray raises plain ones, for example on a timeout)
            raise _no_cluster(address, error) from None
        yield address is None


def _shut_down() -> None:
    with _same_handlers():
        ray_head.shut_down()


@contextlib.contextmanager
def _same_handlers() -> Iterator[None]:
    """Keep who handles SIGTERM: Ray would end the process, and its native code print a stack."""
    ray_constants.RAY_DISABLE_FAILURE_SIGNAL_HANDLER = True
    set_handler = ray_utils.set_sigterm_handler
    ray_utils.set_sigterm_handler = lambda _: None
    try:
        yield
    finally:
        ray_utils.set_sigterm_handler = set_handler


class _JobConfig(JobConfig):
    """Keeps Ray from putting the working folder first in the import path of its workers.

    Theirs are this tool and Ray, of whose modules a file in the folder may have the name. Processes
    that import the trainable add the folder themselves.
    """

    def _runtime_env_has_working_dir(self) -> bool:
        return True  # Ray then takes the import path for settled


@contextlib.contextmanager
def bare_node() -> Iterator[None]:
    """Keep a local Ray from starting, and waiting for, processes that a sweep has no use for.

    They are the dashboard's, which starts even without one, one that forwards logs, which are not
    forwarded, and the autoscaler's. Ray has no setting for them. They cost each start a second or
    two, and more of CPU time. A cluster that exists already has its own.
    """
    names = ("start_api_server", "start_log_monitor", "start_monitor")
    started = {name: getattr(RayNode, name) for name in names}

    def leave_out(node: Any, **_settings: object) -> None:
        node._webui_url = None

    for name in names:
        setattr(RayNode, name, leave_out)
    try:
        yield
    finally:
        for name, method in started.items():
            setattr(RayNode, name, method)


def _address() -> str | None:
    """Return the address of the cluster to connect to; None for a local one."""
    return os.environ.get("RAY_ADDRESS") or None


def _require_reachable(address: str) -> None:
    """Try the cluster's port first: Ray itself would wait minutes for a missing cluster."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "://" not in address:
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except OSError as error:
            raise _no_cluster(address, error) from None


def _no_cluster(address: str | None, error: Exception) -> ResourceError:
    if address is None:
        return ResourceError(f"Ray failed to start on this machine ({error})")
    return ResourceError(
        f"no Ray cluster at RAY_ADDRESS={address} ({error}); "
        "unset RAY_ADDRESS to run on this machine alone"
    )


@contextlib.contextmanager
def silenced_stdout() -> Iterator[None]:
    """Discard standard output, to which Ray prints at any log level."""
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def require_fit(job: Job, todo: Sequence[str]) -> None:
    """Refuse trials that fit no node, before anything starts.

    Raises:
        ResourceError: a trial requests more than any node has, and the cluster cannot grow.
    """
    if _can_grow():
        return
    available = nodes()
    for trial_id in todo:
        task = job.tasks[trial_id]
        if not any(task.cpu <= node.cpus and task.gpu <= node.gpus for node in available):
            raise ResourceError(
                f"a trial requests {task.cpu:g} CPUs and {task.gpu:g} GPUs, more than any node has "
                f"(nodes: {'; '.join(map(str, available))}); lower `resources` in the sweep file"
            )


def trials_ahead(job: Job) -> int:
    """Say how many trials are to be with Ray before it has room for them.

    One for each slot, so that all slots fill at once and a process that becomes free finds its
    next trial; not more, so that what follows from results may still come first. Many where small
    trials fill the gaps beside large ones, or where a cluster grows by the demand that it sees.
    """
    kinds = {(task.cpu, task.gpu) for task in job.tasks.values()}
    if len(kinds) > 1 or _can_grow():
        return _MANY_TRIALS
    ((cpu, gpu),) = kinds
    return sum(
        math.ceil(min(node.cpus / cpu, node.gpus / gpu if gpu else math.inf)) for node in nodes()
    )


def nodes() -> list[Node]:
    """List the live nodes."""
    return [
        Node(node["Resources"].get("CPU", 0), node["Resources"].get("GPU", 0)) for node in alive()
    ]


def alive() -> list[dict[str, Any]]:
    """List the live nodes, as Ray describes them."""
    all_nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [node for node in all_nodes if node["Alive"]]


def run_on(node: dict[str, Any], task: Callable[..., Any], *arguments: Any) -> Any:
    """Start a task on a node, however busy it is; return a reference to the result."""
    strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    remote = ray.remote(num_cpus=0, max_retries=0)(task)
    return remote.options(scheduling_strategy=strategy).remote(*arguments)


def _can_grow() -> bool:
    """Whether an autoscaler may add nodes: `ray up` leaves its config on the head."""
    return _address() is not None and Path("~/ray_bootstrap_config.yaml").expanduser().exists()
