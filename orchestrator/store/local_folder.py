"""Lists folders of this machine, whatever names others have given to files in them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from pyarrow import fs


def is_utf8(name: str) -> bool:
    """Tell whether a name can be written as UTF-8, as pyarrow takes names."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def local_infos(folder: str, *, recursive: bool) -> Iterator[fs.FileInfo]:
    """List a folder, without names that are not UTF-8: stores have none, and pyarrow fails on them.

    Args:
        folder: its path; nothing is in one that does not exist.
        recursive: list the folders in it as well, but not what links lead to.
    """
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        try:
            status = entry.stat()
        except OSError:  # it was just deleted, or is a link that leads nowhere
            continue
        if is_utf8(entry.name) and stat.S_ISREG(status.st_mode):
            mtime, size = status.st_mtime_ns, status.st_size
            yield fs.FileInfo(entry.path, fs.FileType.File, mtime_ns=mtime, size=size)
        elif is_utf8(entry.name) and stat.S_ISDIR(status.st_mode):
            yield fs.FileInfo(entry.path, fs.FileType.Directory)
            if recursive and not entry.is_symlink():
                yield from local_infos(entry.path, recursive=True)
