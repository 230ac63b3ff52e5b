"""The end of a trial's log, for a browser."""

from __future__ import annotations

from orchestrator.store import Store
from orchestrator.store.names import log_file

_BYTES = 1 << 20


def end_of_log(store: Store, trial_id: str) -> str | None:
    """Read the last MiB of a log, whose name it begins with; None if there is none.

    Raises:
        StoreError: it cannot be read.
    """
    try:
        with store.files.open(log_file(trial_id)) as stream:
            size = stream.size()
            first = max(0, size - _BYTES)
            text = stream.read_at(size - first, first).decode(errors="replace")
    except FileNotFoundError:
        return None
    left_out = f", without its first {first:,} bytes" if first else ""
    return f"{store.log_name(trial_id)}{left_out}\n\n{text}"
