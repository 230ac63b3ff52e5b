"""Finds and ends the processes that a process has started, and those that these have."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PAUSE = 0.005


def become_subreaper() -> None:
    """Let orphans among the descendants become children of this process; on Linux only."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


@contextlib.contextmanager
def subreaping() -> Iterator[None]:
    """Be a subreaper while the block runs, in a process that also has to do with other things."""
    become_subreaper()
    try:
        yield
    finally:
        _prctl(_PR_SET_CHILD_SUBREAPER, 0)


def die_with_parent() -> None:
    """End this process when its parent does; on Linux only."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def children() -> frozenset[int]:
    """List the processes whose parent is this one; none but on Linux."""
    return frozenset(_processes()[0].get(os.getpid(), ()))


def kill_descendants(spared: Collection[int] = ()) -> None:
    """End the descendants of this process, and wait for them; on Linux only.

    Args:
        spared: children to leave alone, with what is below them.
    """
    while living := list(_living_descendants(spared)):
        for pid in living:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_PAUSE)
    # Orphans that have ended are this process's own to reap.
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _living_descendants(spared: Collection[int]) -> Iterator[int]:
    below, states = _processes()
    waiting = [pid for pid in below.get(os.getpid(), ()) if pid not in spared]
    while waiting:
        pid = waiting.pop()
        waiting += below.get(pid, [])
        if states[pid] != "Z":
            yield pid


def _processes() -> tuple[dict[int, list[int]], dict[int, str]]:
    """List all processes by their parent, and their states."""
    below: dict[int, list[int]] = {}
    states: dict[int, str] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            # The name is in parentheses, and may hold spaces and parentheses itself.
            state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            states[int(entry.name)] = state
            below.setdefault(int(parent), []).append(int(entry.name))
    return below, states
