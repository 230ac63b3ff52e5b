"""The `orch` commands that run trials, or say what would run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from orchestrator.cli.options import (
    Seeds,
    cluster_option,
    file_argument,
    places,
    results_of,
    seeds_option,
    sweep_of,
)
from orchestrator.cli.typed import Command, command_line
from orchestrator.errors import InputError, TrainableError
from orchestrator.labels import counted
from orchestrator.results import Results
from orchestrator.results.tables import show
from orchestrator.running.plan import plan as make_plan
from orchestrator.running.plan import print_plan
from orchestrator.running.runners import NAMES
from orchestrator.spec.problems import placed
from orchestrator.store import Stores


@click.command(cls=Command)
@file_argument
@click.option(
    "--runner",
    type=click.Choice(NAMES),
    default="tune",
    show_default=True,
    help="Where trials run: on Ray Tune, or one by one in this process.",
)
@seeds_option
@click.option("--rerun-stale", is_flag=True, help="Run again what other code has run.")
@click.option("--smoke", is_flag=True, help="Try two batches of one config and seed per cell.")
@cluster_option
@click.option("--detach", is_flag=True, help="With --cluster: start it and return.")
@places
@click.pass_context
def sweep(
    context: click.Context,
    file: Path,
    runner: str,
    seeds: Seeds,
    rerun_stale: bool,
    smoke: bool,
    cluster: Path | None,
    detach: bool,
    root: str,
) -> None:
    """Run what of FILE is missing in its store, then print its tables."""
    if cluster is not None:
        sys.exit(remote().run_there(context, sweep_of(file, seeds), cluster, detach=detach))
    if detach:
        raise InputError("--detach needs --cluster: here, the sweep is this process")
    from orchestrator.running.run import run

    results = run(
        file, store=root, seeds=seeds, runner=runner, rerun_stale=rerun_stale, smoke=smoke
    )
    show(results, Console())
    if made_up := _made_up_data(results):
        click.echo(f"made-up images for {', '.join(made_up)}, whose files are not here", err=True)
    if left := len(results.missing):
        again = command_line(context)
        click.echo(f"{counted(left, 'trial')} failed; to try again: {again}", err=True)
        sys.exit(1)


def _made_up_data(results: Results) -> list[str]:
    """Name the data sets that a smoke run had to make up, as its trials recorded them."""
    if not results.sweep.smoke:
        return []
    facts = map(json.loads, results.trials["versions"].dropna().unique())
    return sorted({fact["made_up_data"] for fact in facts if "made_up_data" in fact})


@click.command(cls=Command)
@file_argument
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@click.option(
    "--pilot", "with_pilot", is_flag=True, help="Measure one trial per cell: memory, speed, hours."
)
@seeds_option
@cluster_option
@places
@click.pass_context
def plan(
    context: click.Context,
    file: Path,
    as_json: bool,
    with_pilot: bool,
    seeds: Seeds,
    cluster: Path | None,
    root: str,
) -> None:
    """Count what FILE asks for and what of it is done, and change nothing.

    With --pilot, one trial of each cell that lacks some runs for half a minute, here or on a
    cluster, and leaves nothing.
    """
    asked = sweep_of(file, seeds)
    if cluster is not None:
        sys.exit(remote().ask_there(context, asked, cluster))
    measured = None
    try:
        made = make_plan(asked, Stores(root))
        if with_pilot and made.inventory.missing:
            from orchestrator.pilot.pilot import run

            measured = run(asked, made.inventory.missing)
    except TrainableError as error:
        raise placed(error, asked.source, "trainable") from None
    if as_json:
        click.echo(json.dumps(made.as_dict() | (measured.as_dict() if measured else {})))
        sys.exit(1 if measured and measured.failed else 0)
    print_plan(made, Console())
    if measured:
        from orchestrator.pilot.show import print_pilot

        print_pilot(measured, Console())
        sys.exit(1 if measured.failed else 0)


@click.command(cls=Command)
@file_argument
@places
def prune(file: Path, root: str) -> None:
    """Move the trials that FILE no longer asks for to the store's retired/ folder."""
    from orchestrator.running.pruning import prune as retire

    results = results_of(file, root, sweep_of(file).seeds)
    gone = retire(results.sweep, results.store)
    click.echo(f"{counted(len(gone), 'trial')} moved to {results.store.files.shown('retired')}")


def remote() -> Any:
    """Import what only clusters need, and not every installation has."""
    try:
        from orchestrator.cli import remote as module
    except ModuleNotFoundError as missing:
        raise InputError(
            f"--cluster needs {missing.name}: pip install 'orch-sweeps[cluster]'"
        ) from None
    return module
