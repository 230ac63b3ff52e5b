"""The `orch cluster` commands."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from orchestrator.cluster import aws, config, launcher, survey
from orchestrator.cluster.facts import Node

VERSIONS = ("python", "torch", "ray")

cluster_file = click.argument("file", type=click.Path(path_type=Path, dir_okay=True))


@click.group()
def cluster() -> None:
    """Bring up the cluster that FILE describes, look at it, and take it down."""


@cluster.command()
@cluster_file
def up(file: Path) -> None:
    """Start the cluster of FILE, and check every node of it.

    A cluster that is up is made to match FILE and this working copy, for which Ray is started
    anew: sweeps that run there are interrupted, and go on when they are started again.
    """
    wanted = config.load(file)
    console = Console(stderr=True, highlight=False)
    if wanted.provider["type"] == "aws":
        aws.require_closed_ports(wanted)
    launcher.require_token()
    with console.status(f"ray up {file}: minutes, if packages are to be installed"):
        launcher.up(wanted)
    click.echo(f"the head of {wanted.name} is up")
    with console.status(f"waiting for {wanted.nodes} nodes, and looking at each"):
        nodes = survey.nodes_of(wanted, wait_for=wanted.nodes)
    survey.require_sound(wanted, nodes)
    _print_nodes(nodes)
    click.echo(f"every node is sound; next: orch sweep FILE --cluster {file}")


@cluster.command()
@cluster_file
def status(file: Path) -> None:
    """Show the nodes of the cluster of FILE, and what is wrong with them."""
    wanted = config.load(file)
    nodes = survey.nodes_of(wanted)
    _print_nodes(nodes)
    survey.require_sound(wanted, nodes)


@cluster.command()
@cluster_file
def down(file: Path) -> None:
    """Stop the cluster of FILE; stores outside of it stay."""
    wanted = config.load(file)
    if wanted.on_prem:
        survey.stop_workers(wanted)
    launcher.down(wanted)
    click.echo(f"{wanted.name} is down")


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
    for what, found in (
        ("stores", {fact.store for fact in facts}),
        ("data sets", {fact.data_dir for fact in facts}),
    ):
        console.print(f"{what} in {', '.join(sorted(filter(None, found))) or 'no place'}")
