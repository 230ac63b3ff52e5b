"""The `orch` commands that run, plan or remove trials."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from orchestrator.cli.options import (
    POSITIVE,
    Decorated,
    Seeds,
    SweepFile,
    cluster_option,
    command_on,
    file_argument,
    places,
    print_artifacts,
    print_differences,
    results_of,
    seeds_option,
    sweep_of,
)
from orchestrator.cli.typed import Command, command_line, examples
from orchestrator.cluster.slurm.config import is_slurms
from orchestrator.errors import InputError, ShowError, TrainableError
from orchestrator.labels import counted
from orchestrator.results import Results
from orchestrator.results.claims.findings import show_findings
from orchestrator.results.tables import show
from orchestrator.running.display import Display
from orchestrator.running.one_trial import find
from orchestrator.running.plan import plan as make_plan
from orchestrator.running.plan import print_plan
from orchestrator.running.runners import NAMES
from orchestrator.spec.model import Decide
from orchestrator.spec.problems import placed
from orchestrator.store import Stores


def _run_options(command: Decorated) -> Decorated:
    """Add the options of the commands that run a sweep."""
    options = (
        click.option(
            "--runner",
            type=click.Choice(NAMES),
            default="tune",
            show_default=True,
            help="Where trials run: on Ray Tune, or one by one in this process.",
        ),
        seeds_option,
        click.option("--rerun-stale", is_flag=True, help="Rerun trials that ran with other code."),
        click.option(
            "--keep-going",
            is_flag=True,
            help="Run all trials even if the first ones all fail with the same error.",
        ),
        click.option(
            "--hours",
            type=POSITIVE,
            metavar="HOURS",
            help="End after so long, with exit code 75 if something is left to do.",
        ),
        cluster_option,
        click.option("--detach", is_flag=True, help="With --cluster: start the sweep and return."),
        places,
        click.pass_context,
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command(
    cls=Command,
    epilog=examples(
        "orch sweep sweeps/quickstart.yaml",
        "orch sweep sweeps/quickstart.yaml --seeds 0-4 --set fixed.epochs=3 --name short",
    ),
)
@file_argument
@click.option("--smoke", is_flag=True, help="Run two batches of one config and one seed per cell.")
@_run_options
def sweep(context: click.Context, file: SweepFile, smoke: bool, **options: Any) -> None:
    """Run the trials of FILE that its store lacks, then print its tables."""
    _run(context, file, smoke=smoke, **options)


@click.command(
    cls=Command,
    epilog=examples(
        "orch decide sweeps/table1-mini.yaml",
        "orch decide sweeps/table1-mini.yaml --hours 8",
    ),
)
@file_argument
@_run_options
def decide(context: click.Context, file: SweepFile, **options: Any) -> None:
    """Run FILE, and add confirm seeds until its claims have verdicts.

    The same as `orch sweep` of a FILE with `decide`, which this command sets if it is not there:
    20 confirm seeds at most.
    """
    _run(context, file, decide=True, **options)


def _run(
    context: click.Context,
    file: SweepFile,
    *,
    seeds: Seeds,
    cluster: Path | None,
    detach: bool,
    root: str,
    decide: bool = False,
    smoke: bool = False,
    **options: Any,
) -> None:
    planned = sweep_of(file, seeds, decide=Decide() if decide else None)
    if cluster is not None:
        sys.exit(remote(cluster).run_sweep(context, planned, cluster, detach=detach))
    if detach:
        raise InputError("--detach needs --cluster; without it, the sweep runs in this process")
    print_differences(file, err=True)
    from orchestrator.running.driver import Options
    from orchestrator.running.run import run_sweep

    results = run_sweep(planned.as_smoke() if smoke else planned, root, Options(**options))
    if results.ends:
        show(results, Console())
        if results.sweep.decide:
            _show_claims(results)
        if results.sweep.artifacts != "none":
            print_artifacts(results, file, root)
    else:
        click.echo("no trial has finished: there is nothing to show yet", err=True)
    if datasets := _made_up_datasets(results):
        click.echo(f"made-up images in place of {', '.join(datasets)}: files are missing", err=True)
    if missing := len(results.missing):
        failed, retry = len(results.failed), command_line(context)
        if failed:
            click.echo(f"{counted(failed, 'trial')} failed; to retry: {retry}", err=True)
        if not_run := missing - failed:
            why = "not run, since a file was edited; to run them with the new version"
            click.echo(f"{counted(not_run, 'trial')} {why}: {retry}", err=True)
        sys.exit(1)


def _show_claims(results: Results) -> None:
    try:
        show_findings(results.claims(), Console())
    except ShowError as error:
        click.echo(f"no claim can be judged: {error}", err=True)


def _made_up_datasets(results: Results) -> list[str]:
    """List the data sets that a smoke run made up, as its trials recorded."""
    if not results.sweep.smoke:
        return []
    facts = map(json.loads, results.trials["facts"].dropna().unique())
    return sorted({fact["made_up_data"] for fact in facts if "made_up_data" in fact})


@click.command(
    cls=Command,
    epilog=examples(
        "orch plan sweeps/table1-mini.yaml",
        "orch plan sweeps/quickstart.yaml --pilot",
    ),
)
@file_argument
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@click.option(
    "--pilot", "with_pilot", is_flag=True, help="Profile one trial per cell: memory, speed, hours."
)
@seeds_option
@cluster_option
@places
@click.pass_context
def plan(
    context: click.Context,
    file: SweepFile,
    as_json: bool,
    with_pilot: bool,
    seeds: Seeds,
    cluster: Path | None,
    root: str,
) -> None:
    """Count the trials of FILE, done and missing; change nothing.

    With --pilot, one missing trial of each cell runs for half a minute, here or on a cluster,
    and stores nothing.
    """
    planned = sweep_of(file, seeds)
    if cluster is not None:
        sys.exit(remote(cluster).run_reader(context, planned, cluster))
    profiles = None
    counts = make_plan(planned, Stores(root, Display().warn))
    try:
        if with_pilot and counts.inventory.missing:
            from orchestrator.pilot.pilot import run

            profiles = run(planned, counts.inventory.missing)
    except TrainableError as error:
        raise placed(error, planned.source, "trainable") from None
    if as_json:
        click.echo(
            json.dumps(counts.as_dict() | (profiles.as_dict(counts.ahead) if profiles else {}))
        )
    else:
        print_plan(counts, Console())
        print_differences(file)
        if profiles:
            from orchestrator.pilot.show import print_pilot

            print_pilot(profiles, counts, Console())
    if profiles and profiles.failed:
        sys.exit(1)


@click.command(
    cls=Command,
    epilog=examples(
        "orch prune sweeps/quickstart.yaml",
        "orch prune sweeps/quickstart.yaml --store s3://bucket/results",
    ),
)
@file_argument
@places
def prune(file: SweepFile, root: str) -> None:
    """Move trials that are no longer in FILE to the store's retired/ folder."""
    from orchestrator.running.pruning import prune as retire

    results = results_of(file, root, sweep_of(file).seeds)
    retired = retire(results.sweep, results.store)
    click.echo(f"{counted(len(retired), 'trial')} moved to {results.store.files.shown('retired')}")


