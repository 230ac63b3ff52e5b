"""Asks a running cluster what its nodes are like."""

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
    """Look at every node, once a number of them have joined.

    Raises:
        ClusterError: the head cannot be reached, or no cluster runs there.
    """
    command = shlex.join(["python", "-m", "orchestrator.cluster.nodes", "look", str(wait_for)])
    done = launcher.on_head(cluster, command)
    for line in done.stdout.splitlines():
        if line.startswith(MARK):
            return TypeAdapter(list[Node]).validate_json(line.removeprefix(MARK))
    raise ClusterError(f"no answer from the cluster of {cluster.path}: {_reason(done.stdout)}")


def require_sound(cluster: Cluster, nodes: list[Node]) -> None:
    """Refuse a cluster on which a sweep could go wrong.

    Raises:
        ClusterError: it names each node and the remedy, one in a line.
    """
    problems = list(complaints(cluster, nodes, digests(Path.cwd())))
    if problems:
        raise ClusterError("\n".join(problems))


def stop_workers(cluster: Cluster) -> None:
    """Stop Ray on the workers of a cluster of one's own hosts, which `ray down` leaves running."""
    launcher.on_head(cluster, "python -m orchestrator.cluster.nodes stop-workers")


def _reason(output: str) -> str:
    """Find the last line that says anything, below what Ray itself adds."""
    lines = [line.strip() for line in output.splitlines()]
    telling = [
        line
        for line in lines
        if line and not line.startswith(("ssh ", "Error: Command failed", "Shared connection"))
    ]
    return telling[-1] if telling else "it said nothing"
