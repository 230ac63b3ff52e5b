"""Whether the first trials of a run all fail with the same error, as all others would."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping

from orchestrator.errors import (
    AlikeError,
    GpuMemoryError,
    KilledError,
    NodeMemoryError,
    WorkerDiedError,
)
from orchestrator.labels import counted
from orchestrator.running import failures

FIRST = 3
"""So many trials, of as many configs where there are, have to fail alike."""
_NEVER_THE_SAME = (GpuMemoryError, KilledError, NodeMemoryError, WorkerDiedError)
"""Errors that may come from what else runs on the machine."""


class Alike:
    """Judges a run by its first attempts, as long as none has finished.

    All fail alike if the first trials of the queue have failed with the same error, and no other
    has got further. A trial that has started before them and still runs may be a healthy one:
    where there are many slots, some configs that fail at once say nothing about the rest.

    Args:
        configs: the config of each trial, in the order in which they start; with fewer than three
            trials nothing is judged.
    """

    def __init__(self, configs: Mapping[str, str]) -> None:
        self.is_open = len(configs) >= FIRST
        """Whether it is not decided yet."""
        self._configs = dict(configs)
        self._enough = min(FIRST, len(set(configs.values())))
        """Of so many configs have trials to fail."""
        self._total = len(configs)
        self._failed: set[str] = set()
        self._furthest = 0
        """The last epoch that one of them has finished."""
        self._running: dict[str, int] = {}
        """The last epoch that each of the others has finished."""
        self._sameness: str | None = None
        """What the errors have in common."""
        self._text = ""
        """The first error, with its traceback."""

    @property
    def is_found(self) -> bool:
        """Whether all fail alike."""
        first = list(itertools.takewhile(self._failed.__contains__, self._configs))
        configs = {self._configs[trial_id] for trial_id in first}
        return self.is_open and len(first) >= FIRST and len(configs) >= self._enough

    def epoch(self, trial_id: str, number: int) -> None:
        """A trial finishes an epoch."""
        if self.is_open:
            self._running[trial_id] = number
            self._compare()

    def failed(self, trial_id: str, error: BaseException) -> None:
        """The first attempt at a trial fails."""
        if not self.is_open:
            return
        sameness = _sameness(trial_id, error)
        if not self._failed:
            frames, _ = failures.in_user_code(error)
            self._sameness, self._text = sameness, frames + failures.reason(error)
        self._failed.add(trial_id)
        self._furthest = max(self._furthest, self._running.pop(trial_id, 0))
        if sameness is None or sameness != self._sameness:
            self.end()
        self._compare()

    def not_run(self, trial_id: str) -> None:
        """A trial is not run, which says nothing about the others."""
        self._configs.pop(trial_id, None)
        self._running.pop(trial_id, None)

    def end(self) -> None:
        """Decide that they do not all fail alike, or that it has been said."""
        self.is_open = False

    def error(self, log: str) -> AlikeError:
        """Tell the user, once for all that have failed.

        Args:
            log: name of the first one's log.
        """
        return AlikeError(
            f"{len(self._failed):,} of {counted(self._total, 'trial')} failed with the same error "
            f"and none has finished, so the sweep stops:\n{self._text}\n"
            f"see {log}; mend it and run the same command again, or run all trials with "
            "--keep-going"
        )

    def _compare(self) -> None:
        if self._failed and any(epoch > self._furthest for epoch in self._running.values()):
            self.end()


def _sameness(trial_id: str, error: BaseException) -> str | None:
    """Return what an error has in common with those like it; None if none is like it."""
    if isinstance(error, _NEVER_THE_SAME):
        return None
    _, place = failures.in_user_code(error)
    text = re.sub(r"\d+", "#", failures.reason(error).replace(trial_id, ""))
    return place or f"{type(error).__name__}: {text}"
