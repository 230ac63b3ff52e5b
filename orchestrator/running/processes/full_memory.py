"""What the kernel's OOM killer has done."""

from __future__ import annotations

from pathlib import Path

_COUNTERS = Path("/proc/vmstat")


def killed_by_kernel() -> int:
    """Count the processes that the kernel has killed for memory since it started.

    Containers with a limit of their own count; 0 but on Linux.
    """
    try:
        lines = _COUNTERS.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))
