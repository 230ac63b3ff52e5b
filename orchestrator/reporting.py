"""`orchestrator.report`, by which a script hands over an epoch, from any of its processes.

A message is JSON and a line break, written to the named pipe that the environment names. Scripts
import this beside whatever they train with, so it needs the standard library alone.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.metrics import leaves, number

PIPE = "ORCH_REPORT"
"""The environment variable with the path of the named pipe, which lies in a folder of its own."""

_in_process: Callable[[Mapping[str, Any]], object] | None = None


def report(metrics: Mapping[str, Any] | None = None, /, **more: Any) -> None:
    """Hand over an epoch of the trial that this process belongs to; nothing outside a trial.

    A script calls it in any thread, and in any process that it starts:
    ``orchestrator.report(accuracy=0.9, train={"loss": 0.1}, step=1000)``.

    Args:
        metrics: numbers (of Python, numpy or torch), booleans or None by name; a mapping inside
            becomes ``a/b``, and ``step`` is a counter of the script's own.
        more: further ones.

    Raises:
        TypeError: a value is none of these.
        ValueError: two metrics have one name.
        RuntimeError: the trial has ended before this process.
    """
    given = {} if metrics is None else metrics
    if not isinstance(given, Mapping):
        kind = type(given).__name__
        raise TypeError(f"orchestrator.report takes a mapping of metrics, not {kind}")
    if _in_process is not None:
        _in_process({**given, **more})
    elif path := os.environ.get(PIPE):
        _send(Path(path), json.dumps(_plain({**given, **more})).encode() + b"\n")


@contextmanager
def reports_to(taker: Callable[[Mapping[str, Any]], object]) -> Iterator[None]:
    """Let the trial that runs in this process itself take what is reported, as it is given."""
    global _in_process
    before, _in_process = _in_process, taker
    try:
        yield
    finally:
        _in_process = before


def _plain(metrics: Mapping[str, Any]) -> dict[str, float | None]:
    plain: dict[str, float | None] = {}
    for name, value in leaves(metrics):
        if name in plain:
            raise ValueError(f"orchestrator.report was given two metrics named `{name}`")
        plain[name] = number(name, value, given_by="orchestrator.report was given")
    return plain


def _send(pipe: Path, message: bytes) -> None:
    """Write a message as a whole: a pipe keeps only short ones apart by itself."""
    try:
        with _locked(pipe.parent):
            # Opened so that it fails where nobody reads, and written so that a full pipe waits.
            descriptor = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            os.set_blocking(descriptor, True)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(message)
    except OSError as error:
        raise RuntimeError(
            f"orchestrator.report: nobody reads {pipe} any more ({error.strerror}), since the "
            "trial of this process has ended; let the script wait for what it starts"
        ) from None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # a process forked meanwhile has the lock as well
        os.close(descriptor)
