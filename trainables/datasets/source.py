"""What every data set is to the rest: files, and a way to decode a split of them."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainables.datasets.cache import Images, Labels

SPLITS = ("train", "test")


class MissingDataError(ValueError):
    """A data set's files are not there; the message says where they come from."""


@dataclass(frozen=True)
class Source:
    """A data set that fits into memory.

    Attributes:
        files: What it is decoded from.
        read: Decodes the split `train` or `test`: images (N, H, W, C) and labels (N,).
    """

    files: Sequence[Path]
    read: Callable[[str], tuple[Images, Labels]]


def data_dir() -> Path:
    """The folder that data sets lie in: ORCH_DATA_DIR, or `data` in the working folder."""
    return Path(os.environ.get("ORCH_DATA_DIR") or "data")
