"""The Ray that trials run on: this machine's own, or the cluster of RAY_ADDRESS."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.errors import ResourceError
from orchestrator.running.job import Job
from orchestrator.running.runners import Node

OBJECT_STORE_BYTES = 200_000_000
"""All that travels through it is the params of the trials, once."""


@contextlib.contextmanager
def cluster() -> Iterator[None]:
    """Join the cluster of RAY_ADDRESS, or start one of this machine; a running one stays.

    Raises:
        ResourceError: there is no such cluster.
    """
    if ray.is_initialized():  # by the Python program that this is a part of
        yield
        return
    address = _address()
    settings: dict[str, Any] = {"logging_level": "CRITICAL", "log_to_driver": False}
    if address is None:
        settings |= {
            "address": "local",
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
        }
    else:
        _require_reachable(address)
    try:
        ray.init(**settings)
    except Exception as error:  # noqa: BLE001  (Ray raises plain ones, as when it starts too slowly)
        raise _no_cluster(address, error) from None
    try:
        yield
    finally:
        ray.shutdown()


def _address() -> str | None:
    """The cluster to join, if one is named."""
    return os.environ.get("RAY_ADDRESS") or None


def _require_reachable(address: str) -> None:
    """Try the cluster's port first: Ray itself would wait minutes for one that is not there."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "://" not in address:
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except OSError as error:
            raise _no_cluster(address, error) from None


def _no_cluster(address: str | None, error: Exception) -> ResourceError:
    if address is None:
        return ResourceError(f"Ray did not start on this machine ({error})")
    return ResourceError(
        f"no Ray cluster at RAY_ADDRESS={address} ({error}); "
        "unset RAY_ADDRESS to run on this machine alone"
    )


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
    """Keep off standard output what Ray prints there whatever its log level."""
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def refuse_what_cannot_fit(job: Job, todo: Sequence[str]) -> None:
    """Refuse trials that no node could ever hold, before anything starts.

    Raises:
        ResourceError: a trial asks for more than any node has, and the cluster cannot grow.
    """
    if _can_grow():
        return
    found = nodes()
    for trial_id in todo:
        task = job.tasks[trial_id]
        if not any(task.cpu <= node.cpus and task.gpu <= node.gpus for node in found):
            raise ResourceError(
                f"a trial asks for {task.cpu:g} CPUs and {task.gpu:g} GPUs, which no node has "
                f"(nodes: {'; '.join(map(str, found))}); lower `resources` in the sweep file"
            )


def nodes() -> list[Node]:
    """List the machines that are up."""
    return [
        Node(node["Resources"].get("CPU", 0), node["Resources"].get("GPU", 0)) for node in alive()
    ]


def alive() -> list[dict[str, Any]]:
    """List the machines that are up, as Ray describes them."""
    found: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [node for node in found if node["Alive"]]


def on(node: dict[str, Any], task: Callable[..., Any], *arguments: Any) -> Any:
    """Run a task on one machine, whatever else it does; return a reference to the result."""
    strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    remote = ray.remote(num_cpus=0, max_retries=0)(task)
    return remote.options(scheduling_strategy=strategy).remote(*arguments)


def _can_grow() -> bool:
    """Tell whether an autoscaler may add nodes: `ray up` leaves its config on the head."""
    return _address() is not None and Path("~/ray_bootstrap_config.yaml").expanduser().exists()
