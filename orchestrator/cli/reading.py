"""The `orch` commands that read a store and change nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import get_args

import click
from rich.console import Console

from orchestrator.cli.options import (
    Seeds,
    SweepFile,
    cluster_option,
    file_argument,
    format_option,
    output_option,
    places,
    results_of,
    seeds_option,
    sweep_of,
)
from orchestrator.cli.running import remote
from orchestrator.cli.typed import Command
from orchestrator.errors import InputError
from orchestrator.results import effects as variance
from orchestrator.results import tables
from orchestrator.results.claims import findings
from orchestrator.running.status import print_status
from orchestrator.store.names import log_file


@click.command(cls=Command)
@file_argument
@cluster_option
@places
@click.pass_context
def status(context: click.Context, file: SweepFile, cluster: Path | None, root: str) -> None:
    """Show which trials are done, running and failed, even while the sweep runs."""
    if cluster is not None:
        sys.exit(remote().run_reader(context, sweep_of(file), cluster))
    print_status(results_of(file, root), Console())


@click.command(cls=Command)
@file_argument
@click.argument("trial", required=False)
@cluster_option
@places
@click.pass_context
def logs(
    context: click.Context, file: SweepFile, trial: str | None, cluster: Path | None, root: str
) -> None:
    """Print the log of a TRIAL of FILE; with --cluster and no TRIAL, follow the sweep."""
    if cluster is not None:
        on_cluster = remote().follow_sweep if trial is None else remote().run_reader
        sys.exit(on_cluster(context, sweep_of(file), cluster))
    store = results_of(file, root).store
    text = store.files.read(log_file(trial)) if trial else None
    if text is None:
        raise InputError(
            f"{f'trial {trial} has no log' if trial else 'a trial id is missing'}; "
            f"`orch status {file}` lists running and failed trials"
        )
    click.echo(text.decode(errors="replace"), nl=False)


@click.command(cls=Command)
@file_argument
@format_option(
    *get_args(tables.Format), help_text="csv and json are tidy: one row per cell and value."
)
@seeds_option
@places
def table(file: SweepFile, format_: tables.Format, seeds: Seeds, root: str) -> None:
    """Print FILE's tables from its store, by default over the seeds of the last run."""
    tables.show(results_of(file, root, seeds), Console(), format_)


@click.command(cls=Command)
@file_argument
@format_option(*get_args(findings.Format), help_text="json is a list with one object per claim.")
@click.option(
    "--smallest",
    type=click.FloatRange(min=0, min_open=True),
    metavar="EFFECT",
    help="Smallest difference that would matter, for claims that do not state it.",
)
@output_option(
    "Folder to draw the looks of `decide` in, as SVG and PNG.",
    type=click.Path(path_type=Path, file_okay=False),
)
@seeds_option
@places
def claims(
    file: SweepFile,
    format_: findings.Format,
    smallest: float | None,
    output: Path | None,
    seeds: Seeds,
    root: str,
) -> None:
    """Test FILE's claims on its store: effect, interval, test and verdict.

    With `decide` in FILE, also every look at a claim: its seeds, interval and error spent.
    """
    results = results_of(file, root, seeds)
    if not results.sweep.claims:
        raise InputError(f"{file} makes no `claims:`")
    found = results.claims(smallest)
    findings.show_findings(found, Console(), format_)
    if output is not None:
        for path in found.figure().save(output / results.sweep.name):
            click.echo(path, err=True)  # stdout may be json


@click.command(cls=Command)
@file_argument
@click.argument("metric", required=False)
@format_option(*get_args(variance.Format), help_text="csv and json have one row per effect.")
@output_option(
    "Folder to draw the effects in, as SVG and PNG.",
    type=click.Path(path_type=Path, file_okay=False),
)
@seeds_option
@places
def effects(
    file: SweepFile,
    metric: str | None,
    format_: variance.Format,
    output: Path | None,
    seeds: Seeds,
    root: str,
) -> None:
    """Tell what METRIC depends on: the variance due to FILE's params, seed and interactions.

    METRIC is a metric or `probe:NAME`; by default, the one that FILE selects on.
    """
    results = results_of(file, root, seeds)
    found = results.effects(metric)
    variance.show_effects(found, Console(), format_)
    if output is not None:
        for path in found.figure().save(output / results.sweep.name):
            click.echo(path, err=True)  # stdout may be csv or json


@click.command(cls=Command)
@file_argument
@click.argument("name", required=False)
@output_option(
    "Folder to write to.",
    type=click.Path(path_type=Path, file_okay=False),
    default="figures",
    show_default=True,
)
@seeds_option
@places
def figure(file: SweepFile, name: str | None, output: Path, seeds: Seeds, root: str) -> None:
    """Draw FILE's figures, or only the one called NAME, as SVG and PNG.

    Without `figures:` in FILE, draw learning curves and one figure per probe.
    """
    results = results_of(file, root, seeds)
    for each in results.figures if name is None else [name]:
        for path in results.figure(each).save(output / results.sweep.name):
            click.echo(path)


@click.command(cls=Command)
@file_argument
@output_option(
    "File to write [default: NAME.html in the working folder].",
    type=click.Path(path_type=Path, dir_okay=False),
)
@seeds_option
@places
def report(file: SweepFile, output: Path | None, seeds: Seeds, root: str) -> None:
    """Write a self-contained HTML page about FILE's sweep, finished or not."""
    results = results_of(file, root, seeds)
    target = output or Path(f"{results.sweep.name}.html")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(results.report(None if file.overrides else file.path), encoding="utf-8")
    click.echo(target)
