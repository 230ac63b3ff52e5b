"""Runs sweeps as jobs on a cluster's head: submits, finds, follows and stops them."""

from __future__ import annotations

import asyncio
import secrets
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import click
import requests

from orchestrator.cluster.config import ENVIRONMENT, Cluster
from orchestrator.errors import ClusterError, InputError

RUNNING = ("PENDING", "RUNNING")
RUNS = ("sweep", "decide")
"""The commands that run a sweep; others of the same sweep only read."""


def in_working_folder(file: Path) -> str:
    """Return a file's path in the working folder, which is copied to the cluster.

    Raises:
        InputError: the file is outside the working folder.
    """
    try:
        return file.absolute().relative_to(Path.cwd()).as_posix()
    except ValueError:
        raise InputError(
            f"{file} is outside the working folder {Path.cwd()}, the only one that is copied to "
            "the cluster; move the file there"
        ) from None


def submit(client: Any, cluster: Cluster, sweep: str, arguments: Sequence[str]) -> str:
    """Submit an `orch` command with a copy of the working folder; return the job's id.

    Args:
        client: client of the cluster's job API.
        cluster: the cluster that runs the job.
        sweep: the sweep's name, by which `last` finds the job.
        arguments: the arguments of `orch`.

    Raises:
        ClusterError: the copy is too large, or the head refused the job.
    """
    command = f". {ENVIRONMENT} && exec python -m orchestrator {shlex.join(arguments)}"
    folder = {"working_dir": str(Path.cwd()), "excludes": cluster.config.get("rsync_exclude", [])}
    try:
        return str(
            client.submit_job(
                entrypoint=f"bash -c {shlex.quote(command)}",
                submission_id=f"{sweep}-{secrets.token_hex(4)}",
                metadata={"sweep": sweep, "command": arguments[0]},
                runtime_env=folder,
            )
        )
    except (RuntimeError, ValueError) as error:
        raise ClusterError(
            f"the cluster did not accept the job: {error}; if the working folder is too large, "
            f"list what the cluster does not need under `rsync_exclude` in {cluster.path}"
        ) from None


def last(client: Any, sweep: str) -> Any | None:
    """Return the newest job that runs or ran a sweep, if there is one."""
    jobs = [
        job
        for job in client.list_jobs()
        if job.submission_id and (job.metadata or {}).get("sweep") == sweep
        and (job.metadata or {}).get("command") in RUNS
    ]  # fmt: skip
    return max(jobs, key=lambda job: job.start_time or 0, default=None)


def is_running(job: Any) -> bool:
    """Whether a job has not ended."""
    return job.status.value in RUNNING


def follow(client: Any, job_id: str) -> int:
    """Print a job's output until it ends; return its exit code.

    Raises:
        ClusterError: the connection is lost; the job continues.
    """
    try:
        asyncio.run(_print(client, job_id))
        job = client.get_job_info(job_id)
    except (RuntimeError, aiohttp.ClientError, requests.RequestException) as error:
        raise ClusterError(f"the connection to the cluster is lost ({error})") from None
    if job.driver_exit_code is not None:
        return int(job.driver_exit_code)
    if job.status.value == "SUCCEEDED":
        return 0
    click.echo(f"error: job {job_id} ended: {job.message or job.status.value}", err=True)
    return 1


async def _print(client: Any, job_id: str) -> None:
    async for text in client.tail_job_logs(job_id):
        sys.stdout.write(text)
        sys.stdout.flush()


def stop(client: Any, job_id: str) -> None:
    """Stop a job, as `kill` does."""
    client.stop_job(job_id)
