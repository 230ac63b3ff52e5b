"""What the nodes of a cluster say of themselves, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.cluster.config import Cluster

MARK = "orch-nodes:"
"""Begins the line of output that holds the nodes as JSON."""


@dataclass(frozen=True)
class Facts:
    """What one node says of itself."""

    versions: dict[str, str]
    digests: dict[str, str]
    """Of each package in its working copy."""
    visible_gpus: int | None
    """What torch sees; None on a node that has none."""
    data_dir: str | None
    data: list[str] | None
    """The entries of the data folder; None if there is none."""
    store: str | None
    unwritable: str | None
    """Why a file cannot be written into the store here."""
    unreadable: list[str]
    """Nodes whose file in the store cannot be read here."""


@dataclass(frozen=True)
class Node:
    """One node as Ray and it itself describe it."""

    address: str
    head: bool
    cpus: float
    gpus: float
    facts: Facts | None
    error: str | None
    """Why there are no facts."""


def complaints(
    cluster: Cluster, nodes: Sequence[Node], digests: Mapping[str, str]
) -> Iterator[str]:
    """Name each node that a sweep could not trust, and the remedy.

    Args:
        cluster: What was to come up.
        nodes: What did.
        digests: Of each package in the working copy here.
    """
    up_again = f"`orch cluster up {cluster.path}`"
    for address in _absent(cluster, nodes):
        yield (
            f"{address}: has not joined the cluster; "
            f"`ray exec {cluster.path} 'tail -n 50 /tmp/ray/session_latest/logs/monitor*'` "
            "tells what its start came to"
        )
    head = next((node.facts for node in nodes if node.head), None)
    everything = sorted({name for node in nodes if node.facts for name in node.facts.data or ()})
    for node in nodes:
        if node.facts is None:
            yield f"{node.address}: could not be looked at ({node.error}); {up_again}"
            continue
        for text in (
            *_code(node.facts, digests, up_again),
            *_versions(node.facts, head, up_again),
            *_gpus(node, node.facts),
            *_data(node.facts, everything),
            *_store(node.facts),
        ):
            yield f"{node.address}: {text}"


def _absent(cluster: Cluster, nodes: Sequence[Node]) -> list[str]:
    if cluster.on_prem:
        wanted = [cluster.provider["head_ip"], *cluster.provider["worker_ips"]]
        return sorted(set(wanted) - {node.address for node in nodes})
    missing = cluster.nodes - len(nodes)
    return [f"{missing} of {cluster.nodes} nodes"] if missing > 0 else []


def _code(facts: Facts, digests: Mapping[str, str], up_again: str) -> Iterator[str]:
    for name, digest in digests.items():
        there = facts.digests.get(name)
        if there != digest:
            what = "is not there" if there is None else "differs from the one here"
            yield f"the package `{name}` of the working copy {what}; {up_again} copies it"


def _versions(facts: Facts, head: Facts | None, up_again: str) -> Iterator[str]:
    if head is None:
        return
    for name, version in facts.versions.items():
        if version != head.versions[name]:
            yield (
                f"{name} is {version}, but {head.versions[name]} on the head; pin it in "
                f"setup_commands, then {up_again}"
            )


def _gpus(node: Node, facts: Facts) -> Iterator[str]:
    if facts.visible_gpus is not None and facts.visible_gpus < node.gpus:
        yield (
            f"Ray counts {node.gpus:g} GPUs, torch sees {facts.visible_gpus}; "
            "look at the driver with nvidia-smi, and whether torch there is a CUDA build"
        )


def _data(facts: Facts, everything: Sequence[str]) -> Iterator[str]:
    if facts.data is None:
        if facts.data_dir is not None:
            yield f"there is no data folder {facts.data_dir}; ORCH_DATA_DIR in ~/.orch/env names it"
        return
    lacking = sorted(set(everything) - set(facts.data))
    if lacking:
        yield f"{facts.data_dir} lacks {', '.join(lacking)}, which other nodes have; copy it there"


def _store(facts: Facts) -> Iterator[str]:
    if facts.store is None:
        yield "ORCH_STORE is not set; the cluster file's setup_commands write it to ~/.orch/env"
    elif facts.unwritable:
        yield f"the store {facts.store} cannot be written ({facts.unwritable})"
    elif facts.unreadable:
        yield (
            f"the store {facts.store} does not show what {', '.join(facts.unreadable)} wrote; "
            "it must be a folder that all nodes share, or a bucket"
        )
