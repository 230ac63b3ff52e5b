"""Log files of trials: appended to on a disk; gathered here and put whole into a bucket."""

from __future__ import annotations

import threading
import time

from orchestrator.errors import StoreError
from orchestrator.store.files import Files

PAUSE = 5.0
"""Seconds between two writes of one log to a bucket, within which its lines wait."""
_SHARE = 0.05
"""Of its trial's time, how much writing a log may cost."""
LIMIT = 1 << 22
"""Characters of a log that are kept in a bucket: its begin and, twice as much, its end."""


class Logs:
    """The logs that one process writes, of one trial after another."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._lock = threading.RLock()
        self._name = ""
        self._text = ""
        self._waiting = False
        self._due = 0.0
        self._timer: threading.Timer | None = None

    def add(self, name: str, text: str) -> None:
        """Add text to a log; in a bucket it stands a few seconds later at the latest."""
        if self._files.local is not None:
            self._files.append(name, text)
            return
        with self._lock:
            if name != self._name:
                self.flush()
                self._name, self._due = name, 0.0
                self._text = (self._files.read(name) or b"").decode(errors="replace")
            self._text = _shortened(self._text + text)
            self._waiting = True
            if time.monotonic() >= self._due:
                self.flush()
            elif self._timer is None:
                self._timer = threading.Timer(self._due - time.monotonic(), self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Write what waits now."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if not self._waiting:
                return
            begun = time.monotonic()
            try:
                self._files.write(self._name, self._text.encode())
                self._waiting = False
            except StoreError:  # the lines go with the next ones; trials do not fail for them
                pass
            now = time.monotonic()
            self._due = now + max(PAUSE, (now - begun) / _SHARE)


def _shortened(text: str) -> str:
    if len(text) <= LIMIT:
        return text
    return f"{text[: LIMIT // 4]}\n[… left out …]\n{text[-LIMIT // 2 :]}"
