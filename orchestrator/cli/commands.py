"""The `orch` command: thin commands over the library."""

from __future__ import annotations

import importlib.metadata
import json
import shlex
import signal
import sys
from pathlib import Path
from typing import Any, get_args

import click
from rich.console import Console

from orchestrator.cli import cluster as cli_cluster
from orchestrator.cli import show as cli_show
from orchestrator.cli.options import (
    cluster_option,
    file_argument,
    load,
    places,
    seeds_option,
    stored,
)
from orchestrator.errors import InputError, OrchError, TrainableError
from orchestrator.pilot import pilot
from orchestrator.results.tables import Format, show
from orchestrator.running import status
from orchestrator.running.display import Display
from orchestrator.running.plan import print_pilot, print_plan, survey
from orchestrator.running.runners import NAMES
from orchestrator.spec.extends import resolve
from orchestrator.spec.model import Sweep
from orchestrator.spec.problems import placed
from orchestrator.store import Store

INTERRUPTED = 130


class _Group(click.Group):
    """Turns the errors that are meant for users into words and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except OrchError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo(
                f"interrupted; what is finished is kept, and this goes on: {_again()}", err=True
            )
            sys.exit(INTERRUPTED)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(importlib.metadata.version("orch-sweeps"), prog_name="orch")
def main() -> None:
    """Run sweeps of neural networks over cells, search and seeds, and print their tables.

    A sweep FILE says what is to be run; the store is made to match it. To go on after an
    interruption, or after an edit, run `orch sweep FILE` again: only what is missing runs.

    Exit codes: 0 all done, 1 some trials failed, 2 bad input, 130 interrupted.

    Shell completion: `eval "$(_ORCH_COMPLETE=bash_source orch)"`, or zsh_source,
    fish_source.
    """
    # Ctrl-C reaches this process even if a parent shell has its background jobs ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@main.command()
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
def sweep(
    file: Path,
    runner: str,
    seeds: tuple[int, ...] | None,
    rerun_stale: bool,
    smoke: bool,
    cluster: Path | None,
    detach: bool,
    root: str,
) -> None:
    """Run what of FILE is missing in its store, then print its tables."""
    if cluster is not None:
        sys.exit(_remote().run_there(file, load(file, seeds), cluster, detach=detach))
    if detach:
        raise InputError("--detach needs --cluster: here, the sweep is this process")
    from orchestrator.running.driver import Driver, Options

    display = Display()
    driver = Driver(file, Options(root, runner, seeds, rerun_stale, smoke), display)
    report = driver.run()
    if report.interrupted:
        raise KeyboardInterrupt
    _print_tables(report.sweep, report.store, "text")
    if report.made_up:
        display.say(f"made-up images in place of {', '.join(report.made_up)}: no files of it here")
    if report.left:
        display.say(f"{report.left:,} trials failed; to try them again: {_again()}")
        sys.exit(1)


def _remote() -> Any:
    """Import what only clusters need, and not every installation has."""
    try:
        from orchestrator.cli import remote as cli_remote
    except ModuleNotFoundError as missing:
        raise InputError(
            f"--cluster needs {missing.name}: pip install 'orch-sweeps[cluster]'"
        ) from None
    return cli_remote


def _again() -> str:
    return shlex.join(["orch", *sys.argv[1:]])


@main.command()
@file_argument
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@click.option(
    "--pilot", "with_pilot", is_flag=True, help="Measure one trial per cell: memory, speed, hours."
)
@seeds_option
@cluster_option
@places
def plan(
    file: Path,
    as_json: bool,
    with_pilot: bool,
    seeds: tuple[int, ...] | None,
    cluster: Path | None,
    root: str,
) -> None:
    """Count what FILE asks for and what of it is done, and change nothing.

    With --pilot, one trial of each cell that lacks some runs for half a minute, here or on a
    cluster, and leaves nothing.
    """
    if cluster is not None:
        sys.exit(_remote().ask_there(file, load(file, seeds), cluster))
    found = None
    try:
        counts = survey(load(file, seeds), root)
        if with_pilot and counts.state.missing:
            found = pilot.run(counts.sweep, counts.state.missing)
    except TrainableError as error:
        raise placed(error, resolve(file), "trainable") from None
    if as_json:
        click.echo(json.dumps(counts.as_dict() | (found.as_dict() if found else {})))
    else:
        print_plan(counts, Console())
        if found:
            print_pilot(found, Console())
    if found and found.failed:
        sys.exit(1)


@main.command("status")
@file_argument
@cluster_option
@places
def status_(file: Path, cluster: Path | None, root: str) -> None:
    """Tell what is done, running and failed, also while the sweep runs."""
    if cluster is not None:
        sys.exit(_remote().ask_there(file, load(file, None), cluster))
    store, asked = stored(file, None, root)
    status.print_status(asked, store, Console())


@main.command()
@file_argument
@click.argument("trial", required=False)
@cluster_option
@places
def logs(file: Path, trial: str | None, cluster: Path | None, root: str) -> None:
    """Print the log of a TRIAL of FILE; with --cluster alone, follow the sweep itself."""
    if cluster is not None:
        asked, remote = load(file, None), _remote()
        there = remote.follow_there if trial is None else remote.ask_there
        sys.exit(there(file, asked, cluster))
    store, _ = stored(file, None, root)
    text = store.files.read(f"logs/{trial}.log") if trial else None
    if text is None:
        raise InputError(
            f"{f'no log of a trial {trial}' if trial else 'which trial?'}; "
            f"`orch status {file}` names those that run and that failed"
        )
    click.echo(text.decode(errors="replace"), nl=False)


@main.command()
@file_argument
@click.option(
    "--format",
    "format_",
    type=click.Choice(get_args(Format)),
    default="text",
    show_default=True,
    help="csv and json are tidy: one line per cell and value.",
)
@seeds_option
@places
def table(
    file: Path,
    format_: Format,
    seeds: tuple[int, ...] | None,
    root: str,
) -> None:
    """Print FILE's tables from what its store has, over the seeds of the last run."""
    store, asked = stored(file, seeds, root)
    _print_tables(asked, store, format_)


@main.command()
@file_argument
@places
def prune(file: Path, root: str) -> None:
    """Move the trials that FILE no longer asks for to the store's retired/ folder."""
    from orchestrator.running.pruning import prune as retire

    store, asked = stored(file, load(file, None).seeds, root)
    gone = retire(asked, store)
    click.echo(f"{len(gone):,} trials moved to {store.files.shown('retired')}")


def _print_tables(asked: Sweep, store: Store, format_: Format) -> None:
    wanted = any(v.startswith("probe:") for t in asked.tables for v in t.values)
    show(asked, store.trials(), store.probes() if wanted else None, Console(), format_)


for command in (cli_show.claims, cli_show.figure, cli_show.report, cli_cluster.cluster):
    main.add_command(command)
