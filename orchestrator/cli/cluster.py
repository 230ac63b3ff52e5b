"""The `orch cluster` commands."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from orchestrator.cli.typed import examples
from orchestrator.cluster import aws, config, launcher, survey
from orchestrator.cluster.facts import Node

VERSIONS = ("python", "torch", "ray")

cluster_file = click.argument("file", type=click.Path(path_type=Path, dir_okay=True))


@click.group(
    epilog=examples("orch cluster up cluster.yaml", "orch cluster status clusters/on-prem.yaml")
)
def cluster() -> None:
    """Start, check and stop the cluster that FILE describes."""


@cluster.command(
    epilog=examples(
        "orch cluster up cluster.yaml",
        "orch cluster up clusters/on-prem.yaml",
    )
)
@cluster_file
def up(file: Path) -> None:
    """Start the cluster of FILE and check every node.

    A cluster that is already up is updated to match FILE and this working copy, and Ray restarts:
    sweeps that run there are interrupted; run them again to continue.
    """
    description = config.load(file)
    console = Console(stderr=True, highlight=False)
    if description.provider["type"] == "aws":
        aws.require_closed_ports(description)
    launcher.require_token()
    with console.status(f"ray up {file}: this takes minutes when it installs packages"):
        launcher.up(description)
    click.echo(f"the head of {description.name} is up")
    with console.status(f"waiting for {description.nodes} nodes, then checking each"):
        nodes = survey.nodes_of(description, wait_for=description.nodes)
    survey.require_healthy(description, nodes)
    _print_nodes(nodes)
    option = shlex.join(["--cluster", str(file)])
    click.echo(f"all nodes are ready; to run a sweep there, add {option} to orch sweep")


@cluster.command(
    epilog=examples(
        "orch cluster status cluster.yaml",
        "orch cluster status clusters/on-prem.yaml",
    )
)
@cluster_file
def status(file: Path) -> None:
    """Show the nodes of the cluster of FILE and their problems."""
    description = config.load(file)
    nodes = survey.nodes_of(description)
    _print_nodes(nodes)
    survey.require_healthy(description, nodes)


@cluster.command(
    epilog=examples(
        "orch cluster down cluster.yaml",
        "orch cluster down clusters/on-prem.yaml",
    )
)
@cluster_file
def down(file: Path) -> None:
    """Stop the cluster of FILE; stores outside it are kept."""
    description = config.load(file)
    if description.on_prem:
        survey.stop_workers(description)
    launcher.down(description)
    click.echo(f"{description.name} is down")


def _print_nodes(nodes: list[Node]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("node", "role", "CPUs", "GPUs", *VERSIONS):
        table.add_column(name, justify="right" if name.endswith("PUs") else "left")
    for node in nodes:
        versions = node.facts.versions if node.facts else {}
        table.add_row(
            node.address,
            "head" if node.head else "worker",
            f"{node.cpus:g}",
            f"{node.gpus:g}",
            *(versions.get(name, "-") for name in VERSIONS),
        )
    console = Console(highlight=False)
    console.print(table)
    facts = [node.facts for node in nodes if node.facts]
    for name, folders in (
        ("stores", {fact.store for fact in facts}),
        ("data sets", {fact.data_dir for fact in facts}),
    ):
        console.print(f"{name}: {', '.join(sorted(filter(None, folders))) or 'no folder set'}")
