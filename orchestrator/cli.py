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

from orchestrator import cli_show, status
from orchestrator.cli_options import file_argument, load, places, seeds_option, stored
from orchestrator.display import Display
from orchestrator.errors import OrchError, TrainableError
from orchestrator.extends import resolve
from orchestrator.planning import print_plan, survey
from orchestrator.runners import NAMES
from orchestrator.spec_errors import placed
from orchestrator.store import Store
from orchestrator.sweep import Sweep
from orchestrator.tables import Format, show

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
@places
def sweep(
    file: Path,
    runner: str,
    seeds: tuple[int, ...] | None,
    rerun_stale: bool,
    smoke: bool,
    root: str,
) -> None:
    """Run what of FILE is missing in its store, then print its tables."""
    from orchestrator.driver import Driver, Options

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


def _again() -> str:
    return shlex.join(["orch", *sys.argv[1:]])


@main.command()
@file_argument
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@seeds_option
@places
def plan(
    file: Path,
    as_json: bool,
    seeds: tuple[int, ...] | None,
    root: str,
) -> None:
    """Count what FILE asks for and what of it is done, without running anything."""
    try:
        counts = survey(load(file, seeds), root)
    except TrainableError as error:
        raise placed(error, resolve(file), "trainable") from None
    if as_json:
        click.echo(json.dumps(counts.as_dict()))
    else:
        print_plan(counts, Console())


@main.command("status")
@file_argument
@places
def status_(file: Path, root: str) -> None:
    """Tell what is done, running and failed, also while the sweep runs."""
    store, asked = stored(file, None, root)
    status.print_status(asked, store, Console())


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
    from orchestrator.pruning import prune as retire

    store, asked = stored(file, load(file, None).seeds, root)
    gone = retire(asked, store)
    click.echo(f"{len(gone):,} trials moved to {store.files.shown('retired')}")


def _print_tables(asked: Sweep, store: Store, format_: Format) -> None:
    wanted = any(v.startswith("probe:") for t in asked.tables for v in t.values)
    show(asked, store.trials(), store.probes() if wanted else None, Console(), format_)


for command in (cli_show.claims, cli_show.figure, cli_show.report):
    main.add_command(command)
