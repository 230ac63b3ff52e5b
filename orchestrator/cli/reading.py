"""The `orch` commands that read a store and change nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import get_args

import click
from rich.console import Console

from orchestrator.cli.options import (
    POSITIVE,
    Seeds,
    SweepFile,
    cluster_option,
    command_on,
    file_argument,
    format_option,
    output_option,
    places,
    print_artifacts,
    results_of,
    seeds_option,
    sweep_of,
    writing,
)
from orchestrator.cli.running import remote
from orchestrator.cli.typed import Command, examples
from orchestrator.errors import InputError
from orchestrator.results import effects as variance
from orchestrator.results import tables
from orchestrator.results.claims import findings
from orchestrator.running.one_trial import facts, find, log_of, print_trial
from orchestrator.running.status import SweepStatus, print_status


@click.command(
    cls=Command,
    epilog=examples(
        "orch status sweeps/quickstart.yaml",
        "orch status sweeps/quickstart.yaml activation=tanh,order=swap,lr=0.02,seed=0 --json",
    ),
)
@file_argument
@click.argument("trial", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@cluster_option
@places
@click.pass_context
def status(
    context: click.Context,
    file: SweepFile,
    trial: str | None,
    as_json: bool,
    cluster: Path | None,
    root: str,
) -> None:
    """Show which trials are done, running and failed, or all about one TRIAL.

    It works while the sweep runs, too. A TRIAL is the start of an id, or order=swap,lr=0.1,seed=0.
    """
    if cluster is not None:
        sys.exit(remote(cluster).run_reader(context, sweep_of(file), cluster))
    results = results_of(file, root)
    if trial is None and as_json:
        click.echo(json.dumps(SweepStatus.of(results).as_dict()))
    elif trial is None:
        print_status(results, Console())
        if results.sweep.artifacts != "none":
            print_artifacts(results, file, root)
    elif as_json:
        click.echo(json.dumps(facts(results, find(results, trial))))
    else:
        print_trial(results, find(results, trial), Console())


@click.command(
    cls=Command,
    epilog=examples(
        "orch logs sweeps/quickstart.yaml activation=tanh,order=swap,lr=0.02,seed=0",
        "orch logs sweeps/quickstart.yaml --cluster cluster.yaml",
    ),
)
@file_argument
@click.argument("trial", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the log of TRIAL as JSON.")
@cluster_option
@places
@click.pass_context
def logs(
    context: click.Context,
    file: SweepFile,
    trial: str | None,
    as_json: bool,
    cluster: Path | None,
    root: str,
) -> None:
    """Print the log of a TRIAL of FILE; with --cluster and no TRIAL, follow the sweep.

    A TRIAL is the start of an id, or order=swap,lr=0.1,seed=0.
    """
    if as_json and trial is None:
        raise InputError("--json needs a TRIAL")
    if cluster is not None:
        on_cluster = remote(cluster).follow_sweep if trial is None else remote(cluster).run_reader
        sys.exit(on_cluster(context, sweep_of(file), cluster))
    results = results_of(file, root)
    hint = f"`{command_on('status', file, root)}` lists running and failed trials"
    if trial is None:
        raise InputError(f"a trial is missing; {hint}")
    found = log_of(results, trial)
    if found is None:
        raise InputError(f"trial {trial} has no log; {hint}")
    click.echo(json.dumps(found.as_dict()) if as_json else found.text, nl=as_json)


@click.command(
    cls=Command,
    epilog=examples(
        "orch table sweeps/quickstart.yaml",
        "orch table sweeps/quickstart.yaml --format latex > table.tex",
    ),
)
@file_argument
@format_option(
    *get_args(tables.Format), help_text="csv and json are tidy: one row per cell and value."
)
@seeds_option
@places
def table(file: SweepFile, format_: tables.Format, seeds: Seeds, root: str) -> None:
    """Print FILE's tables from its store, by default over the seeds of the last run."""
    tables.show(results_of(file, root, seeds), Console(), format_)


@click.command(
    cls=Command,
    epilog=examples(
        "orch claims sweeps/table1-mini.yaml",
        "orch claims sweeps/table1-mini.yaml --smallest 0.01 --format json",
    ),
)
@file_argument
@format_option(*get_args(findings.Format), help_text="json is a list with one object per claim.")
@click.option("--json", "as_json", is_flag=True, help="Print them as one JSON object.")
@click.option(
    "--smallest",
    type=POSITIVE,
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
    as_json: bool,
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
    if as_json:
        click.echo(json.dumps(findings.as_dict(found, results.sweep.name), allow_nan=False))
    else:
        findings.show_findings(found, Console(), format_)
    if output is not None:
        with writing(output):
            for path in found.figure().save(output / results.sweep.name):
                click.echo(path, err=True)  # stdout may be json


@click.command(
    cls=Command,
    epilog=examples(
        "orch effects sweeps/quickstart.yaml",
        "orch effects sweeps/quickstart.yaml probe:skewness -o figures",
    ),
)
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
        with writing(output):
            for path in found.figure().save(output / results.sweep.name):
                click.echo(path, err=True)  # stdout may be csv or json


@click.command(
    cls=Command,
    epilog=examples(
        "orch figure sweeps/quickstart.yaml",
        "orch figure sweeps/figure3_4.yaml activations -o paper",
    ),
)
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
        plot = results.figure(each)
        with writing(output):
            for path in plot.save(output / results.sweep.name):
                click.echo(path)


@click.command(
    cls=Command,
    epilog=examples(
        "orch report sweeps/quickstart.yaml",
        "orch report sweeps/quickstart.yaml -o reports/today.html",
    ),
)
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
    page = results.report(None if file.overrides else file.path)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page, encoding="utf-8")
    click.echo(target)
