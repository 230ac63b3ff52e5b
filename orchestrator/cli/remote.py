"""Runs commands on a cluster, with a copy of the working folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from orchestrator.cli.elsewhere import command_on_cluster, leave
from orchestrator.cli.typed import arguments_for
from orchestrator.cluster import config, jobs, page, tunnel
from orchestrator.errors import ClusterError, InputError
from orchestrator.spec import Sweep


def run_sweep(context: click.Context, sweep: Sweep, cluster_path: Path, *, detach: bool) -> int:
    """Run `orch sweep` on a cluster; return its exit code."""
    _require_lasting_store(context)
    cluster = config.load(cluster_path)
    follow_command = command_on_cluster("logs", context, cluster_path)
    with tunnel.jobs_of(cluster) as client:
        job = jobs.last(client, sweep.name)
        if job is not None and jobs.is_running(job):
            click.echo(
                f"{sweep.name} already runs on {cluster.name} as {job.submission_id}", err=True
            )
            job_id = job.submission_id
        else:
            job_id = jobs.submit(client, cluster, sweep.name, _arguments(context))
            click.echo(f"{sweep.name} runs on {cluster.name} as {job_id}", err=True)
        if detach:
            click.echo(f"to follow it: {follow_command}", err=True)
            return 0
        return _follow(client, job_id, follow_command)


def _require_lasting_store(context: click.Context) -> None:
    root = context.params["root"]
    is_typed = context.get_parameter_source("root") is ParameterSource.COMMANDLINE
    if is_typed and "://" not in root and not Path(root).is_absolute():
        raise InputError(
            f"--store {root} would be in the cluster's temporary copy of this folder; use an "
            "absolute path or a URI, or omit it to use the cluster's ORCH_STORE"
        )


def run_reader(context: click.Context, sweep: Sweep, cluster_path: Path) -> int:
    """Run a command that only reads, such as `orch status`, on a cluster."""
    cluster = config.load(cluster_path)
    with tunnel.jobs_of(cluster) as client:
        job = jobs.last(client, sweep.name)
        if job is not None:
            click.echo(f"job {job.submission_id}: {job.status.value.lower()}", err=True)
        reader_id = jobs.submit(client, cluster, sweep.name, _arguments(context))
        try:
            return jobs.follow(client, reader_id)
        except KeyboardInterrupt:
            jobs.stop(client, reader_id)
            raise


def watch(context: click.Context, sweep: Sweep, cluster_path: Path, port: int) -> None:
    """Show the page of `orch watch`, which the head serves, at a port of this machine.

    Raises:
        ClusterError: the page has ended.
    """
    _require_lasting_store(context)
    is_typed = context.get_parameter_source("root") is ParameterSource.COMMANDLINE
    options = ["--store", context.params["root"]] if is_typed else []
    text = sweep.source.text if sweep.source else ""
    file = (f"{sweep.name}.yaml", text)
    page.serve_page(config.load(cluster_path), file, options, port, click.echo)


def follow_sweep(context: click.Context, sweep: Sweep, cluster_path: Path) -> int:
    """Print the output of the newest job of a sweep, from its start until it ends."""
    cluster = config.load(cluster_path)
    with tunnel.jobs_of(cluster) as client:
        job = jobs.last(client, sweep.name)
        if job is None:
            start = command_on_cluster("sweep", context, cluster_path)
            raise InputError(f"no job of `{sweep.name}` on {cluster.name}; `{start}` starts one")
        follow_command = command_on_cluster("logs", context, cluster_path)
        return _follow(client, job.submission_id, follow_command)


def _follow(client: Any, job_id: str, follow_command: str) -> int:
    """Follow a job; Ctrl-C leaves it running, unless the user chooses to stop it."""
    try:
        return jobs.follow(client, job_id)
    except ClusterError as error:
        raise ClusterError(
            f"{error}; the sweep continues; to follow it: {follow_command}"
        ) from None
    except KeyboardInterrupt:
        return leave(lambda: jobs.stop(client, job_id), follow_command)


def _arguments(context: click.Context) -> list[str]:
    """Return the command's arguments for the cluster, without those that select it."""
    file = jobs.in_working_folder(context.params["file"])
    return arguments_for(context, file=file, cluster=None, detach=None)
