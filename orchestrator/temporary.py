"""Temporary folders, which end with their process, or if that is killed, at the next start."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

_LONGEST = 40
"""Characters of a folder in which Ray can make its sockets: they take 63, and may have 107."""


def temporary(kind: str, *, short: bool = False) -> tempfile.TemporaryDirectory[str]:
    """Make a folder that is deleted at the end of its block, or by `cleanup`.

    Args:
        kind: what it is for.
        short: make it in ``/tmp`` if its name would be too long for sockets elsewhere.
    """
    prefix = f"orch-{kind}-{_machine()}-{os.getpid()}-"
    is_long = short and len(tempfile.gettempdir()) + len(prefix) + 9 > _LONGEST
    return tempfile.TemporaryDirectory(prefix=prefix, dir="/tmp" if is_long else None)  # noqa: S108


@contextlib.contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """Write a folder aside, and put it in the place of an earlier one when the block ends.

    Raises:
        OSError: it cannot be written.
    """
    folder = folder.resolve()  # `.` has no name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as aside:
        new = Path(aside, folder.name)
        new.mkdir()
        yield new
        if folder.exists():
            folder.rename(Path(aside, "old"))
        new.rename(folder)


def clear_abandoned() -> None:
    """Delete the folders of this user's processes on this machine that were killed."""
    name = re.compile(rf"orch-[a-z]+-{_machine()}-(\d+)-\w+")
    for root in {tempfile.gettempdir(), "/tmp"}:  # noqa: S108
        with contextlib.suppress(OSError):
            for entry in os.scandir(root):
                found = name.fullmatch(entry.name)
                if found and _is_gone(int(found[1])) and _is_own(entry):
                    shutil.rmtree(entry.path, ignore_errors=True)


def _machine() -> str:
    """Tell the processes that this one can see from those that only share the disk."""
    space = Path("/proc/self/ns/pid")
    parts = (socket.gethostname(), str(space.readlink()) if space.is_symlink() else "")
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:4]


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _is_own(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False) and entry.stat().st_uid == os.getuid()
