"""The `orch` commands that compare results, give them to others or to trackers, and audit them."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Literal, get_args

import click
from rich.console import Console

from orchestrator.cli.options import (
    SweepFile,
    data_dir_option,
    file_argument,
    format_option,
    output_option,
    places,
    results_of,
    writing,
)
from orchestrator.cli.typed import Command, examples
from orchestrator.errors import InputError
from orchestrator.labels import counted

Format = Literal["text", "markdown", "json"]
Target = Literal["tensorboard", "wandb"]


@click.command(
    cls=Command,
    epilog=examples(
        "orch publish sweeps/quickstart.yaml published/quickstart",
        "orch publish sweeps/table1-mini.yaml published/table1-mini --unfinished",
    ),
)
@file_argument
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER")
@click.option("--unfinished", is_flag=True, help="Publish a sweep that lacks trials; it says so.")
@click.option("--with-names", is_flag=True, help="Keep names of hosts, and paths of this machine.")
@places
def publish(file: SweepFile, folder: Path, unfinished: bool, with_names: bool, root: str) -> None:
    """Write FILE's results to FOLDER, to be read, recomputed and audited by others.

    An earlier publication of the same sweep is replaced; files that it does not list stay.
    """
    from orchestrator.publishing.private import Private
    from orchestrator.publishing.publication import publish as write

    results = results_of(file, root)
    private = Private.nothing() if with_names else Private.of(results)
    path = None if file.overrides else file.path
    remarks = write(results, folder, path, may_lack=unfinished, private=private)
    click.echo(folder)
    for remark in remarks:
        click.echo(f"look before you give it away: {remark}", err=True)


@click.command(
    cls=Command,
    epilog=examples(
        "orch audit published/table1-mini",
        "orch audit published/table1-mini --sample 20 --yes",
    ),
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER")
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    default=59,
    show_default=True,
    metavar="N",
    help="Trials to draw.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="Draw those of an earlier audit again [default: drawn here].",
)
@click.option("--yes", is_flag=True, help="Run the publication's code.")
@output_option(
    "File for the certificate, as JSON [default: certificate.json in FOLDER].",
    type=click.Path(path_type=Path, dir_okay=False),
)
@data_dir_option
def audit(folder: Path, sample: int, seed: int | None, yes: bool, output: Path | None) -> None:
    """Run random trials of the publication in FOLDER again, and certify what they come to.

    Each trial runs the sources that it ran, in a process of its own. Without --yes, only say whose
    code that is, where it runs and for how long. The exit code is 0 if the sample is clear.
    """
    from orchestrator.auditing.audit import prepare, run
    from orchestrator.auditing.certificate import Certificate
    from orchestrator.auditing.sampling import entropy
    from orchestrator.publishing.publication import CERTIFICATE

    target = output or folder / CERTIFICATE
    prepared = prepare(folder, sample, entropy() if seed is None else seed)
    for line in prepared.announcement():
        click.echo(line)
    if not yes:
        raise InputError("nothing has run; --yes runs it")
    if target.is_dir() or not os.access(target.parent, os.W_OK):
        raise InputError(f"{target} cannot be written: name another file with --output")
    audited = []
    for each in run(prepared):
        audited.append(each)
        click.echo(f"{len(audited)} of {len(prepared.sample)}: {each}", err=True)
    certificate = Certificate(prepared, audited)
    click.echo("\n".join(certificate.lines()))
    text = json.dumps(certificate.as_dict(), indent=1, allow_nan=False) + "\n"
    with writing(target):
        target.write_text(text, encoding="utf-8")
    click.echo(target)
    if certificate.verdict != "clear":
        sys.exit(1)


@click.command(
    cls=Command,
    epilog=examples(
        "orch compare results/quickstart published/quickstart",
        "orch compare results/table1 published --format json",
    ),
)
@click.argument("before", metavar="STORE")
@click.argument("after", metavar="OTHER")
@format_option(*get_args(Format), help_text="json is one object.")
@click.option(
    "--fail-on-change", is_flag=True, help="Exit with 1 if a value moved or is lost, or a cell is."
)
def compare(before: str, after: str, format_: Format, fail_on_change: bool) -> None:
    """Tell which cells of STORE moved in OTHER, by how much, and whether beyond noise.

    Each is the folder or address of a store or publication. STORE@DIGEST is what its trials of one
    version of the code say. OTHER may be `published`: the figures that the tables of STORE list.
    """
    from orchestrator.comparing.changes import compare as compared
    from orchestrator.comparing.show import show

    found = compared(before, after)
    show(found, Console(), format_)
    if fail_on_change and found.has_moved:
        sys.exit(1)


@click.command(
    cls=Command,
    epilog=examples(
        "orch export sweeps/quickstart.yaml --to tensorboard",
        "orch export sweeps/table1-mini.yaml --to wandb -o runs/table1",
    ),
)
@file_argument
@click.option("--to", type=click.Choice(get_args(Target)), required=True, help="Whose runs.")
@output_option(
    "Folder for the runs [default: export/NAME-tensorboard or export/NAME-wandb].",
    type=click.Path(path_type=Path, file_okay=False),
)
@places
def export(file: SweepFile, to: Target, output: Path | None, root: str) -> None:
    """Write FILE's finished trials as runs of TensorBoard, or as offline runs of W&B.

    An earlier export of the same sweep is replaced, with all that is in its folder.
    """
    from orchestrator.exporting.export import export as write

    results = results_of(file, root)
    folder = output or Path("export", f"{results.sweep.name}-{to}")
    written = write(results, to, folder)
    if left_out := results.wanted.in_all - written:
        click.echo(f"left out: {counted(left_out, 'unfinished or failed trial')}", err=True)
    command = "tensorboard --logdir" if to == "tensorboard" else "wandb sync"
    click.echo(f"{counted(written, 'run')}; next: {command} {shlex.quote(str(folder))}")
