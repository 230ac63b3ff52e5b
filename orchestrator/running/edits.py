"""The driver's look at the code while a sweep runs, so that no edit goes unnoticed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from orchestrator.code import Archive, Currency, Scope
from orchestrator.running.clock import SYSTEM, Clock
from orchestrator.running.file_stamp import FileStamp

_SECONDS = 1.0


class EditWatch:
    """Names each file of a run's code once it is edited; comments and layout are no edit.

    Args:
        archive: the run's code.
        scope: where its files are found.
        say: takes a line for the user.
    """

    def __init__(self, archive: Archive, scope: Scope, say: Callable[[str], object]) -> None:
        self._archive, self._scope, self._say = archive, scope, say
        self._paths = {name: scope.find(name) for name in archive.manifest.files}
        self._stamps = {name: FileStamp.of(path) for name, path in self._paths.items()}
        self._named: set[str] = set()

    def look(self) -> None:
        """Look once: at each file's size and time, then at the bytes of those that changed."""
        stamps = {name: FileStamp.of(path) for name, path in self._paths.items()}
        touched = [name for name, stamp in stamps.items() if stamp != self._stamps[name]]
        self._stamps = stamps
        currency, manifest = Currency(self._scope), self._archive.manifest
        differences = [
            *currency.differences(self._archive, touched),
            *currency.glob_differences(self._archive),
        ]
        for name, text in differences:
            if name not in self._named:
                self._named.add(name)
                if name in manifest.words:
                    self._say(_output(name))
                    continue
                is_opened = name in manifest.matched or name in manifest.globs
                self._say(_message(text, _OPENED if is_opened else _IMPORTED))

    @contextlib.contextmanager
    def looking(self, clock: Clock = SYSTEM) -> Iterator[None]:
        """Look about once a second while the block runs, and at its end."""
        try:
            with clock.repeating(self.look, _SECONDS, "edits"):
                yield
        finally:
            self.look()


_IMPORTED = "trials go on where it is imported already, and no trial imports the new version"
_OPENED = "trials that start or end from now on are not run"


def _message(text: str, consequence: str) -> str:
    return (
        f"edited while the sweep runs: {text}; {consequence}. "
        "Run the same command again afterwards: it runs what is missing with the new version; "
        "finished trials of the old one count as stale, and `--rerun-stale` replaces them"
    )


def _output(name: str) -> str:
    return (
        f"{name}, which a word of the command names, changes while trials run: it counts as their "
        "output, and not as their code; list it under `code:` if it is input"
    )
