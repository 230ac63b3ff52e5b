"""The `orch` command: its subcommands, errors and exit codes."""

from __future__ import annotations

import importlib.metadata
import sys
from typing import Any

import click

from orchestrator.cli import reading, running, sharing
from orchestrator.cli.beginning import init
from orchestrator.cli.cluster import cluster
from orchestrator.cli.interruption import Handler, handled
from orchestrator.cli.typed import Group, command_line, examples
from orchestrator.cli.watching import watch
from orchestrator.errors import OrchError


class _Orch(Group):
    """Prints errors that are meant for users, and exits with their code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except OrchError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            what = "to run it again"
            if ctx.invoked_subcommand in {"sweep", "decide"}:
                what = "finished trials are kept; to continue"
            click.echo(f"interrupted; {what}: {command_line(ctx)}", err=True)
            handler = ctx.find_object(Handler)
            sys.exit(handler.exit_code if handler else Handler().exit_code)


@click.group(
    cls=_Orch,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples("orch plan sweeps/quickstart.yaml", "orch sweep sweeps/quickstart.yaml"),
)
@click.version_option(importlib.metadata.version("orch-sweeps"), prog_name="orch")
@click.pass_context
def main(context: click.Context) -> None:
    """Run sweeps of neural networks over cells, search and seeds, and print their tables.

    A sweep FILE describes the trials; `orch sweep FILE` makes the store match it. To continue
    after an interruption or an edit, run the same command again: only missing trials run.

    Exit codes: 0 all done, 1 some trials failed, 2 bad input, 3 Ray has died, 75 time is up
    (--hours), 130 Ctrl-C, 143 SIGTERM.

    Shell completion: `eval "$(_ORCH_COMPLETE=bash_source orch)"`, or zsh_source,
    fish_source.
    """
    context.obj = handled()


for command in (
    init,
    running.sweep,
    running.decide,
    running.plan,
    reading.status,
    reading.logs,
    watch,
    reading.table,
    running.again,
    running.prune,
    reading.claims,
    reading.effects,
    reading.figure,
    reading.report,
    sharing.compare,
    sharing.publish,
    sharing.audit,
    sharing.export,
    cluster,
):
    main.add_command(command)
