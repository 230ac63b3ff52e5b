"""What tells without reading that a file has changed."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class FileStamp(NamedTuple):
    """A file's size in bytes, its time in nanoseconds, and its inode."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path | None) -> FileStamp | None:
        """Read a file's stamp; None if there is no file, or none that can be looked at."""
        if path is None:
            return None
        try:
            status = path.stat()
        except OSError:
            return None
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)
