"""The command `orch watch`."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import click

from orchestrator.cli.interruption import Handler
from orchestrator.cli.options import (
    SweepFile,
    cluster_option,
    file_argument,
    places,
    results_of,
    sweep_of,
)
from orchestrator.cli.running import remote
from orchestrator.cli.typed import Command, examples


@click.command(
    cls=Command,
    epilog=examples(
        "orch watch sweeps/quickstart.yaml",
        "orch watch sweeps/quickstart.yaml --cluster cluster.yaml",
    ),
)
@file_argument
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port of this machine's loopback address [default: a free one].",
)
@cluster_option
@places
@click.pass_context
def watch(
    context: click.Context, file: SweepFile, port: int, cluster: Path | None, root: str
) -> None:
    """Show FILE's sweep on a live page in a browser of this machine, until Ctrl-C.

    It only reads the store, and works before the sweep starts, while it runs, and after. Whoever
    has the printed address can read the page.
    """
    from orchestrator import watching  # a web server, which no other command needs

    sweep = sweep_of(file)
    path = None if file.overrides else file.path
    try:
        with watching.listen(port) as listening:
            port = listening.getsockname()[1]
            if cluster is not None:
                listening.close()  # SSH listens there
                remote(cluster).watch(context, sweep, cluster, port)
            token = secrets.token_urlsafe()
            click.echo(f"http://{watching.HOST}:{port}/{token}/")
            click.echo("Ctrl-C ends the page; the sweep is not affected", err=True)
            watching.serve(listening, token, sweep, lambda: results_of(file, root), path)
    except KeyboardInterrupt:
        click.echo("the page has ended; the sweep is not affected", err=True)
        handler = context.find_object(Handler)
        sys.exit(handler.exit_code if handler else Handler().exit_code)
