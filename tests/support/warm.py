"""The `orch` command in processes forked from one that has imported it, Ray included.

Each is a process as any other, with its own folder, environment, output and end. Only its imports,
which take most of the CPU time of a command that joins a Ray cluster, have been made before.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import IO, NoReturn

REQUEST_BYTES = 1 << 18
"""More than any command with its environment takes."""


class Forked:
    """A running command, with what tests use of `subprocess.Popen`."""

    def __init__(self, status: IO[str]) -> None:
        self._status = status
        self.pid = int(status.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        if self.returncode is None and wait([self._status], 0):
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, and return the exit code, which is negative for a signal."""
        if self.returncode is None:
            if not wait([self._status], timeout):
                raise subprocess.TimeoutExpired("orch", timeout or 0)
            with self._status:
                self.returncode = int(self._status.readline())
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it, unless it has ended."""
        self.send_signal(signal.SIGKILL)


def start(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    out: IO[str],
    err: IO[str],
) -> Forked:
    """Start `orch` without waiting for it.

    Args:
        arguments: what is typed after `orch`.
        folder: where it is typed.
        environment: all environment variables.
        out: takes its output.
        err: takes its errors.
    """
    reading, writing = os.pipe()
    request = json.dumps([list(arguments), str(folder), dict(environment)]).encode()
    socket.send_fds(_server(), [request], [writing, out.fileno(), err.fileno()])
    os.close(writing)
    return Forked(os.fdopen(reading))


@functools.cache
def _server() -> socket.socket:
    """Start, once, the process that is forked for every command."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environment = {n: v for n, v in os.environ.items() if not n.startswith("RAY_")}
    with theirs:
        process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env=environment | {"RAY_ADDRESS": "none yet", "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def serve(control: socket.socket) -> None:
    """Import what commands do, and fork for each until the tests are over.

    Raises:
        SystemExit: in a forked process, at the end of its command.
    """
    from orchestrator.running.runners import ray_settings

    ray_settings.apply()  # before Ray is imported, as the command does
    for name in ("__main__", "pilot.on_ray", "running.runners.tune"):
        importlib.import_module(f"orchestrator.{name}")
    gc.freeze()
    while True:
        request, descriptors, *_ = socket.recv_fds(control, REQUEST_BYTES, 3)
        if not request:
            return
        if os.fork() == 0:
            control.close()
            _keep(request, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _keep(request: bytes, status: int, out: int, err: int) -> None:
    """Run a command in a process of its own; tell its id, and then its exit code."""
    pid = os.fork()
    if pid == 0:
        os.close(status)
        _run(*json.loads(request), out, err)
    os.close(out)
    os.close(err)
    os.write(status, f"{pid}\n".encode())
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with contextlib.suppress(BrokenPipeError):
        os.write(status, f"{code}\n".encode())
    os._exit(0)


def _run(
    arguments: list[str], folder: str, environment: dict[str, str], out: int, err: int
) -> NoReturn:
    """Be `python -m orchestrator`."""
    for descriptor, standard in ((out, 1), (err, 2)):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["orch", *arguments]
    sys.path.insert(0, folder)

    from orchestrator.__main__ import run

    run()
    sys.exit()


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as given:
        sys.path.pop(0)  # the folder of this file
        serve(given)
