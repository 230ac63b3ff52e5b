"""A worker's warm process: it imports the trainable once, and is forked for every trial.

Run as ``python -m orchestrator.running.processes.warm CONTROL RUNS FOLDER``, where CONTROL is
the descriptor of a socket to the worker, and RUNS a trainable's name or a program as JSON. It is
never forked from the worker itself, whose threads are Ray's.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import threading
from io import RawIOBase
from multiprocessing import util
from multiprocessing.connection import Connection

from orchestrator.code import Archive, Trainable
from orchestrator.code.recorder import Recorder
from orchestrator.errors import EditedError, TrainableError
from orchestrator.running.processes import child
from orchestrator.running.processes.descendants import (
    become_subreaper,
    die_with_parent,
    kill_descendants,
)
from orchestrator.running.processes.seeding import Seeding
from orchestrator.running.runnable import runnable

SUBMODULES = ("torch._dynamo",)
"""What packages import on first use, which would cost each trial seconds: imported here, if the
trainable's own import has loaded their package.

The first optimizer of a process imports torch._dynamo, which takes nearly as long as torch. For a
trainable that has an optimizer the first trial is not later for it: that import is done before the
fork instead of after.
"""
SIZE_BYTES = 8
"""Of the number that says how long the run's code is, which comes before all else."""
FORK, HERE, STOP = b"f", b"h", b"s"
"""What the worker asks: a trial in a forked process, one in this very process, its end."""


def main() -> None:
    """Import the trainable, then run trials until the worker is gone."""
    control = socket.socket(fileno=int(sys.argv[1]))
    runs, folder = sys.argv[2:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the driver, which ends workers
    become_subreaper()
    recorder = Recorder.install(folder, _archive(control))
    seeding = Seeding.install()
    try:
        trainable = runnable(runs, folder, recorder)
        recorder.require_unedited()
    except (TrainableError, EditedError) as error:
        edited = recorder.edited
        _answer(control, "edited" if edited else "broken", str(edited or error))
        return
    _preload()
    gc.freeze()  # else a trial's garbage collector writes to, and so copies, all that is shared
    _answer(control, "ready", _why_not_to_fork())
    while request := _request(control):
        here, connection, output = request
        if here:
            child.run(Connection(connection), output, trainable, seeding, recorder)
        _run_trial(control, connection, output, trainable, seeding, recorder)
    # What `multiprocessing` does at an exit would wait for processes that an import has started.
    atexit.unregister(util._exit_function)  # type: ignore[attr-defined]
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()
    os._exit(0)  # the rest of torch's teardown takes seconds


def _archive(control: socket.socket) -> Archive | None:
    """Receive the run's code, which the worker sends first."""
    with control.makefile("rb", buffering=0) as stream:
        size = int.from_bytes(_receive(stream, SIZE_BYTES))
        return Archive.read(_receive(stream, size) or None)


def _receive(stream: RawIOBase, size: int) -> bytes:
    data = b""
    while len(data) < size and (part := stream.read(size - len(data))):
        data += part
    return data


def _preload() -> None:
    for name in SUBMODULES:
        if name.partition(".")[0] in sys.modules:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)


def _why_not_to_fork() -> str | None:
    """Name what a forked process would lack: threads, or a GPU's context."""
    threads = [t.name for t in threading.enumerate() if t is not threading.main_thread()]
    if threads:
        return f"its import starts threads ({', '.join(threads)})"
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return "its import initialises CUDA"
    return None


def _answer(control: socket.socket, kind: str, detail: object) -> None:
    control.sendall(json.dumps([kind, detail]).encode() + b"\n")


def _request(control: socket.socket) -> tuple[bool, int, int] | None:
    """Wait for a trial: whether it runs in this very process, and its descriptors.

    Returns:
        None once the worker is gone.
    """
    while True:
        word, descriptors, _, _ = socket.recv_fds(control, 1, 2)
        if word != STOP:  # which has crossed with the end of the trial before
            return (word == HERE, descriptors[0], descriptors[1]) if word else None


def _run_trial(
    control: socket.socket,
    connection: int,
    output: int,
    trainable: Trainable,
    seeding: Seeding,
    recorder: Recorder,
) -> None:
    """Fork the process of one trial; wait for its end, or end it when the worker says so."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        die_with_parent()
        control.close()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        child.leave_exit_functions_to_parent()
        child.run(Connection(connection), output, trainable, seeding, recorder)
    os.close(connection)
    os.close(output)
    ending = _wait(control, pid)
    kill_descendants()
    _answer(control, "ended", ending)


def _wait(control: socket.socket, pid: int) -> tuple[int, int]:
    """Wait until a trial's process ends, or the worker asks for its end or is gone itself.

    Returns:
        Its exit code, and the most memory that it had, in bytes.
    """
    handle = os.pidfd_open(pid)
    try:
        ready, _, _ = select.select([handle, control.fileno()], [], [])
    finally:
        os.close(handle)
    if control.fileno() in ready:
        control.recv(1)
        os.kill(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024


if __name__ == "__main__":
    main()
