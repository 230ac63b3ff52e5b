"""What commands say that follow a sweep which runs elsewhere."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import click

from orchestrator.cli.options import SweepFile


def command_on_cluster(command: str, context: click.Context, cluster_path: Path) -> str:
    """Write the command that does something else with the same file on the same cluster."""
    typed = context.params
    file = SweepFile(typed["file"], (*typed["overrides"], *typed["name_of_sweep"]))
    return f"orch {command} {file} --cluster {shlex.quote(str(cluster_path))}"


def leave(stop: Callable[[], object], follow_command: str) -> int:
    """Stop following a sweep after Ctrl-C; it goes on, unless the user chooses to stop it.

    Returns:
        The exit code.
    """
    if sys.stdin.isatty() and click.confirm("\nstop the sweep on the cluster too?", err=True):
        stop()
        click.echo("stopped; finished trials are kept", err=True)
    else:
        click.echo(f"\nthe sweep continues; to follow it: {follow_command}", err=True)
    return 130
