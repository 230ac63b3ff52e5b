"""A folder on a disk or in a bucket, in which every file appears whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs

from orchestrator.errors import StoreError


class Files:
    """Whole-file reads and atomic writes below one root.

    Names are relative to the root, with ``/`` between folders. On a local disk a file is
    written under a name that begins with a dot and then renamed; on an object store a
    finished upload appears at once.
    """

    def __init__(self, location: str) -> None:
        self.location = location
        if "://" in location:
            try:
                self.fs, self.root = fs.FileSystem.from_uri(location)
            except (pa.ArrowException, OSError) as error:
                raise StoreError(f"{location}: not a store's address ({error})") from None
        else:
            self.location = self.root = str(Path(location).absolute())
            self.fs = fs.LocalFileSystem()

    @property
    def local(self) -> Path | None:
        """The root as a local path; None on an object store."""
        return Path(self.root) if isinstance(self.fs, fs.LocalFileSystem) else None

    def path(self, name: str) -> str:
        """Name a file as the file system knows it."""
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
        self.fs.create_dir(self.path(name), recursive=True)

    def names(self, folder: str) -> list[str]:
        """List the files in a folder by name, in order; none if there is no such folder."""
        return [name for name in self._all_names(folder) if not name.startswith(".")]

    def folders(self) -> list[str]:
        """List the folders below the root by name, in order."""
        try:
            found = self.fs.get_file_info(fs.FileSelector(self.root, allow_not_found=True))
        except NotADirectoryError:
            raise StoreError(f"{self.location} is a file; expected a folder of stores") from None
        return sorted(info.base_name for info in found if info.type == fs.FileType.Directory)

    def clean(self, folder: str) -> None:
        """Delete what writers that were killed left half done."""
        for name in self._all_names(folder):
            if name.startswith("."):
                self.delete(f"{folder}/{name}")

    def _all_names(self, folder: str) -> list[str]:
        selector = fs.FileSelector(self.path(folder), allow_not_found=True)
        found = self.fs.get_file_info(selector)
        return sorted(info.base_name for info in found if info.type == fs.FileType.File)

    def exists(self, name: str) -> bool:
        """Tell whether a file is there."""
        return bool(self.fs.get_file_info(self.path(name)).type == fs.FileType.File)

    def read(self, name: str) -> bytes | None:
        """Read a whole file; None if it is not there."""
        try:
            with self.fs.open_input_file(self.path(name)) as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None

    def open(self, name: str) -> pa.NativeFile:
        """Open a file to read parts of it."""
        return self.fs.open_input_file(self.path(name))

    def write(self, name: str, data: bytes | pa.Buffer) -> None:
        """Write a whole file, in place of one that is there."""
        with self.writing(name) as stream:
            stream.write(data)

    @contextmanager
    def writing(self, name: str) -> Iterator[Any]:
        """Write a file piece by piece; it appears when the block ends without an error."""
        if self.local is None:
            # An upload that is broken off would be completed when its stream closes.
            with tempfile.TemporaryFile() as whole:
                yield whole
                whole.seek(0)
                with self.fs.open_output_stream(self.path(name)) as stream:
                    shutil.copyfileobj(whole, stream)
            return
        target = self.local / name
        hidden = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}")
        try:
            with self.fs.open_output_stream(str(hidden)) as stream:
                yield stream
            hidden.replace(target)
        finally:
            hidden.unlink(missing_ok=True)

    def append(self, name: str, text: str) -> None:
        """Add text to the end of a file, which need not be there."""
        if self.local is not None:
            with (self.local / name).open("a", encoding="utf-8") as stream:
                stream.write(text)
        else:
            self.write(name, (self.read(name) or b"") + text.encode())

    def delete(self, name: str) -> None:
        """Delete a file; nothing happens if it is not there."""
        try:
            self.fs.delete_file(self.path(name))
        except FileNotFoundError:
            return

    def move(self, name: str, target: str) -> None:
        """Move a file, in place of one that is there, and make the target's folder."""
        self.make_folder(target.rpartition("/")[0])
        self.fs.move(self.path(name), self.path(target))
