"""Image files decoded once per node, into one file that every process maps into its memory."""

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from hashlib import sha256
from io import BufferedWriter
from pathlib import Path
from statistics import mean
from time import monotonic
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from filelock import Timeout
from PIL import Image
from rich.filesize import decimal

from trainables.ahead import ahead
from trainables.datasets import cache
from trainables.datasets.cache import Images

_FORMAT = "1"  # part of every key: change it with the format or content of the entries
_CHUNK = 256
"""Images after which the file is safe on disk: 70 MB of ImageNet."""
_SAMPLE = 200
"""Images whose sizes tell how much space all of them take."""
# What Pillow raises about a file; the last for more than 178 million pixels.
_UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)

Log = Callable[[str], None]


class Pixels(NamedTuple):
    """Images of different sizes, in RGB.

    Attributes:
        data: Their pixels one after another, uint8, memory-mapped.
        shapes: Height and width of each, int32, shape (N, 2).
        starts: Where each begins in `data`, int64, shape (N,).
        digest: SHA-256 of the files that they were decoded from.
    """

    data: npt.NDArray[np.uint8]
    shapes: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]
    digest: str

    def image(self, row: int) -> Images:
        """One image, shape (H, W, 3)."""
        height, width = self.shapes[row].tolist()
        start = int(self.starts[row])
        return self.data[start : start + height * width * 3].reshape(height, width, 3)


def decoded(files: Sequence[str], side: int, threads: int, log: Log) -> Pixels:
    """The images of some files; the first process of the node to ask for them decodes them.

    Larger images are scaled so that the shorter side is `side` pixels, by averaging (Pillow's
    bilinear filter; a JPEG may first be reduced while it is decoded); smaller ones keep their size.
    A process that was killed while it decoded is continued by the next.

    Args:
        files: Paths, of which there is at least one.
        side: In pixels.
        threads: Number of threads that decode.
        log: Called with lines about the progress.

    Raises:
        ValueError: If a file is no image.
        OSError: If the cache folder is not writable, or its disk too small.
    """
    digest = cache.digest(files)
    key = sha256(f"pixels {_FORMAT} {digest} {side}".encode()).hexdigest()[:32]
    entry = cache.folder() / key
    if not entry.exists():
        with _locked(key, log):
            if not entry.exists():
                _make(entry, files, side, threads, log)
    shapes = _shapes(entry)
    sizes = _bytes(shapes)
    # Copy on write: torch requires writable arrays, and the file must not change.
    data = np.memmap(entry / "pixels", np.uint8, "c").view(np.ndarray)
    return Pixels(data, shapes, np.cumsum(sizes) - sizes, digest)


def _locked(key: str, log: Log) -> AbstractContextManager[object]:
    lock = cache.locked(key)
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        log("another process is decoding the images: waiting for it")
        return lock.acquire()


def _make(entry: Path, files: Sequence[str], side: int, threads: int, log: Log) -> None:
    """Write an entry under a temporary name and rename it; the caller holds the entry's lock."""
    unfinished = entry.with_suffix(".unfinished")
    unfinished.mkdir(exist_ok=True)
    done = _shapes(unfinished)
    needed = int(_estimated_bytes(files, side) * (1 - len(done) / len(files)))
    log(
        f"decoding {len(files) - len(done):,} of {len(files):,} images once, into about "
        f"{decimal(needed)} of {entry}"
    )
    _require_space(unfinished, needed, side)
    try:
        _write(unfinished, files, side, done, threads, log)
    except OSError as error:  # of a buffer, which knows no path
        raise OSError(error.errno, error.strerror, str(unfinished)) from error
    unfinished.rename(entry)


def _write(
    folder: Path,
    files: Sequence[str],
    side: int,
    done: npt.NDArray[np.int32],
    threads: int,
    log: Log,
) -> None:
    """Decode the files after those that are done, and append them to an entry."""
    with (folder / "pixels").open("ab") as pixels, (folder / "shapes").open("ab") as shapes:
        pixels.truncate(int(_bytes(done).sum()))
        shapes.truncate(done.nbytes)
        chunks = [files[i : i + _CHUNK] for i in range(len(done), len(files), _CHUNK)]
        progress = _Progress(len(done), len(files), log)
        for images in ahead(partial(_read, side=side), chunks, threads):
            # In this order, so that a shape on disk says that its pixels are.
            _append(pixels, images)
            _append(shapes, [np.array([image.shape[:2] for image in images], np.int32)])
            progress.add(len(images))


def _read(paths: Sequence[str], side: int) -> list[Images]:
    return [_decode(path, side) for path in paths]


def _decode(path: str, side: int) -> Images:
    try:
        with Image.open(path) as image:
            size = _scaled(image.size, side)
            image.draft("RGB", size)
            return np.asarray(image.convert("RGB").resize(size, Image.Resampling.BILINEAR))
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: Exception) -> ValueError:
    return ValueError(f"{path} cannot be decoded: {error}; replace or remove it")


def _scaled(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Width and height such that the shorter one is `side` pixels, or as many as there are."""
    scale = min(1, side / min(size))
    return round(size[0] * scale), round(size[1] * scale)


def _append(file: BufferedWriter, arrays: Sequence[npt.NDArray[np.generic]]) -> None:
    file.writelines(array.tobytes() for array in arrays)
    file.flush()
    os.fdatasync(file.fileno())


def _shapes(entry: Path) -> npt.NDArray[np.int32]:
    """Heights and widths of the images that are in an entry."""
    file = entry / "shapes"
    if not file.exists():
        return np.zeros((0, 2), np.int32)
    values = np.fromfile(file, np.int32)
    return values[: len(values) // 2 * 2].reshape(-1, 2)


def _bytes(shapes: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    sizes: npt.NDArray[np.int64] = shapes.astype(np.int64).prod(1) * 3
    return sizes


def _estimated_bytes(files: Sequence[str], side: int) -> float:
    """The bytes of all images, by the sizes of some."""
    sizes = []
    for path in files[:: max(1, len(files) // _SAMPLE)]:
        try:
            with Image.open(path) as image:
                width, height = _scaled(image.size, side)
        except _UNREADABLE as error:
            raise _unreadable(path, error) from error
        sizes.append(width * height * 3)
    return mean(sizes) * len(files)


def _require_space(folder: Path, needed: int, side: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            f"the images decoded to {side} pixels take about {decimal(needed)}, and the disk of "
            f"{folder.parent} has {decimal(free)} free: set ORCH_CACHE_DIR to another disk, or "
            "the param `decoded_size` to fewer pixels, or to null to decode them in every epoch"
        )


class _Progress:
    """Logs a line for every percent of the images."""

    def __init__(self, done: int, of: int, log: Log) -> None:
        self._before = self._done = done
        self._of = of
        self._log = log
        self._began = monotonic()

    def add(self, count: int) -> None:
        percent = 100 * self._done // self._of
        self._done += count
        if 100 * self._done // self._of == percent:
            return
        elapsed = monotonic() - self._began
        left = elapsed / (self._done - self._before) * (self._of - self._done)
        to_go = f", about {left / 60:,.0f} min to go" if left else ""
        self._log(f"decoded {self._done:,} of {self._of:,} images{to_go}")