@click.command(
    cls=Command,
    epilog=examples(
        "orch again sweeps/quickstart.yaml activation=tanh,order=swap,lr=0.02,seed=0",
        "orch again sweeps/quickstart.yaml activation=tanh,order=swap,lr=0.02,seed=0 --stored",
    ),
)
@file_argument
@click.argument("trial")
@click.option("--stored", is_flag=True, help="Run the code that the store holds, alone.")
@click.option("--keep", is_flag=True, help="If they are equal, keep the artifact that it leaves.")
@click.option(
    "--pdb", "with_pdb", is_flag=True, help="Run in this process, and debug what it raises."
)
@places
def again(file: SweepFile, trial: str, stored: bool, keep: bool, with_pdb: bool, root: str) -> None:
    """Run one finished TRIAL of FILE once more, and compare its numbers to the bit.

    A TRIAL is the start of an id, or order=swap,lr=0.1,seed=0. It runs in a process of its own, as
    under Ray, and stores nothing but the artifact with --keep. The exit code is 1 if the numbers
    differ, or the trial fails. With --stored it finds no other files of the working folder. With
    --pdb nothing is compared.
    """
    from orchestrator.running import again as repeating
    from orchestrator.running.show_again import print_again

    results = results_of(file, root)
    found = find(results, trial)
    if with_pdb and stored:
        raise InputError("--pdb runs the present files; leave out --stored")
    if with_pdb and keep:
        raise InputError("--pdb compares nothing; leave out --keep")
    if with_pdb:
        sys.exit(0 if repeating.debug(results, found) else 1)
    twice = repeating.again(
        results,
        found,
        stored=stored,
        keep=keep,
        say=lambda line: click.echo(line, err=True),
        debugger=command_on("again", file, root, trial, "--pdb"),
    )
    print_again(twice, Console())
    if not twice.compared.is_equal:
        sys.exit(1)


def remote(cluster: Path) -> Any:
    """Import the commands for a cluster: for Slurm's, or those whose dependencies are optional."""
    if is_slurms(cluster):
        from orchestrator.cli import slurm

        return slurm
    try:
        from orchestrator.cli import remote as module
    except ModuleNotFoundError as missing:
        raise InputError(
            f"--cluster needs {missing.name}: pip install 'orch-sweeps[cluster]'"
        ) from None
    return module
