"""The checkpoints of a store: reading them while they are written, and clearing up after them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from orchestrator.errors import CorruptFileError, StoreError
from orchestrator.store.checkpoint import (
    Checkpoint,
    DamagedError,
    Head,
    Rows,
    StoredFile,
    joined_rows,
)
from orchestrator.store.files import Files, is_partial
from orchestrator.store.names import checkpoint_folder, trial_folder
from orchestrator.store.schema import PROBE_SCHEMA

HEAD = "head"
"""The kind of file that commits a checkpoint; see `file_name`."""
_TRIES = 100
"""Attempts to read a checkpoint that is replaced meanwhile, which is rare."""

OnCorrupt = Callable[[CorruptFileError], object]
"""What a reader calls with a file that cannot be read, before it continues without it."""
OnDamage = Callable[[CorruptFileError, str], object]
"""Receives an error, and the name of the head that does not count for it."""


class _ReplacedError(Exception):
    """A head that was listed is gone, since a newer one has replaced it."""


class _MissingError(Exception):
    """A file that a head lists is not there."""


class _Found(NamedTuple):
    name: str
    head: Head


def attempt_of(name: str) -> int | None:
    """Return the attempt that wrote a file; None for a name of another form."""
    _, _, rest = name.partition("-")
    number, separator, _ = rest.partition("-")
    return int(number) if separator and number.isdecimal() else None


def head_ids(paths: Iterable[str]) -> list[str]:
    """Find the trials that have a head.

    Args:
        paths: the files below ``checkpoints``.
    """
    split = (path.split("/") for path in paths)
    return sorted({p[0] for p in split if len(p) == 2 and p[1].startswith(f"{HEAD}-")})


def read_checkpoint(
    files: Files,
    trial_id: str,
    on_damage: OnDamage,
    *,
    with_state: bool = False,
    tables: dict[str, pa.Table] | None = None,
) -> Checkpoint | None:
    """Read a trial as of the whole head of its highest attempt; None if it has none.

    Args:
        files: the store.
        trial_id: the trial.
        on_damage: receives what is damaged; the next best head counts then.
        with_state: read the state, and check the files of the trial's folder, too.
        tables: the parts of rows that were read before, by name; those that are read are added.

    Raises:
        StoreError: the checkpoint cannot be read now.
    """
    tables = {} if tables is None else tables
    reader = _Reader(files, checkpoint_folder(trial_id), on_damage, tables, with_state=with_state)
    for _ in range(_TRIES):
        try:
            return reader.best()
        except _ReplacedError:
            continue
    place = files.shown(checkpoint_folder(trial_id))
    raise StoreError(f"{place} keeps changing while it is read; try again")


class _Reader:
    """Reads one trial's checkpoint; what was read of it once is not read again."""

    def __init__(
        self,
        files: Files,
        folder: str,
        on_damage: OnDamage,
        tables: dict[str, pa.Table],
        *,
        with_state: bool,
    ) -> None:
        self._files, self._folder = files, folder
        self._on_damage, self._with_state = on_damage, with_state
        self._tables = tables
        self._damaged: set[str] = set()

    def best(self) -> Checkpoint | None:
        """Read the best whole head.

        Raises:
            _ReplacedError: it was replaced meanwhile.
        """
        order = sorted(self._heads(), key=lambda found: (found.head.attempt, found.head.epochs))
        for name, head in reversed(order):
            try:
                return self._whole(head)
            except _MissingError as error:
                # A head is deleted before what it lists: if it is there, the file is lost.
                if not self._files.exists(self._path(name)):
                    raise _ReplacedError from None
                self._report(name, name, f"it lists {error}, which is missing")
            except DamagedError as error:
                file, reason = error.args
                self._report(file, name, reason)
        return None

    def _heads(self) -> list[_Found]:
        names = [n for n in self._files.tree(self._folder) if n.startswith(f"{HEAD}-")]
        found = []
        for name in names:
            data = self._files.read(self._path(name))
            if data is None:
                raise _ReplacedError
            try:
                found.append(_Found(name, Head.from_bytes(data)))
            except DamagedError as error:
                self._report(name, name, str(error))
        return found

    def _whole(self, head: Head) -> Checkpoint:
        parts = [Rows(self._table(p.epochs), self._table(p.probes)) for p in head.parts]
        rows = joined_rows(parts) if parts else Rows(pa.table({}), PROBE_SCHEMA.empty_table())
        if not self._with_state:
            return Checkpoint(head, rows)
        for file in head.folder.values():
            self._content(file)
        return Checkpoint(head, rows, self._content(head.state) if head.state else None)

    def _table(self, file: StoredFile) -> pa.Table:
        if file.name not in self._tables:
            data = self._content(file)
            try:
                self._tables[file.name] = pq.read_table(io.BytesIO(data))
            except (pa.ArrowException, OSError, ValueError) as error:
                raise DamagedError(file.name, str(error)) from None
        return self._tables[file.name]

    def _content(self, file: StoredFile) -> bytes:
        data = self._files.read(self._path(file.name))
        if data is None:
            raise _MissingError(file.name)
        try:
            file.require(data)
        except DamagedError as error:
            raise DamagedError(file.name, str(error)) from None
        return data

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def _report(self, name: str, head: str, reason: str) -> None:
        if head not in self._damaged:
            self._damaged.add(head)
            path = self._path(name)
            error = CorruptFileError(path, self._files.shown(path), reason)
            self._on_damage(error, self._path(head))


