"""What a driver asks of the trials that run, on whichever node: to save."""

from __future__ import annotations

import contextlib
import secrets
import time
from dataclasses import dataclass, field

from ray.exceptions import RpcError
from ray.experimental import internal_kv

_PAUSE = 1.0
"""Seconds between two looks."""


@dataclass
class SaveRequest:
    """A key in the store of Ray's head, which the driver writes and every worker looks for."""

    key: str = field(default_factory=lambda: f"orch-save-{secrets.token_hex(8)}")
    _is_made: bool = False
    _looks_at: float = 0.0

    def make(self) -> None:
        """Ask all trials of the run to save."""
        if not self._is_made:
            internal_kv._internal_kv_put(self.key, b"")
            self._is_made = True

    def is_made(self) -> bool:
        """Tell whether the driver has asked, as of about a second ago."""
        if not self._is_made and time.monotonic() >= self._looks_at:
            with contextlib.suppress(RpcError):  # without its head, the run ends
                self._is_made = internal_kv._internal_kv_exists(self.key)
            self._looks_at = time.monotonic() + _PAUSE
        return self._is_made
