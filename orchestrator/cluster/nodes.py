"""Collects facts about every node of a running cluster; runs on its head, as ``python -m``.

Prints one line: `MARK`, then a list of nodes as JSON. `orchestrator.cluster.facts` finds the
problems in them.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import ray

from orchestrator.cluster.config import WORKING_COPY
from orchestrator.cluster.facts import MARK, Facts, Node
from orchestrator.cluster.launcher import command_line
from orchestrator.code import digests
from orchestrator.errors import OrchError
from orchestrator.running.job import DATA_DIR, STORE
from orchestrator.running.runners.ray_cluster import alive, run_on
from orchestrator.store.files import Files

PACKAGES = ("ray", "torch", "orch-sweeps")
JOIN_SECONDS = 900
"""Long, since a new node installs torch before it joins."""
INSPECT_SECONDS = 120
STOP_SECONDS = 60
CHECK_FOLDER = ".orch-check"
"""The folder of the store with a file from each node."""


def main() -> None:
    """Inspect the nodes once the given number have joined, or stop Ray on the workers."""
    ray.init(address="auto", logging_level=logging.CRITICAL, log_to_driver=False)
    if sys.argv[1] == "stop-workers":
        _stop_workers()
    else:
        _wait_for(int(sys.argv[2]))
        print(f"\n{MARK}{json.dumps([asdict(node) for node in _inspect_all()])}")


def _is_head(node: dict[str, Any]) -> bool:
    return "node:__internal_head__" in node["Resources"]


def _wait_for(count: int) -> None:
    deadline = time.monotonic() + JOIN_SECONDS
    while len(alive()) < count and time.monotonic() < deadline:
        time.sleep(1)


def _inspect_all() -> list[Node]:
    nodes = alive()
    addresses = [_address(node) for node in nodes]
    write_errors = _on_each(nodes, _write_check_file)
    results = _on_each(nodes, _facts, addresses)
    _delete_check_files()
    return [
        Node(
            address=_address(node),
            head=_is_head(node),
            cpus=node["Resources"].get("CPU", 0),
            gpus=_gpus(node),
            facts=replace(result, unwritable=write_error) if isinstance(result, Facts) else None,
            error=None if isinstance(result, Facts) else str(result),
        )
        for node, write_error, result in zip(nodes, write_errors, results, strict=True)
    ]


def _address(node: dict[str, Any]) -> str:
    return str(node["NodeManagerAddress"])


def _gpus(node: dict[str, Any]) -> float:
    return float(node["Resources"].get("GPU", 0))


def _on_each(nodes: list[dict[str, Any]], task: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Run a task on every node at once; in place of a result there may be an error message."""
    pending = [run_on(node, task, node, *arguments) for node in nodes]
    deadline = time.monotonic() + INSPECT_SECONDS
    return [_result(reference, deadline) for reference in pending]


def _result(reference: Any, deadline: float) -> Any:
    try:
        return ray.get(reference, timeout=max(0.0, deadline - time.monotonic()))
    except ray.exceptions.RayError as error:
        return (str(error).strip().splitlines() or [type(error).__name__])[-1]


def _write_check_file(node: dict[str, Any]) -> str | None:
    """Write a file named after the node to the store; return the error message, if any."""
    address = _address(node)
    try:
        files = Files(os.environ[STORE])
        files.make_folder(CHECK_FOLDER)
        files.write(f"{CHECK_FOLDER}/{address}", address.encode())
    except (OrchError, OSError, KeyError) as error:
        return str(error)
    return None


def _facts(node: dict[str, Any], addresses: list[str]) -> Facts:
    """Collect a node's facts; runs on that node."""
    folder = os.environ.get(DATA_DIR)
    return Facts(
        versions={"python": platform.python_version(), **_versions()},
        digests=digests(Path(WORKING_COPY).expanduser()),
        visible_gpus=_visible_gpus() if _gpus(node) else None,
        data_dir=folder,
        data=_entries(Path(folder)) if folder else None,
        store=os.environ.get(STORE),
        unwritable=None,
        unreadable=_unreadable(addresses),
    )


def _entries(folder: Path) -> list[str] | None:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else None


def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in PACKAGES}


def _visible_gpus() -> int:
    """Count the GPUs that torch sees in a process from which Ray does not hide them."""
    environment = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
    process = subprocess.run(
        [sys.executable, "-P", "-c", "import torch; print(torch.cuda.device_count())"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return int(process.stdout) if process.returncode == 0 else 0


def _unreadable(addresses: list[str]) -> list[str]:
    """Return the addresses of nodes whose file in the store cannot be read here."""
    try:
        files = Files(os.environ[STORE])
        return [a for a in addresses if files.read(f"{CHECK_FOLDER}/{a}") != a.encode()]
    except (OrchError, OSError, KeyError):
        return addresses


def _delete_check_files() -> None:
    with contextlib.suppress(OrchError, OSError, KeyError):
        Files(os.environ[STORE]).delete_folder(CHECK_FOLDER)


def _stop_workers() -> None:
    """Stop Ray on every worker; the command also ends the process that starts it."""
    _on_each([node for node in alive() if not _is_head(node)], _stop_here)
    deadline = time.monotonic() + STOP_SECONDS
    while len(alive()) > 1 and time.monotonic() < deadline:
        time.sleep(0.5)


def _stop_here(_node: dict[str, Any]) -> None:
    subprocess.Popen(command_line("stop"), start_new_session=True)


if __name__ == "__main__":
    main()