def drop_checkpoint(files: Files, trial_id: str) -> None:
    """Delete a trial's checkpoints and its own folder, if it has any."""
    files.delete_folder(checkpoint_folder(trial_id))
    if files.local is not None:
        files.delete_folder(trial_folder(trial_id))


def drop_lower(files: Files, trial_id: str, attempt: int) -> None:
    """Delete what attempts before one have left, the heads first."""
    names = files.tree(checkpoint_folder(trial_id))
    lower = [n for n in names if (wrote := attempt_of(n)) is not None and wrote < attempt]
    for heads in (True, False):
        some = [n for n in lower if n.startswith(f"{HEAD}-") == heads]
        files.delete_all([f"{checkpoint_folder(trial_id)}/{name}" for name in some])


def of_first_format(paths: Iterable[str]) -> list[str]:
    """Find the checkpoints of format 1, which was a file for each trial.

    Args:
        paths: the files below ``checkpoints``.
    """
    return [path for path in paths if "/" not in path and not is_partial(path)]


def tidy(files: Files, paths: Sequence[str], on_corrupt: OnCorrupt) -> None:
    """Move damaged checkpoints to ``corrupt/``, and delete those that no longer count.

    Only the driver does this, at its start and end.

    Args:
        files: the store.
        paths: the files below ``checkpoints``.
        on_corrupt: called with each that is damaged.
    """
    useless = [*filter(is_partial, paths), *of_first_format(paths)]
    files.delete_all([f"checkpoints/{path}" for path in useless])
    for trial_id in head_ids(paths):
        damaged: dict[str, None] = {}

        def note(error: CorruptFileError, head: str, damaged: dict[str, None] = damaged) -> None:
            on_corrupt(error)
            damaged.update({error.name: None, head: None})

        best = read_checkpoint(files, trial_id, note, with_state=True)
        for name in damaged:
            files.set_aside(name)
        if best is not None:
            drop_lower(files, trial_id, best.head.attempt)
        elif damaged:
            drop_checkpoint(files, trial_id)


def retire_checkpoint(files: Files, trial_id: str) -> None:
    """Move a trial's checkpoints to ``retired/``, and delete its own folder."""
    folder = checkpoint_folder(trial_id)
    for name in files.tree(folder):
        files.move(f"{folder}/{name}", f"retired/{folder}/{name}")
    drop_checkpoint(files, trial_id)
