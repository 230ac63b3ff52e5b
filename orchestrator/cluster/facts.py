"""What is known about the nodes of a cluster, and the problems that follow from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.cluster.config import Cluster

MARK = "orch-nodes:"
"""Prefix of the output line that holds the nodes as JSON."""


@dataclass(frozen=True)
class Facts:
    """What one node reports about itself."""

    versions: dict[str, str]
    digests: dict[str, str]
    """Digest of each package in the node's working copy."""
    visible_gpus: int | None
    """GPUs that torch sees; None on a node without GPUs."""
    data_dir: str | None
    data: list[str] | None
    """The entries of the data folder; None if it does not exist."""
    store: str | None
    unwritable: str | None
    """Why this node cannot write to the store; None if it can."""
    unreadable: list[str]
    """Addresses of nodes whose file in the store this node cannot read."""


@dataclass(frozen=True)
class Node:
    """One node, as Ray and the node itself describe it."""

    address: str
    head: bool
    cpus: float
    gpus: float
    facts: Facts | None
    error: str | None
    """Why the facts are missing."""


def complaints(
    cluster: Cluster, nodes: Sequence[Node], digests: Mapping[str, str]
) -> Iterator[str]:
    """Name each node on which a sweep could go wrong, the problem, and the remedy.

    Args:
        cluster: the cluster as its file describes it.
        nodes: the nodes that have joined.
        digests: digest of each package in the local working copy.
    """
    up_again = f"`orch cluster up {cluster.path}`"
    for address in _absent(cluster, nodes):
        yield (
            f"{address}: has not joined the cluster; "
            f"`ray exec {cluster.path} 'tail -n 50 /tmp/ray/session_latest/logs/monitor*'` "
            "shows its start-up log"
        )
    head = next((node.facts for node in nodes if node.head), None)
    all_data = sorted({name for node in nodes if node.facts for name in node.facts.data or ()})
    for node in nodes:
        if node.facts is None:
            yield f"{node.address}: could not be checked ({node.error}); run {up_again}"
            continue
        for text in (
            *_code(node.facts, digests, up_again),
            *_versions(node.facts, head, up_again),
            *_gpus(node, node.facts),
            *_data(node.facts, all_data),
            *_store(node.facts),
        ):
            yield f"{node.address}: {text}"


def _absent(cluster: Cluster, nodes: Sequence[Node]) -> list[str]:
    if cluster.on_prem:
        addresses = [cluster.provider["head_ip"], *cluster.provider["worker_ips"]]
        return sorted(set(addresses) - {node.address for node in nodes})
    missing = cluster.nodes - len(nodes)
    return [f"{missing} of {cluster.nodes} nodes"] if missing > 0 else []


def _code(facts: Facts, digests: Mapping[str, str], up_again: str) -> Iterator[str]:
    for name, digest in digests.items():
        node_digest = facts.digests.get(name)
        if node_digest != digest:
            problem = "is missing" if node_digest is None else "differs from the local one"
            yield f"the package `{name}` of the working copy {problem}; {up_again} copies it"


def _versions(facts: Facts, head: Facts | None, up_again: str) -> Iterator[str]:
    if head is None:
        return
    for name, version in facts.versions.items():
        if version != head.versions[name]:
            yield (
                f"{name} is {version}, but {head.versions[name]} on the head; pin it in "
                f"setup_commands, then run {up_again}"
            )


def _gpus(node: Node, facts: Facts) -> Iterator[str]:
    if facts.visible_gpus is not None and facts.visible_gpus < node.gpus:
        yield (
            f"Ray counts {node.gpus:g} GPUs, torch sees {facts.visible_gpus}; "
            "check the driver with nvidia-smi, and that torch there is a CUDA build"
        )


def _data(facts: Facts, all_data: Sequence[str]) -> Iterator[str]:
    if facts.data is None:
        if facts.data_dir is not None:
            yield f"there is no data folder {facts.data_dir}; ORCH_DATA_DIR in ~/.orch/env sets it"
        return
    missing = sorted(set(all_data) - set(facts.data))
    if missing:
        yield f"{facts.data_dir} lacks {', '.join(missing)}, which other nodes have; copy it there"


def _store(facts: Facts) -> Iterator[str]:
    if facts.store is None:
        yield "ORCH_STORE is not set; write it to ~/.orch/env in the cluster file's setup_commands"
    elif facts.unwritable:
        yield f"the store {facts.store} cannot be written ({facts.unwritable})"
    elif facts.unreadable:
        yield (
            f"the store {facts.store} does not show what {', '.join(facts.unreadable)} wrote; "
            "it must be a folder that all nodes share, or a bucket"
        )
