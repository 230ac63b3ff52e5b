"""Serves the page of `orch watch` on a cluster's head, and brings it to this machine by SSH."""

from __future__ import annotations

import base64
import re
import shlex
import subprocess
from collections import deque
from collections.abc import Callable, Sequence

from orchestrator.cluster.config import Cluster
from orchestrator.cluster.launcher import connected, in_working_copy
from orchestrator.errors import ClusterError

_FOLDER = "~/.orch/watched"
"""On the head: the sweep files that are watched, which may be newer than its working copy."""
_SHOWN_LINES = 5


def serve_page(
    cluster: Cluster,
    file: tuple[str, str],
    options: Sequence[str],
    port: int,
    show: Callable[[str], object],
) -> None:
    """Serve the page until the connection ends, on the same port here and on the head.

    The token goes through SSH alone, and the page ends with the connection.

    Args:
        cluster: the cluster.
        file: the sweep file's name, and its whole text.
        options: further options of `orch watch` on the head.
        port: a port that is free here.
        show: takes the page's address.

    Raises:
        ClusterError: always, unless it is interrupted; the message has the end of the output.
    """
    name, text = file
    path = f"{_FOLDER}/{name}"  # not quoted, so that the shell puts the home folder in
    command = in_working_copy(
        f"mkdir -p {_FOLDER} && base64 -d <<< {base64.b64encode(text.encode()).decode()} > {path} "
        f"&& exec python -m orchestrator watch {path} --port {port} {shlex.join(options)}"
    )
    arguments = ("exec", str(cluster.path), command, "--port-forward", str(port))
    last: deque[str] = deque(maxlen=_SHOWN_LINES)
    with connected(cluster, *arguments, output=subprocess.PIPE) as ssh:
        for line in ssh.stdout or ():
            last.append(f"  {line.rstrip()}")
            if found := re.search(rf"http://127\.0\.0\.1:{port}/\S+", line):
                show(found[0])
    ended = "\n".join(last)
    raise ClusterError(f"the page on the head of {cluster.path} has ended:\n{ended}")
