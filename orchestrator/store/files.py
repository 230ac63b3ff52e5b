"""A folder on a disk or in a bucket, in which every file appears whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
from pyarrow import fs

from orchestrator.errors import StoreError
from orchestrator.store import bucket
from orchestrator.store.local_folder import local_infos

_FULL = {errno.ENOSPC, errno.EDQUOT}
TRIES = 5
"""Attempts to read a file or list a folder that others change meanwhile."""


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
        """How many files to read or delete at once."""
        return 4 if self.local else 16

    def path(self, name: str) -> str:
        """Build a file's path in the file system.

        Raises:
            StoreError: the name leads out of the root.
        """
        if ".." in name.split("/"):
            raise StoreError(f"{self}: {name} is not the name of a file in it")
        return f"{self.root}/{name}"

    def shown(self, name: str) -> str:
        """Name a file in a message: relative to the working folder if it is in there."""
        if self.local is None:
            return f"{self.location}/{name}"
        path = self.local / name
        return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)

    def __str__(self) -> str:
        return self.shown("").rstrip("/")

    def make_folder(self, name: str) -> None:
        """Make a folder and those above it, if missing."""
        with self._store_errors(name, but=()):
            bucket.make_folder(self.fs, self.path(name))

    def stamps(self, folder: str) -> dict[str, str]:
        """List the files in a folder by name, sorted, with a stamp of their sizes and times.

        A stamp is only to be compared with a later one. Partial files, whose names begin with a
        dot, are among them; without such a folder there are none.
        """
        infos = [i for i in self._list(self.path(folder)) if i.type == fs.FileType.File]
        infos.sort(key=lambda info: info.base_name)
        return {info.base_name: f"{info.size} {info.mtime_ns}" for info in infos}

    def names(self, folder: str) -> list[str]:
        """List the names of the files in a folder, sorted; none if there is no such folder."""
        return [name for name in self.stamps(folder) if not name.startswith(".")]

    def folders(self) -> list[str]:
        """List the names of the folders in the root, sorted."""
        try:
            entries = self._list(self.root)
        except NotADirectoryError:
            raise StoreError(f"{self.location} is a file; expected a folder of stores") from None
        return sorted(info.base_name for info in entries if info.type == fs.FileType.Directory)

    def tree(self, folder: str) -> list[str]:
        """List the paths of the files below a folder, sorted, without those that are partial."""
        return [path for path in self.whole_tree(folder) if not is_partial(path)]

    def whole_tree(self, folder: str) -> list[str]:
        """List the paths of the files below a folder, sorted.

        A bucket may have no folders, so the names of files alone tell which there are.
        """
        if self.local is None:
            top = self.path(folder)
            infos = self._list(top, recursive=True)
            found = [info.path for info in infos if info.type == fs.FileType.File]
        else:
            top = str(self.local / folder)  # others may delete what is listed meanwhile
            found = [f"{path}/{name}" for path, _, names in os.walk(top) for name in names]
        return sorted(path.removeprefix(f"{top}/") for path in found)

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the bytes of each file below a folder, by path, sorted."""
        top = self.path(folder)
        infos = [i for i in self._list(top, recursive=True) if i.type == fs.FileType.File]
        return dict(sorted((i.path.removeprefix(f"{top}/"), i.size) for i in infos))

    def _list(self, path: str, *, recursive: bool = False) -> list[fs.FileInfo]:
        with self._store_errors("", "read", (NotADirectoryError,)):
            if self.local is not None:
                return list(local_infos(path, recursive=recursive))
            selector = fs.FileSelector(path, allow_not_found=True, recursive=recursive)
            for _ in range(TRIES - 1):
                with suppress(FileNotFoundError):  # a listed file was just deleted
                    return list(self.fs.get_file_info(selector))
            return list(self.fs.get_file_info(selector))

    def exists(self, name: str) -> bool:
        """Tell whether a file exists."""
        with self._store_errors(name, "read"):
            return bool(self.fs.get_file_info(self.path(name)).type == fs.FileType.File)

    def read(self, name: str) -> bytes | None:
        """Read a whole file; None if there is no such file."""
        for _ in range(TRIES):
            try:
                with self._store_errors(name, "read"):
                    data = self._content(self.path(name))
            except FileNotFoundError:
                return None
            if data is not None:
                return data
        raise StoreError(f"{self.shown(name)} keeps changing while it is read; try again")

    def _content(self, path: str) -> bytes | None:
        """Read a file; None if it was replaced between the two requests that a bucket needs.

        PyArrow requests the length first. If the file has another length by the second request,
        PyArrow returns too few or too many bytes; if it is gone, an error that does not say so.
        """
        with self.fs.open_input_file(path) as stream:
            try:
                data = bytes(stream.read())
            except OSError:
                if self.fs.get_file_info(path).type == fs.FileType.NotFound:
                    raise FileNotFoundError(path) from None
                raise
        is_whole = self.local or self.fs.get_file_info(path).size == len(data)
        return data if is_whole else None

    def open(self, name: str) -> pa.NativeFile:
        """Open a file to read parts of it.

        Raises:
            FileNotFoundError: there is no such file.
        """
        with self._store_errors(name, "read"):
            return self.fs.open_input_file(self.path(name))

    def write(self, name: str, data: bytes | pa.Buffer) -> None:
        """Write a whole file, replacing an existing one."""
        with self.writing(name) as stream:
            stream.write(data)

    @contextmanager
    def writing(self, name: str) -> Iterator[Any]:
        """Write a file in pieces; it appears when the block ends without an error."""
        with self._store_errors(name):
            if self.local is None:
                # Closing the stream of an interrupted upload would complete the upload.
                with tempfile.TemporaryFile() as spool:
                    yield spool
                    spool.seek(0)
                    self._upload(spool, name)
                return
            target = Path(self.path(name))
            hidden = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}")
            with self._store_errors(name, but=()):
                opened = self.fs.open_output_stream(str(hidden))
            try:
                with opened as stream:
                    yield stream
                hidden.replace(target)
            finally:
                hidden.unlink(missing_ok=True)

    def _upload(self, content: IO[bytes], name: str) -> None:
        with (
            self._store_errors(name, but=()),
            self.fs.open_output_stream(self.path(name)) as stream,
        ):
            shutil.copyfileobj(content, stream)

    def upload(self, source: Path, name: str) -> None:
        """Copy a local file to a bucket."""
        with self._store_errors(name, but=()), source.open("rb") as content:
            self._upload(content, name)

    def copy(self, source: str, name: str) -> None:
        """Copy a file of the same bucket, named by its path in the file system."""
        with self._store_errors(name, but=()):
            self.fs.copy_file(source, self.path(name))

    def link(self, source: Path, name: str, *, copy: bool) -> None:
        """Put a local file into a local store: a second link to it, or a copy.

        Without `copy` it is linked where the disk can do so, which takes no space.
        """
        target = Path(self.path(name))
        with self._store_errors(name, but=()):
            target.parent.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):
                if not copy:
                    os.link(source, target)
                    return
            shutil.copyfile(source, target)

    def append(self, name: str, text: str) -> None:
        """Append text to a file on a local disk, which is created if missing."""
        with self._store_errors(name), open(self.path(name), "ab", opener=_open_no_link) as stream:
            stream.write(text.encode())

    def delete(self, name: str) -> None:
        """Delete a file, if it exists."""
        try:
            with self._store_errors(name):
                self.fs.delete_file(self.path(name))
        except FileNotFoundError:
            return

    def delete_all(self, names: Collection[str]) -> None:
        """Delete files, several at once, since each deletion waits for the disk or bucket."""
        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(self.delete, names))

    def delete_folder(self, name: str) -> None:
        """Delete a folder and all that is in it, if it exists."""
        try:
            with self._store_errors(name):
                if self.fs.get_file_info(self.path(name)).type == fs.FileType.Directory:
                    self.fs.delete_dir(self.path(name))
        except FileNotFoundError:
            return

    def move(self, name: str, target: str) -> None:
        """Move a file, replacing an existing one, and make the target's folder."""
        self.make_folder(target.rpartition("/")[0])
        with self._store_errors(name):
            self.fs.move(self.path(name), self.path(target))

    def set_aside(self, name: str) -> None:
        """Move an unreadable file to ``corrupt/``, without replacing one of its name."""
        target = f"corrupt/{name}"
        if self.exists(target):
            target += f".{time.time_ns()}"
        if self.exists(name):
            self.move(name, target)

    @contextmanager
    def _store_errors(
        self,
        name: str,
        action: str = "written",
        but: tuple[type[OSError], ...] = (FileNotFoundError,),
    ) -> Iterator[None]:
        """Turn errors of the disk or bucket into StoreError, except those the caller expects."""
        try:
            yield
        except OSError as error:
            if isinstance(error, but):
                raise
            raise self._refusal(name, action, error) from None

    def _refusal(self, name: str, action: str, error: OSError) -> StoreError:
        if self.local is None:
            return bucket.refusal(error, self.shown(name))
        reason = os.strerror(error.errno) if error.errno else str(error)
        remedy = (
            "free some space, then run the same command again"
            if error.errno in _FULL
            else "choose another folder with --store"
        )
        return StoreError(f"{self.shown(name)} cannot be {action} ({reason}); {remedy}")


def is_partial(path: str) -> bool:
    """Tell whether a file is one that a writer has not finished."""
    return path.rpartition("/")[2].startswith(".")


def _open_no_link(path: str, flags: int) -> int:
    """Open a file, and refuse a symbolic link, which could lead out of the store."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)
