"""Commands that are carried out on a cluster, with a copy of this working folder."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from orchestrator.cluster import config, jobs, tunnel
from orchestrator.errors import ClusterError, InputError
from orchestrator.spec.model import Sweep


def run_there(file: Path, sweep: Sweep, cluster_path: Path, *, detach: bool) -> int:
    """Run this very command on a cluster; return its exit code."""
    _require_lasting_store()
    there = config.load(cluster_path)
    with tunnel.jobs_of(there) as client:
        job = jobs.last(client, sweep.name)
        if job is not None and jobs.is_running(job):
            click.echo(f"{sweep.name} runs there already, as {job.submission_id}", err=True)
            job_id = job.submission_id
        else:
            job_id = jobs.submit(client, there, sweep.name, _arguments(file))
            click.echo(f"{sweep.name} runs on {there.name} as {job_id}", err=True)
        if detach:
            click.echo(f"follow it with: {_logs(file, cluster_path)}", err=True)
            return 0
        return _follow(client, job_id, _logs(file, cluster_path))


def _require_lasting_store() -> None:
    context = click.get_current_context()
    root = context.params["root"]
    given = context.get_parameter_source("root") is ParameterSource.COMMANDLINE
    if given and "://" not in root and not Path(root).is_absolute():
        raise InputError(
            f"--store {root} would lie in the cluster's copy of this folder, which does not "
            "last; give an absolute path or a URI, or leave it to the cluster's ORCH_STORE"
        )


def ask_there(file: Path, sweep: Sweep, cluster_path: Path) -> int:
    """Run a command that only looks, such as `orch status`, on a cluster."""
    there = config.load(cluster_path)
    with tunnel.jobs_of(there) as client:
        job = jobs.last(client, sweep.name)
        if job is not None:
            click.echo(f"job {job.submission_id}: {job.status.value.lower()}", err=True)
        asking = jobs.submit(client, there, sweep.name, _arguments(file))
        try:
            return jobs.follow(client, asking)
        except KeyboardInterrupt:
            jobs.stop(client, asking)
            raise


def follow_there(file: Path, sweep: Sweep, cluster_path: Path) -> int:
    """Print what the newest job of a sweep has printed, and go on while it runs."""
    there = config.load(cluster_path)
    with tunnel.jobs_of(there) as client:
        job = jobs.last(client, sweep.name)
        if job is None:
            raise InputError(f"no job of `{sweep.name}` on {there.name}; `orch sweep` starts one")
        return _follow(client, job.submission_id, _logs(file, cluster_path))


def _follow(client: Any, job_id: str, again: str) -> int:
    """Follow a job; Ctrl-C leaves it running, unless the answer is to stop it."""
    try:
        return jobs.follow(client, job_id)
    except ClusterError as error:
        raise ClusterError(
            f"{error}; the sweep goes on there, and this follows it: {again}"
        ) from None
    except KeyboardInterrupt:
        if sys.stdin.isatty() and click.confirm("\nstop the sweep on the cluster, too?", err=True):
            jobs.stop(client, job_id)
            click.echo("stopped; what is finished is kept", err=True)
        else:
            click.echo(f"\nit goes on there, and this follows it: {again}", err=True)
        return 130


def _logs(file: Path, cluster_path: Path) -> str:
    return shlex.join(["orch", "logs", str(file), "--cluster", str(cluster_path)])


def _arguments(file: Path) -> list[str]:
    """Take over the command line, but for what is about the way there."""
    arguments: list[str] = []
    words = iter(sys.argv[1:])
    for word in words:
        if word == "--cluster":
            next(words)
        elif Path(word) == file:
            arguments.append(jobs.in_working_folder(file))
        elif word != "--detach" and not word.startswith("--cluster="):
            arguments.append(word)
    return arguments
