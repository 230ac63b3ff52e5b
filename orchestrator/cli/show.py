"""The `orch` commands that judge, draw and report what a store holds."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click
from rich.console import Console

from orchestrator.cli.options import file_argument, places, seeds_option, stored
from orchestrator.errors import InputError
from orchestrator.results.findings import Format, show_findings
from orchestrator.results.selection import select
from orchestrator.spec.problems import unknown

# Each command imports what it draws with: matplotlib and Vega take a second to load.


@click.command()
@file_argument
@click.option(
    "--format",
    "format_",
    type=click.Choice(get_args(Format)),
    default="text",
    show_default=True,
    help="json is a list with an object per claim.",
)
@seeds_option
@places
def claims(
    file: Path,
    format_: Format,
    seeds: tuple[int, ...] | None,
    root: str,
) -> None:
    """Judge FILE's claims by what its store has: effect, interval, test and verdict."""
    from orchestrator.results.claims import judge

    store, sweep = stored(file, seeds, root)
    if not sweep.claims:
        raise InputError(f"{file} makes no `claims:`")
    trials = store.trials()
    findings = judge(sweep, select(sweep, trials), trials, store.probes())
    show_findings(findings, Console(), format_)


@click.command()
@file_argument
@click.argument("name", required=False)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default="figures",
    show_default=True,
    help="Folder to write to.",
)
@seeds_option
@places
def figure(
    file: Path,
    name: str | None,
    output: Path,
    seeds: tuple[int, ...] | None,
    root: str,
) -> None:
    """Draw FILE's figures, or the one of that NAME, as SVG and PNG.

    Without `figures:` in FILE these are learning curves and one figure per probe.
    """
    from orchestrator.results.figures import Frames, default_figures, plot, save

    store, sweep = stored(file, seeds, root)
    frames = Frames(store.trials(), store.epochs(), store.probes())
    figures = {found.name: found for found in default_figures(sweep, frames.probes)}
    if name is not None and name not in figures:
        raise InputError(unknown("figure", name, figures))
    selections = select(sweep, frames.trials)
    for found in figures.values() if name is None else [figures[name]]:
        for path in save(plot(sweep, found, selections, frames), output / sweep.name):
            click.echo(path)


@click.command()
@file_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write [default: NAME.html in the working folder].",
)
@seeds_option
@places
def report(
    file: Path,
    output: Path | None,
    seeds: tuple[int, ...] | None,
    root: str,
) -> None:
    """Write one self-contained page about FILE's sweep, finished or not."""
    from orchestrator.code import code_of
    from orchestrator.results.figures import Frames
    from orchestrator.results.report import Origin, render

    store, sweep = stored(file, seeds, root)
    frames = Frames(store.trials(), store.epochs(), store.probes())
    text = file.read_text(encoding="utf-8")
    digest = code_of(sweep.module).digest
    origin = Origin(str(file), text, root, digest, store.log_name)
    target = output or Path(f"{sweep.name}.html")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(render(sweep, frames, origin), encoding="utf-8")
    click.echo(target)
