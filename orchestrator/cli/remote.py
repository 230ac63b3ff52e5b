"""Commands that are carried out on a cluster, with a copy of this working folder."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from orchestrator.cli.typed import words_for
from orchestrator.cluster import config, jobs, tunnel
from orchestrator.errors import ClusterError, InputError
from orchestrator.spec import Sweep


def run_there(context: click.Context, sweep: Sweep, cluster_path: Path, *, detach: bool) -> int:
    """Run a command on a cluster; return its exit code."""
    _require_lasting_store(context)
    there = config.load(cluster_path)
    follow = _follow_command(context, cluster_path)
    with tunnel.jobs_of(there) as client:
        job = jobs.last(client, sweep.name)
        if job is not None and jobs.is_running(job):
            click.echo(f"{sweep.name} runs there already, as {job.submission_id}", err=True)
            job_id = job.submission_id
        else:
            job_id = jobs.submit(client, there, sweep.name, _words(context))
            click.echo(f"{sweep.name} runs on {there.name} as {job_id}", err=True)
        if detach:
            click.echo(f"follow it with: {follow}", err=True)
            return 0
        return _follow(client, job_id, follow)


def _require_lasting_store(context: click.Context) -> None:
    root = context.params["root"]
    given = context.get_parameter_source("root") is ParameterSource.COMMANDLINE
    if given and "://" not in root and not Path(root).is_absolute():
        raise InputError(
            f"--store {root} would lie in the cluster's copy of this folder, which does not "
            "last; give an absolute path or a URI, or leave it to the cluster's ORCH_STORE"
        )


def ask_there(context: click.Context, sweep: Sweep, cluster_path: Path) -> int:
    """Run a command that only reads, such as `orch status`, on a cluster."""
    there = config.load(cluster_path)
    with tunnel.jobs_of(there) as client:
        job = jobs.last(client, sweep.name)
        if job is not None:
            click.echo(f"job {job.submission_id}: {job.status.value.lower()}", err=True)
        reading = jobs.submit(client, there, sweep.name, _words(context))
        try:
            return jobs.follow(client, reading)
        except KeyboardInterrupt:
            jobs.stop(client, reading)
            raise


def follow_there(context: click.Context, sweep: Sweep, cluster_path: Path) -> int:
    """Print what the newest job of a sweep has printed, and go on while it runs."""
    there = config.load(cluster_path)
    with tunnel.jobs_of(there) as client:
        job = jobs.last(client, sweep.name)
        if job is None:
            raise InputError(f"no job of `{sweep.name}` on {there.name}; `orch sweep` starts one")
        return _follow(client, job.submission_id, _follow_command(context, cluster_path))


def _follow(client: Any, job_id: str, follow: str) -> int:
    """Follow a job; Ctrl-C leaves it running, unless the user answers that it shall stop."""
    try:
        return jobs.follow(client, job_id)
    except ClusterError as error:
        raise ClusterError(f"{error}; the sweep continues there; to follow it: {follow}") from None
    except KeyboardInterrupt:
        if sys.stdin.isatty() and click.confirm("\nstop the sweep on the cluster, too?", err=True):
            jobs.stop(client, job_id)
            click.echo("stopped; what is finished is kept", err=True)
        else:
            click.echo(f"\nit continues there; to follow it: {follow}", err=True)
        return 130


def _follow_command(context: click.Context, cluster_path: Path) -> str:
    return shlex.join(["orch", "logs", str(context.params["file"]), "--cluster", str(cluster_path)])


def _words(context: click.Context) -> list[str]:
    """Write the command for the cluster, without what is about the way there."""
    file = jobs.in_working_folder(context.params["file"])
    return words_for(context, file=file, cluster=None, detach=None)
