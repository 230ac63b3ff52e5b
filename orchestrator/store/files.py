"""A folder on a disk or in a bucket, in which every file appears whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
from pyarrow import fs

from orchestrator.errors import StoreError
from orchestrator.store import bucket

_FULL = {errno.ENOSPC, errno.EDQUOT}
TRIES = 5
"""Of reading a file or listing a folder that others change meanwhile."""


class Files:
    """Whole-file reads and atomic writes below one root.

    Names are relative to the root, with ``/`` between folders. On a local disk a file is
    written under a name that begins with a dot and then renamed; on an object store a
    finished upload appears at once. Every method raises StoreError where the disk or the
    bucket refuses.
    """

    def __init__(self, location: str) -> None:
        if "://" in location:
            self.fs, self.root = bucket.connect(location)
            self.location = location.rstrip("/")
        else:
            self.location = self.root = str(Path(location).absolute())
            self.fs = fs.LocalFileSystem()

    @property
    def local(self) -> Path | None:
        """The root as a local path; None on an object store."""
        return Path(self.root) if isinstance(self.fs, fs.LocalFileSystem) else None

    @property
    def threads(self) -> int:
        """How many files to read or delete at a time."""
        return 4 if self.local else 16

    def path(self, name: str) -> str:
        """Name a file as the file system knows it.

        Raises:
            StoreError: the name leads out of the root.
        """
        if ".." in name.split("/"):
            raise StoreError(f"{self}: {name} is no name of a file in it")
        return f"{self.root}/{name}"

    def shown(self, name: str) -> str:
        """Name a file for a person: relative to the working folder where that is shorter."""
        if self.local is None:
            return f"{self.location}/{name}"
        path = self.local / name
        return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)

    def __str__(self) -> str:
        return self.shown("").rstrip("/")

    def make_folder(self, name: str) -> None:
        """Make a folder and those above it, if they are not there."""
        with self._in_words(name, but=()):
            bucket.make_folder(self.fs, self.path(name))

    def names(self, folder: str) -> list[str]:
        """List the files in a folder by name, in order; none if there is no such folder."""
        return [name for name in self._all_names(folder) if not name.startswith(".")]

    def folders(self) -> list[str]:
        """List the folders below the root by name, in order."""
        try:
            found = self._list(self.root)
        except NotADirectoryError:
            raise StoreError(f"{self.location} is a file; expected a folder of stores") from None
        return sorted(info.base_name for info in found if info.type == fs.FileType.Directory)

    def clean(self, folder: str) -> None:
        """Delete what writers that were killed left half done."""
        for name in self._all_names(folder):
            if name.startswith("."):
                self.delete(f"{folder}/{name}")

    def _all_names(self, folder: str) -> list[str]:
        found = self._list(self.path(folder))
        return sorted(info.base_name for info in found if info.type == fs.FileType.File)

    def _list(self, path: str) -> list[fs.FileInfo]:
        selector = fs.FileSelector(path, allow_not_found=True)
        with self._in_words("", "read", (NotADirectoryError,)):
            for _ in range(TRIES - 1):
                with suppress(FileNotFoundError):  # others delete what is just being listed
                    return list(self.fs.get_file_info(selector))
            return list(self.fs.get_file_info(selector))

    def exists(self, name: str) -> bool:
        """Tell whether a file is there."""
        with self._in_words(name, "read"):
            return bool(self.fs.get_file_info(self.path(name)).type == fs.FileType.File)

    def mark(self, name: str) -> str:
        """Tell a file's size and the time of its last change, in no form to rely on."""
        with self._in_words(name, "read"):
            info = self.fs.get_file_info(self.path(name))
        return f"{info.size} {info.mtime_ns}"

    def read(self, name: str) -> bytes | None:
        """Read a whole file; None if it is not there."""
        for _ in range(TRIES):
            try:
                with self._in_words(name, "read"):
                    data = self._content(self.path(name))
            except FileNotFoundError:
                return None
            if data is not None:
                return data
        raise StoreError(f"{self.shown(name)} changes while it is read")

    def _content(self, path: str) -> bytes | None:
        """Read a file; None if it was replaced between the requests that a bucket needs for it.

        PyArrow asks for the length first. Of what has another length by then it gives a part,
        or more than there is; of what is gone, an error that does not say so.
        """
        with self.fs.open_input_file(path) as stream:
            try:
                data = bytes(stream.read())
            except OSError:
                if self.fs.get_file_info(path).type == fs.FileType.NotFound:
                    raise FileNotFoundError(path) from None
                raise
        whole = self.local or self.fs.get_file_info(path).size == len(data)
        return data if whole else None

    def open(self, name: str) -> pa.NativeFile:
        """Open a file to read parts of it.

        Raises:
            FileNotFoundError: it is not there.
        """
        with self._in_words(name, "read"):
            return self.fs.open_input_file(self.path(name))

    def write(self, name: str, data: bytes | pa.Buffer) -> None:
        """Write a whole file, in place of one that is there."""
        with self.writing(name) as stream:
            stream.write(data)

    @contextmanager
    def writing(self, name: str) -> Iterator[Any]:
        """Write a file piece by piece; it appears when the block ends without an error."""
        with self._in_words(name):
            if self.local is None:
                # An upload that is broken off would be completed when its stream closes.
                with tempfile.TemporaryFile() as whole:
                    yield whole
                    whole.seek(0)
                    self._upload(whole, name)
                return
            target = Path(self.path(name))
            hidden = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}")
            with self._in_words(name, but=()):
                opened = self.fs.open_output_stream(str(hidden))
            try:
                with opened as stream:
                    yield stream
                hidden.replace(target)
            finally:
                hidden.unlink(missing_ok=True)

    def _upload(self, whole: IO[bytes], name: str) -> None:
        with (
            self._in_words(name, but=()),
            self.fs.open_output_stream(self.path(name)) as stream,
        ):
            shutil.copyfileobj(whole, stream)

    def append(self, name: str, text: str) -> None:
        """Add text to the end of a file on a local disk, which need not be there."""
        with self._in_words(name), open(self.path(name), "ab", opener=_no_link) as stream:
            stream.write(text.encode())

    def delete(self, name: str) -> None:
        """Delete a file; nothing happens if it is not there."""
        try:
            with self._in_words(name):
                self.fs.delete_file(self.path(name))
        except FileNotFoundError:
            return

    def delete_all(self, names: Collection[str]) -> None:
        """Delete files, several at a time, as each takes a disk or a bucket a while."""
        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(self.delete, names))

    def move(self, name: str, target: str) -> None:
        """Move a file, in place of one that is there, and make the target's folder."""
        self.make_folder(target.rpartition("/")[0])
        with self._in_words(name):
            self.fs.move(self.path(name), self.path(target))

    @contextmanager
    def _in_words(
        self,
        name: str,
        done: str = "written",
        but: tuple[type[OSError], ...] = (FileNotFoundError,),
    ) -> Iterator[None]:
        """Tell what a disk or a bucket refuses, but for errors that the caller expects."""
        try:
            yield
        except OSError as error:
            if isinstance(error, but):
                raise
            raise self._refusal(name, done, error) from None

    def _refusal(self, name: str, done: str, error: OSError) -> StoreError:
        if self.local is None:
            return bucket.in_words(error, self.shown(name))
        why = os.strerror(error.errno) if error.errno else str(error)
        what_to_do = (
            "free some space, then run the same command again"
            if error.errno in _FULL
            else "choose another folder with --store"
        )
        return StoreError(f"{self.shown(name)} cannot be {done} ({why}); {what_to_do}")


def _no_link(path: str, flags: int) -> int:
    """Open a file of the store itself, never one elsewhere that a link in its place names."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)
