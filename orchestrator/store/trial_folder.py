"""A trial's own folder, which goes along when the trial is retried, also to another host."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from orchestrator.store.checkpoint import StoredFile
from orchestrator.store.files import Files
from orchestrator.store.names import checkpoint_folder, trial_folder
from orchestrator.temporary import temporary

_CHUNK = 1 << 20


class TrialFolder:
    """The folder of one attempt: in the store where that is local, else a temporary one.

    From a temporary one, `upload` copies what has changed to the bucket.
    """

    def __init__(self, files: Files, trial_id: str) -> None:
        self._files = files
        self._checkpoints = checkpoint_folder(trial_id)
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._sent: dict[str, tuple[tuple[int, int], StoredFile]] = {}
        """What this attempt has uploaded, with size and time of change, by path in the folder."""
        if files.local is not None:
            files.make_folder(trial_folder(trial_id))
            self.path = files.local / trial_folder(trial_id)
        else:
            self._temporary = temporary("folder")
            self.path = Path(self._temporary.name)

    def empty(self) -> None:
        """Delete what is in it."""
        for path in self.path.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def fetch(self, stored: Mapping[str, StoredFile]) -> None:
        """Download the files of the attempt before, where the store is a bucket."""
        for place, file in stored.items():
            target = self.path / place
            target.parent.mkdir(parents=True, exist_ok=True)
            with self._files.open(self._in_store(file.name)) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy, _CHUNK)

    def upload(self, prefix: str) -> dict[str, StoredFile]:
        """Upload what has changed since the last time, where the store is a bucket.

        A file that changes meanwhile stays as it was the last time.

        Args:
            prefix: how the names of the uploaded files begin.

        Returns:
            All files of the folder that are in the bucket, by path.
        """
        if self._temporary is None:
            return {}
        sent = {}
        for path in sorted(self.path.rglob("*")):
            place, stamp = path.relative_to(self.path).as_posix(), _stamp(path)
            if stamp is None:
                continue
            before = self._sent.get(place)
            if before is None or before[0] != stamp:
                name = f"{prefix}{os.urandom(8).hex()}"
                file = self._upload(path, name, stamp)
                before = (stamp, file) if file else before
            if before is not None:
                sent[place] = before
        self._sent = sent
        return {place: file for place, (_, file) in sent.items()}

    def _upload(self, path: Path, name: str, stamp: tuple[int, int]) -> StoredFile | None:
        """Upload one file; None if it changes meanwhile."""
        size = checksum = 0
        try:
            with path.open("rb") as source, self._files.writing(self._in_store(name)) as stream:
                while chunk := source.read(_CHUNK):
                    stream.write(chunk)
                    size, checksum = size + len(chunk), zlib.crc32(chunk, checksum)
                if _stamp(path) != stamp:
                    raise _ChangedError  # nothing is sent before the end of the block
        except (_ChangedError, FileNotFoundError):
            return None
        return StoredFile(name, size, checksum)

    def _in_store(self, name: str) -> str:
        return f"{self._checkpoints}/{name}"

    def close(self) -> None:
        """Delete a temporary folder; one in the store stays for the next attempt."""
        if self._temporary is not None:
            self._temporary.cleanup()


class _ChangedError(Exception):
    """A file changed while it was read."""


def _stamp(path: Path) -> tuple[int, int] | None:
    """Return size and time of change of a regular file; None of anything else."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None
