"""Runs commands on a cluster that Slurm manages, whose nodes share the working folder."""

from __future__ import annotations

from pathlib import Path

import click

from orchestrator.cli.elsewhere import command_on_cluster, leave
from orchestrator.cli.typed import arguments_for
from orchestrator.cluster import launcher
from orchestrator.cluster.slurm import batch, config, queue
from orchestrator.errors import InputError
from orchestrator.spec import Sweep
from orchestrator.store import Stores


def run_sweep(context: click.Context, sweep: Sweep, cluster_path: Path, *, detach: bool) -> int:
    """Have Slurm run `orch sweep` in an allocation; return its exit code."""
    allocation = config.load(cluster_path)
    job = queue.last(sweep.name)
    if job is not None and not job.has_ended:
        number = job.number
        click.echo(f"{sweep.name} is in the queue already: {job}", err=True)
    else:
        launcher.require_token()
        number = queue.submit(_script(context, sweep, allocation))
        click.echo(f"{sweep.name} is job {number} of Slurm; scancel {number} ends it", err=True)
    follow_command = command_on_cluster("logs", context, cluster_path)
    if detach:
        click.echo(f"to follow it: {follow_command}", err=True)
        return 0
    return _follow(sweep, number, follow_command)


def _script(context: click.Context, sweep: Sweep, allocation: config.Allocation) -> str:
    stored = sweep.as_smoke() if context.params.get("smoke") else sweep
    return batch.script(
        allocation,
        queue.name_of(sweep.name),
        queue.output_of(sweep.name),
        Stores(context.params["root"]).store_of(stored.name).files.location,
        arguments_for(context, cluster=None, detach=None),
    )


def run_reader(context: click.Context, sweep: Sweep, cluster_path: Path) -> int:
    """Print the state of a sweep's job, then run a command that only reads, here."""
    config.load(cluster_path)
    if context.params.get("with_pilot"):
        raise InputError(
            "--pilot measures where it runs: leave out --cluster, and start it by srun"
        )
    job = queue.last(sweep.name)
    click.echo(job or f"Slurm knows of no job of {sweep.name}", err=True)
    context.invoke(context.command, **{**context.params, "cluster": None})
    return 0


def watch(_context: click.Context, _sweep: Sweep, cluster_path: Path, _port: int) -> None:
    """Refuse to show a page from afar.

    Raises:
        InputError: always, since the store is seen from here.
    """
    raise InputError(f"{cluster_path} is for Slurm, whose stores are seen here: omit --cluster")


def follow_sweep(context: click.Context, sweep: Sweep, cluster_path: Path) -> int:
    """Print the output of the newest job of a sweep, from its start until it ends."""
    config.load(cluster_path)
    job = queue.last(sweep.name)
    if job is None:
        start = command_on_cluster("sweep", context, cluster_path)
        raise InputError(
            f"Slurm knows of no job of `{sweep.name}` from this folder; `{start}` starts one, and "
            f"{queue.output_of(sweep.name, '*')} are the outputs of earlier ones"
        )
    return _follow(sweep, job.number, command_on_cluster("logs", context, cluster_path))


def _follow(sweep: Sweep, number: str, follow_command: str) -> int:
    """Follow a job; Ctrl-C leaves it running, unless the user chooses to stop it."""
    try:
        return queue.follow(number, Path(queue.output_of(sweep.name, number)))
    except KeyboardInterrupt:
        return leave(lambda: queue.cancel(number), follow_command)
