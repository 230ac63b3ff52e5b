"""Epochs that a program hands over by `orchestrator.report`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from orchestrator.errors import TrialError
from orchestrator.reporting import PIPE
from orchestrator.running.processes.lines import CHUNK
from orchestrator.running.programs import Epoch, Source
from orchestrator.running.programs.epochs import shown
from orchestrator.temporary import temporary


class Reports(Source):
    """Reads a named pipe, in a private folder, which the program finds by its environment.

    Args:
        say: takes a line for the trial's log.
    """

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._said = False
        self._rest = b""
        self._folder = temporary("report")
        self._pipe = Path(self._folder.name, "pipe")
        os.mkfifo(self._pipe, 0o600)
        # Open for writing as well, so that the pipe does not end when a writer closes it.
        self._descriptor = os.open(self._pipe, os.O_RDWR | os.O_NONBLOCK)

    @property
    def environment(self) -> dict[str, str]:
        """What the program's environment needs."""
        return {PIPE: str(self._pipe)}

    def fileno(self) -> int:
        """Return the descriptor that is ready to read when there are reports."""
        return self._descriptor

    def poll(self) -> Iterator[Epoch]:
        """Read what was reported since.

        Raises:
            TrialError: something else has written to the pipe.
        """
        for message in self._messages():
            try:
                yield json.loads(message)
            except ValueError:
                text = message.decode(errors="backslashreplace")
                raise TrialError(
                    f"{shown(text)} came through {PIPE}, where only orchestrator.report may "
                    "write; was a process killed while it reported?"
                ) from None

    def end(self) -> Iterator[Epoch]:
        """Read what is left."""
        return self.poll()

    def discard(self) -> None:
        """Drop what was reported since, and say so once: `metrics` in the sweep file counts."""
        messages = list(self._messages())
        if messages and not self._said:
            self._said = True
            self._say(
                "calls of orchestrator.report are ignored, since the sweep file has `metrics`; "
                "without that key they count"
            )

    def nothing(self) -> str:
        """Say that nothing was reported."""
        return (
            "the program never called orchestrator.report, and the sweep file has no `metrics` "
            "that would say what of its output are epochs"
        )

    def close(self) -> None:
        """Remove the pipe; who reports from now on gets an error."""
        os.close(self._descriptor)
        self._folder.cleanup()

    def _messages(self) -> Iterator[bytes]:
        with suppress(BlockingIOError):
            while True:
                *messages, self._rest = (self._rest + os.read(self._descriptor, CHUNK)).split(b"\n")
                yield from messages
