"""Collects facts about the nodes of a running cluster, and checks them."""

from __future__ import annotations

import shlex
from pathlib import Path

from pydantic import TypeAdapter

from orchestrator.cluster import launcher
from orchestrator.cluster.config import Cluster
from orchestrator.cluster.facts import MARK, Node, complaints
from orchestrator.code import digests
from orchestrator.errors import ClusterError


def nodes_of(cluster: Cluster, wait_for: int = 0) -> list[Node]:
    """Collect facts about every node, once a number of nodes have joined.

    Raises:
        ClusterError: the head is unreachable, or no cluster runs there.
    """
    command = shlex.join(["python", "-m", "orchestrator.cluster.nodes", "inspect", str(wait_for)])
    process = launcher.on_head(cluster, command)
    for line in process.stdout.splitlines():
        if line.startswith(MARK):
            return TypeAdapter(list[Node]).validate_json(line.removeprefix(MARK))
    raise ClusterError(f"no answer from the cluster of {cluster.path}: {_reason(process.stdout)}")


def require_healthy(cluster: Cluster, nodes: list[Node]) -> None:
    """Refuse a cluster with a problem that could affect a sweep.

    Raises:
        ClusterError: there are problems; the message has a line for each, with node and remedy.
    """
    problems = list(complaints(cluster, nodes, digests(Path.cwd())))
    if problems:
        raise ClusterError("\n".join(problems))


def stop_workers(cluster: Cluster) -> None:
    """Stop Ray on the workers of an on-premises cluster, which `ray down` leaves running."""
    launcher.on_head(cluster, "python -m orchestrator.cluster.nodes stop-workers")


def _reason(output: str) -> str:
    """Return the last line of output that does not come from Ray's launcher itself."""
    lines = [line.strip() for line in output.splitlines()]
    messages = [
        line
        for line in lines
        if line and not line.startswith(("ssh ", "Error: Command failed", "Shared connection"))
    ]
    return messages[-1] if messages else "no output"
