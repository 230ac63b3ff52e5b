"""Calls Ray's launcher: `ray up`, `ray exec`, `ray down` and `ray get-auth-token`."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from orchestrator.cluster.config import ENVIRONMENT, TOKEN, WORKING_COPY, Cluster
from orchestrator.errors import ClusterError

_SHOWN_LINES = 12


def require_token() -> None:
    """Create the cluster's token, if there is none, readable by its owner alone."""
    path = Path(TOKEN).expanduser()
    if not path.exists():
        process = _ray("get-auth-token", "--generate", umask=0o077)
        _require_success(process, "`ray get-auth-token`")
    path.chmod(0o600)


def up(cluster: Cluster) -> None:
    """Start a cluster, or make a running one match its file.

    Raises:
        ClusterError: the command failed; the message has the end of its output.
    """
    process = _ray("up", "--yes", "--no-config-cache", str(cluster.path), cluster=cluster)
    _require_success(process, f"`ray up {cluster.path}`")


def down(cluster: Cluster) -> None:
    """Stop a cluster.

    Raises:
        ClusterError: the command failed; the message has the end of its output.
    """
    process = _ray("down", "--yes", str(cluster.path), cluster=cluster)
    _require_success(process, f"`ray down {cluster.path}`")


def on_head(cluster: Cluster, command: str) -> subprocess.CompletedProcess[str]:
    """Run a shell command in the working copy on the head."""
    return _ray("exec", str(cluster.path), in_working_copy(command), cluster=cluster)


def in_working_copy(command: str) -> str:
    """Write a shell command that runs another in the working copy on a node."""
    return f". {ENVIRONMENT} && cd {WORKING_COPY} && {command}"


@contextlib.contextmanager
def connected(cluster: Cluster, *arguments: str, output: int) -> Iterator[subprocess.Popen[str]]:
    """Run a command of the launcher's that keeps an SSH connection open, and end it with the block.

    Args:
        cluster: the cluster.
        arguments: of `ray`.
        output: where what it prints goes, as for `subprocess.Popen`.
    """
    ssh = subprocess.Popen(
        command_line(*arguments),
        env=environment(cluster),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # Ctrl-C is handled by this process
    )
    try:
        yield ssh
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(ssh.pid, signal.SIGTERM)
        ssh.wait()


def command_line(*arguments: str) -> list[str]:
    """Return a command line of the `ray` in this Python environment."""
    # -P: a file of the working folder may have the name of a module that it imports.
    return [sys.executable, "-P", "-m", "ray.scripts.scripts", *arguments]


def environment(cluster: Cluster | None) -> dict[str, str]:
    """Return the environment variables for the launcher."""
    settings = {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONWARNINGS": "ignore"}
    if cluster is not None and cluster.on_prem:
        # The newer autoscaler starts only an on-premises cluster's head (ray-project/ray#59905).
        settings["RAY_UP_enable_autoscaler_v2"] = "0"
    return {**os.environ, **settings}


def _ray(
    *arguments: str, cluster: Cluster | None = None, umask: int = -1
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command_line(*arguments),
        env=environment(cluster),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        umask=umask,
        check=False,
    )


def _require_success(process: subprocess.CompletedProcess[str], command: str) -> None:
    if process.returncode == 0:
        return
    with tempfile.NamedTemporaryFile(
        "w", prefix="orch-cluster-", suffix=".log", delete=False
    ) as log:
        log.write(process.stdout)
    last_lines = "\n".join(f"  {line}" for line in process.stdout.splitlines()[-_SHOWN_LINES:])
    raise ClusterError(f"{command} failed; full output in {log.name}:\n{last_lines}")
