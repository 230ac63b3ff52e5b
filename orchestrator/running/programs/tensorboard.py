"""Epochs as the steps in a folder of TensorBoard's event files."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from orchestrator.running.programs import Epoch, Source
from orchestrator.running.programs.epochs import Epochs
from orchestrator.running.programs.event_file import EventFile

_APART = 10
"""Steps that files of one program may be apart: TensorFlow writes ten scalars at once."""


class TensorBoard(Source):
    """Makes an epoch of the scalars of each step, merged over the files in a folder.

    A file's step is complete when its next one begins, and an epoch when that step is complete in
    every file; but a file that stays behind is not waited for longer than `_APART` steps. What
    was there before is passed over.

    Args:
        folder: has the event files, also in subfolders, whose paths begin the names of their
            scalars; it need not exist yet.
        epochs: makes epochs of scalars.
    """

    def __init__(self, folder: Path, epochs: Epochs) -> None:
        self._folder = folder
        self._epochs = epochs
        self._runs: dict[Path, _Run] = {}
        for path in self._new_files():
            self._runs[path] = _Run(path, self._prefix(path), passed_over=path.stat().st_size)
        self._before = len(self._runs)

    def poll(self) -> Iterator[Epoch]:
        """Read the steps that are complete since.

        Raises:
            TrialError: a file is no event file, or broken.
        """
        return self._read(final=False)

    def end(self) -> Iterator[Epoch]:
        """Read the rest.

        Raises:
            TrialError: a file is no event file, or broken.
        """
        return self._read(final=True)

    def nothing(self) -> str:
        """Say that no file came, or no scalar."""
        expected = f"`metrics` expects scalars in TensorBoard's event files under {self._folder}"
        if len(self._runs) == self._before:
            return f"{expected}, and no file with `tfevents` in its name came there"
        return f"{expected}, and the {len(self._runs) - self._before} that came have none"

    def _new_files(self) -> list[Path]:
        paths = (
            Path(folder, name)
            for folder, _, names in os.walk(self._folder)
            for name in names
            if "tfevents" in name
        )
        return sorted(path for path in paths if path not in self._runs)

    def _prefix(self, path: Path) -> str:
        folder = path.parent.relative_to(self._folder).as_posix()
        return "" if folder == "." else f"{folder}/"

    def _read(self, *, final: bool) -> Iterator[Epoch]:
        for path in self._new_files():
            self._runs[path] = _Run(path, self._prefix(path))
        for run in self._runs.values():
            run.read()
        while waiting := [run.steps for run in self._runs.values() if run.steps]:
            step = min(steps[0][0] for steps in waiting)
            if not final and not self._is_complete(step):
                return
            scalars: dict[str, float] = {}
            for steps in waiting:
                if steps[0][0] == step:
                    scalars |= steps.popleft()[1]
            yield from self._epochs.of(scalars.items(), step)

    def _is_complete(self, step: int) -> bool:
        """Tell whether all files have gone past the lowest step that waits, or one far past it."""
        runs = self._runs.values()
        return all(run.is_past(step) for run in runs) or any(
            len(run.steps) > _APART for run in runs
        )


class _Run:
    """The steps of one file that wait to be handed over."""

    def __init__(self, path: Path, prefix: str, *, passed_over: int = 0) -> None:
        self.steps: deque[tuple[int, dict[str, float]]] = deque()
        # Of a file of before nothing more is expected, and everything of a new one.
        self._latest = math.inf if passed_over else -math.inf
        self._prefix = prefix
        self._file = EventFile(path, passed_over)

    def read(self) -> None:
        """Take the events that came since; those of one step in a row belong together."""
        for step, scalars in self._file.scalars():
            named = {f"{self._prefix}{tag}": number for tag, number in scalars.items()}
            if self.steps and self.steps[-1][0] == step:
                self.steps[-1][1].update(named)
            else:
                self.steps.append((step, named))
            self._latest = step

    def is_past(self, step: int) -> bool:
        """Tell whether no more of a step, the lowest one that waits, is to be expected here."""
        return len(self.steps) > 1 or self._latest > step
