"""Ray's launcher: `ray up`, `ray exec` and `ray down`, with what they lack."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from orchestrator.cluster.config import ENVIRONMENT, TOKEN, WORKING_COPY, Cluster
from orchestrator.errors import ClusterError

SHOWN_LINES = 12


def require_token() -> None:
    """Make the token that opens the cluster, if there is none, readable by its owner alone."""
    path = Path(TOKEN).expanduser()
    if not path.exists():
        made = _ray("get-auth-token", "--generate", umask=0o077)
        _require_done(made, "making the token failed")
    path.chmod(0o600)


def up(cluster: Cluster) -> None:
    """Bring a cluster up, or make a running one match its file.

    Raises:
        ClusterError: Ray could not.
    """
    done = _ray("up", "--yes", "--no-config-cache", str(cluster.path), cluster=cluster)
    _require_done(done, f"`ray up {cluster.path}` failed")


def down(cluster: Cluster) -> None:
    """Take a cluster down.

    Raises:
        ClusterError: Ray could not.
    """
    _require_done(_ray("down", "--yes", str(cluster.path), cluster=cluster), "`ray down` failed")


def on_head(cluster: Cluster, command: str) -> subprocess.CompletedProcess[str]:
    """Run a shell command in the working copy on the head."""
    text = f". {ENVIRONMENT} && cd {WORKING_COPY} && {command}"
    return _ray("exec", str(cluster.path), text, cluster=cluster)


def command_line(*arguments: str) -> list[str]:
    """Name Ray's own command, of the same environment as this one."""
    return [sys.executable, "-m", "ray.scripts.scripts", *arguments]


def environment(cluster: Cluster | None) -> dict[str, str]:
    """Set what the launcher reads."""
    settings = {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONWARNINGS": "ignore"}
    if cluster is not None and cluster.on_prem:
        # The newer autoscaler starts only the head of such a cluster (ray-project/ray#59905).
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


def _require_done(done: subprocess.CompletedProcess[str], complaint: str) -> None:
    if done.returncode == 0:
        return
    with tempfile.NamedTemporaryFile(
        "w", prefix="orch-cluster-", suffix=".log", delete=False
    ) as log:
        log.write(done.stdout)
    last = "\n".join(f"  {line}" for line in done.stdout.splitlines()[-SHOWN_LINES:])
    raise ClusterError(f"{complaint}; the whole of what it said is in {log.name}:\n{last}")
