"""Writing the checkpoints of one attempt, so that a kill at any instant leaves a whole one."""

from __future__ import annotations

import os
from dataclasses import replace

import pyarrow as pa

from orchestrator.store.checkpoint import About, Head, Rows, StoredFile, StoredRows, added
from orchestrator.store.checkpoints import HEAD, drop_lower
from orchestrator.store.files import Files
from orchestrator.store.names import checkpoint_folder
from orchestrator.store.schema import PROBE_SCHEMA, to_parquet
from orchestrator.store.trial_folder import TrialFolder


class Saving:
    """The checkpoints that one attempt at a trial writes.

    It names, merges and deletes its own files only, so that attempts which run at once, behind a
    partition, do not disturb each other. Its first save brings all rows; what earlier attempts
    have left goes after that.

    Args:
        files: the store.
        trial_id: the trial.
        attempt: its number, higher than that of the head that the attempt goes on from.
        folder: the trial's own folder.
    """

    def __init__(self, files: Files, trial_id: str, attempt: int, folder: TrialFolder) -> None:
        self._files, self._trial_id, self._attempt = files, trial_id, attempt
        self._own_folder = folder
        self._parts: tuple[Rows, ...] = ()
        self._current: tuple[str, Head] | None = None
        """The last head, with its name."""

    @property
    def has_state(self) -> bool:
        """Whether the attempt has saved a state."""
        return self._current is not None and self._current[1].state is not None

    @property
    def epochs(self) -> int:
        """How many epochs the attempt has saved, those of earlier attempts included."""
        return sum(map(len, self._parts))

    @property
    def probes(self) -> pa.Table:
        """The probe rows that are saved."""
        tables = [PROBE_SCHEMA.empty_table(), *(part.probes for part in self._parts)]
        return pa.concat_tables(tables)

    def save(self, new: Rows, state: bytes | None, about: About) -> None:
        """Make rows and a state durable as one unit.

        Args:
            new: the rows since the last save; at first, all.
            state: None if the trial has saved none so far.
            about: what to say of the trial.
        """
        if self._current is None:
            self._files.make_folder(checkpoint_folder(self._trial_id))
        parts = added(self._parts, new)
        self._parts = tuple(part if part.stored else self._write_rows(part) for part in parts)
        self._commit(
            Head(
                attempt=self._attempt,
                epochs=self.epochs,
                state=None if state is None else self._write("state", state),
                parts=tuple(part.stored for part in self._parts if part.stored),
                folder=self._own_folder.upload(f"file-{self._attempt}-"),
                about=about,
            )
        )

    def begin_anew(self, about: About) -> None:
        """Let the next attempt begin without rows and with an empty folder."""
        self._files.make_folder(checkpoint_folder(self._trial_id))
        self._parts = ()
        self._commit(Head(self._attempt, 0, None, (), {}, about))

    def _write_rows(self, part: Rows) -> Rows:
        stored = StoredRows(
            self._write("epochs", to_parquet(part.epochs)),
            self._write("probes", to_parquet(part.probes)),
        )
        return replace(part, stored=stored)

    def _commit(self, head: Head) -> None:
        """Put the head, which makes the checkpoint count, and delete what it replaces."""
        before = self._current
        self._current = (self._write(HEAD, head.to_bytes()).name, head)
        if before is None:
            if self._attempt > 1:
                drop_lower(self._files, self._trial_id, self._attempt)
            return
        name, replaced = before
        self._files.delete(self._path(name))  # first: readers take a listed file for lost else
        self._files.delete_all(list(map(self._path, sorted(replaced.files() - head.files()))))

    def _write(self, kind: str, data: bytes | pa.Buffer) -> StoredFile:
        name = f"{kind}-{self._attempt}-{os.urandom(8).hex()}"
        self._files.write(self._path(name), data)
        return StoredFile.of(name, data)

    def _path(self, name: str) -> str:
        return f"{checkpoint_folder(self._trial_id)}/{name}"
