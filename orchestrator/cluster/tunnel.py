"""Connects to a cluster's job API on its dashboard, through an SSH tunnel."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from orchestrator.cluster.config import Cluster
from orchestrator.cluster.launcher import connected
from orchestrator.errors import ClusterError

OPEN_SECONDS = 60


@contextlib.contextmanager
def jobs_of(cluster: Cluster) -> Iterator[Any]:
    """Open a client of the job API for the block.

    Raises:
        ClusterError: the job API is unreachable.
    """
    os.environ["RAY_AUTH_MODE"] = "token"  # read when the client is imported
    port = _free_port()
    arguments = ("dashboard", str(cluster.path), "--port", str(port))
    with connected(cluster, *arguments, output=subprocess.DEVNULL) as ssh:
        yield _client(cluster, port, ssh)


def _client(cluster: Cluster, port: int, ssh: subprocess.Popen[str]) -> Any:
    import requests
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    for handler in logging.getLogger("ray").handlers:
        handler.setLevel(logging.WARNING)  # Ray's loggers set their own levels
    deadline = time.monotonic() + OPEN_SECONDS
    problem: Exception | str = "SSH cannot reach the head"
    while ssh.poll() is None and time.monotonic() < deadline:
        try:
            return JobSubmissionClient(f"http://127.0.0.1:{port}")
        except (ConnectionError, requests.ConnectionError) as error:
            problem = error
            time.sleep(0.3)
        except (RuntimeError, AuthenticationError) as error:
            problem = error
            break
    raise ClusterError(
        f"the job API of {cluster.path} cannot be reached ({_first_line(problem)}); "
        f"`orch cluster status {cluster.path}` shows whether it is up"
    )


def _first_line(problem: Exception | str) -> str:
    return (str(problem).strip().splitlines() or ["no reason given"])[0]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
