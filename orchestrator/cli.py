"""The `orch` command: thin commands over the library."""

from __future__ import annotations

import importlib.metadata
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import click
from rich.console import Console

from orchestrator import editing, spec, status
from orchestrator.display import Display
from orchestrator.errors import InputError, OrchError, TrainableError
from orchestrator.planning import print_plan, survey
from orchestrator.runners import NAMES
from orchestrator.source import read
from orchestrator.spec_errors import placed
from orchestrator.store import Store
from orchestrator.store.files import Files
from orchestrator.sweep import Sweep
from orchestrator.tables import Format, show

Command = TypeVar("Command", bound=Callable[..., Any])

INTERRUPTED = 130


class _Group(click.Group):
    """Turns the errors that are meant for users into words and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except OrchError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(error.exit_code)


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


def _file(command: Command) -> Command:
    kind = click.Path(path_type=Path, dir_okay=True)
    return click.argument("file", type=kind)(command)


def _seeds(_context: click.Context, _param: click.Parameter, text: str | None) -> Any:
    return None if text is None else spec.parse_seeds(text)


def _places(command: Command) -> Command:
    """Add the options that say where the store and the data lie."""
    store = click.option(
        "--store",
        "root",
        default="results",
        show_default=True,
        metavar="FOLDER",
        help="Folder (or URI) that holds the stores, one per sweep.",
    )
    data = click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="FOLDER",
        help="Where data sets lie [default: $ORCH_DATA_DIR, else ./data].",
    )
    return store(data(command))


_seeds_option = click.option(
    "--seeds",
    callback=_seeds,
    metavar="LIST",
    help="Seeds instead of the file's top-level ones, such as 0-4 or 0,2,5.",
)


@main.command()
@_file
@click.option(
    "--runner",
    type=click.Choice(NAMES),
    default="tune",
    show_default=True,
    help="Where trials run: on Ray Tune, or one by one in this process.",
)
@_seeds_option
@click.option("--rerun-stale", is_flag=True, help="Run again what other code has run.")
@_places
def sweep(
    file: Path,
    runner: str,
    seeds: tuple[int, ...] | None,
    rerun_stale: bool,
    root: str,
    data_dir: Path | None,
) -> None:
    """Run what of FILE is missing in its store, then print its tables."""
    from orchestrator.driver import Driver, Options

    display = Display()
    driver = Driver(file, Options(root, runner, seeds, rerun_stale, data_dir), display)
    report = driver.run()
    if report.interrupted:
        display.say(f"interrupted; what is finished is kept, and this goes on: {_again()}")
        sys.exit(INTERRUPTED)
    _print_tables(report.sweep, report.store, "text")
    if report.left:
        display.say(f"{report.left:,} trials failed; to try them again: {_again()}")
        sys.exit(1)


def _again() -> str:
    return " ".join(["orch", *sys.argv[1:]])


@main.command()
@_file
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@_seeds_option
@_places
def plan(
    file: Path,
    as_json: bool,
    seeds: tuple[int, ...] | None,
    root: str,
    data_dir: Path | None,  # noqa: ARG001
) -> None:
    """Count what FILE asks for and what of it is done, without running anything."""
    try:
        counts = survey(_load(file, seeds), root)
    except TrainableError as error:
        raise placed(error, read(file), "trainable") from None
    if as_json:
        click.echo(json.dumps(counts.as_dict()))
    else:
        print_plan(counts, Console())


@main.command("status")
@_file
@_places
def status_(file: Path, root: str, data_dir: Path | None) -> None:  # noqa: ARG001
    """Tell what is done, running and failed, also while the sweep runs."""
    store, asked = _stored(file, None, root)
    status.print_status(asked, store, Console())


@main.command()
@_file
@click.option(
    "--format",
    "format_",
    type=click.Choice(get_args(Format)),
    default="text",
    show_default=True,
    help="csv and json are tidy: one line per cell and value.",
)
@_seeds_option
@_places
def table(
    file: Path,
    format_: Format,
    seeds: tuple[int, ...] | None,
    root: str,
    data_dir: Path | None,  # noqa: ARG001
) -> None:
    """Print FILE's tables from what its store has, over the seeds of the last run."""
    store, asked = _stored(file, seeds, root)
    _print_tables(asked, store, format_)


@main.command()
@_file
@_places
def prune(file: Path, root: str, data_dir: Path | None) -> None:  # noqa: ARG001
    """Move the trials that FILE no longer asks for to the store's retired/ folder."""
    from orchestrator.pruning import prune as retire

    store, asked = _stored(file, None, root)
    gone = retire(asked, store)
    click.echo(f"{len(gone):,} trials moved to {store.files.shown('retired')}")


def _load(file: Path, seeds: tuple[int, ...] | None) -> Sweep:
    loaded = spec.load(file)
    return loaded if seeds is None else spec.with_seeds(loaded, seeds)


def _stored(file: Path, seeds: tuple[int, ...] | None, root: str) -> tuple[Store, Sweep]:
    """Open a sweep's store; the seeds are those of its last run unless they are given."""
    asked = _load(file, seeds)
    display = Display()
    store = Store(f"{Files(root).location}/{asked.name}", display.warn)
    if not store.exists:
        raise InputError(
            f"there is no store of `{asked.name}` in {root} yet; run `orch sweep {file}` first"
        )
    if seeds is None:
        asked = asked.with_seeds(editing.stored(store).seeds)
    return store, asked


def _print_tables(asked: Sweep, store: Store, format_: Format) -> None:
    wanted = any(v.startswith("probe:") for t in asked.tables for v in t.values)
    show(asked, store.trials(), store.probes() if wanted else None, Console(), format_)
