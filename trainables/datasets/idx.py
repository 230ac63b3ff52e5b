"""MNIST and Fashion-MNIST: IDX files in torchvision's layout, gzipped or not."""

import gzip
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainables.datasets.cache import Images, Labels
from trainables.datasets.source import Source, data_dir, missing

_PREFIX = {"train": "train", "test": "t10k"}


def source(name: str) -> Source:
    """The data set of one of torchvision's classes, `MNIST` or `FashionMNIST`."""
    return Source(partial(_find, name), partial(_read, name), partial(_fetch, name))


def _find(name: str) -> list[Path]:
    return [
        _path(name, f"{prefix}-{kind}-ubyte")
        for prefix in _PREFIX.values()
        for kind in ("images-idx3", "labels-idx1")
    ]


def _path(name: str, stem: str) -> Path:
    """The file with that stem, plain or gzipped.

    Raises:
        MissingDataError: If neither exists.
    """
    folder = data_dir() / name / "raw"
    for path in (folder / stem, folder / f"{stem}.gz"):
        if path.exists():
            return path
    raise missing(
        folder / f"{stem}[.gz]", f"torchvision.datasets.{name}(…, download=True) downloads it"
    )


def _fetch(name: str) -> None:
    from torchvision import datasets  # takes seconds, and only a download needs it

    getattr(datasets, name)(data_dir(), download=True)


def _read(name: str, split: str) -> tuple[Images, Labels]:
    prefix = _PREFIX[split]
    images = _array(_path(name, f"{prefix}-images-idx3-ubyte"))
    labels = _array(_path(name, f"{prefix}-labels-idx1-ubyte"))
    return images[..., np.newaxis], labels.astype(np.int64)


def _array(path: Path) -> npt.NDArray[np.uint8]:
    """The values of an IDX file: two zeros, type 8, number of dimensions, sizes, values.

    Raises:
        ValueError: If the file is invalid or truncated.
    """
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    try:
        dimensions = content[3]
        sizes = np.frombuffer(content, ">u4", dimensions, offset=4)
        values = np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions)
        return values.reshape(sizes).copy()  # bytes are read-only, an image array is not
    except (IndexError, ValueError) as error:
        raise ValueError(f"{path} is not a complete IDX file: {error}") from error
