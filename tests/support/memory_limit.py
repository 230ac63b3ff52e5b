"""A group of processes that the kernel kills where they need more memory than it allows."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path("/sys/fs/cgroup")
_KINDS = {
    _ROOT / "memory": "memory.limit_in_bytes",  # version 1
    _ROOT: "memory.max",  # version 2
}


@contextlib.contextmanager
def limited(count: int) -> Iterator[Path]:
    """Make a control group; a process joins it by writing its id to the file that this yields.

    Args:
        count: the memory that the group may have, in bytes.
    """
    for root, limit in _KINDS.items():
        group = root / f"orch-test-{os.getpid()}"
        with contextlib.suppress(OSError):
            group.mkdir()
        if (group / limit).exists():
            break
        with contextlib.suppress(OSError):
            group.rmdir()
    else:
        pytest.skip("needs control groups for memory, and the right to make one (root on Linux)")
    try:
        (group / limit).write_text(str(count))
        yield group / "cgroup.procs"
    finally:
        group.rmdir()
