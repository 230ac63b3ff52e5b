"""Cache of decoded images: decoded once per node, then memory-mapped by every process."""

import os
import shutil
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from filelock import FileLock

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

_FORMAT = "1"  # part of every key: change it with the format of the entries


def folder() -> Path:
    """The cache folder: ORCH_CACHE_DIR, or a folder in the user's cache folder."""
    explicit = os.environ.get("ORCH_CACHE_DIR")
    user = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(explicit) if explicit else Path(user) / "orch-sweeps"


def cached(
    files: Sequence[Path], variant: str, decode: Callable[[], tuple[Images, Labels]]
) -> tuple[Images, Labels]:
    """Images and labels decoded from files, read from the cache if possible.

    Args:
        files: The sources; a change of their contents makes a new entry.
        variant: Distinguishes several results from the same files.
        decode: Called only if the cache has no entry, by one process at a time.

    Returns:
        Images of shape (N, H, W, C), memory-mapped so that all processes of a node share one copy
        that none can change, and labels of shape (N,).

    Raises:
        OSError: If the cache folder is not writable.
    """
    key = sha256(f"{_FORMAT} {digest(files)} {variant}".encode()).hexdigest()[:32]
    entry = folder() / key
    if not entry.exists():
        with locked(key):
            if not entry.exists():
                _write(entry, *decode())
    # Copy on write: torch requires writable arrays, and the file must not change.
    return np.load(entry / "images.npy", mmap_mode="c"), np.load(entry / "labels.npy")


def locked(name: str) -> FileLock:
    """The lock of that name in the cache folder: one process or thread of the node holds it.

    The kernel releases the lock of a process that dies. The lock file stays in the folder.
    """
    folder().mkdir(parents=True, exist_ok=True)
    return FileLock(folder() / f"{name}.lock")


def _write(entry: Path, images: Images, labels: Labels) -> None:
    """Write an entry under a temporary name and rename it; the caller holds the entry's lock."""
    unfinished = entry.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    np.save(unfinished / "images.npy", images)
    np.save(unfinished / "labels.npy", labels)
    unfinished.rename(entry)


def digest(files: Sequence[str | Path]) -> str:
    """SHA-256 over the names and contents of files, which are read again only after a change.

    Every trial has a process of its own, so the cache folder remembers the digest, by the size and
    times of each file.
    """
    states = sha256()
    for file in files:  # one after another: ImageNet has more than a million
        states.update(repr(_State.of(Path(file))).encode())
    entry = folder() / f"{states.hexdigest()[:32]}.digest"
    if not entry.exists():
        with locked(entry.stem):
            if not entry.exists():
                unfinished = entry.with_suffix(".unfinished")
                unfinished.write_text(_digest(files))
                unfinished.rename(entry)
    return entry.read_text()


class _State(NamedTuple):
    path: Path
    size: int
    modified: int
    changed: int
    """In ns; unlike the time of modification, no program can set it."""

    @classmethod
    def of(cls, path: Path) -> "_State":
        stat = path.stat()
        return cls(path.absolute(), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def _digest(files: Sequence[str | Path]) -> str:
    checksum = sha256()
    for path in map(Path, files):
        checksum.update(f"{path.name} {path.stat().st_size} ".encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                checksum.update(block)
    return checksum.hexdigest()
