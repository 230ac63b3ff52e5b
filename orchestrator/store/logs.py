"""Trials' logs: appended to on a disk; buffered here and rewritten whole in a bucket."""

from __future__ import annotations

import threading
import time

from orchestrator.errors import StoreError
from orchestrator.store.files import Files

PAUSE = 5.0
"""Seconds between two writes of a log to a bucket; its lines wait meanwhile."""
_SHARE = 0.05
"""The largest share of a trial's time that writing its log may take."""
LIMIT = 1 << 22
"""Characters of a log to keep in a bucket: its start and, twice as long, its end."""


class Logs:
    """Writes the logs of one process, which runs one trial after another."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._lock = threading.RLock()
        self._name = ""
        self._text = ""
        self._pending = False
        self._due = 0.0
        self._timer: threading.Timer | None = None

    def add(self, name: str, text: str) -> None:
        """Add text to a log; in a bucket it appears within seconds."""
        if self._files.local is not None:
            self._files.append(name, text)
            return
        with self._lock:
            if name != self._name:
                self.flush()
                self._name, self._due = name, 0.0
                self._text = (self._files.read(name) or b"").decode(errors="replace")
            self._text = _shortened(self._text + text)
            self._pending = True
            if time.monotonic() >= self._due:
                self.flush()
            elif self._timer is None:
                self._timer = threading.Timer(self._due - time.monotonic(), self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Write the pending lines now."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if not self._pending:
                return
            started = time.monotonic()
            try:
                self._files.write(self._name, self._text.encode())
                self._pending = False
            except StoreError:  # a trial does not fail for its log; the next write has these lines
                pass
            now = time.monotonic()
            self._due = now + max(PAUSE, (now - started) / _SHARE)


def _shortened(text: str) -> str:
    if len(text) <= LIMIT:
        return text
    return f"{text[: LIMIT // 4]}\n[… left out …]\n{text[-LIMIT // 2 :]}"
