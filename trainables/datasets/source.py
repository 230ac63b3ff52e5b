"""The interface of a data set: its files, and how to decode and download them."""

import os
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from sys import stderr

from trainables.datasets.cache import Images, Labels, locked


class MissingDataError(ValueError):
    """A data set's files do not exist; the message says where to get them."""


@dataclass(frozen=True)
class Source:
    """A data set that fits into memory.

    Attributes:
        find: Returns the files to decode; raises MissingDataError.
        read: Decodes the split `train` or `test`: images (N, H, W, C) and labels (N,).
        fetch: Downloads the files into the data folder; None if that is not possible.
    """

    find: Callable[[], Sequence[Path]]
    read: Callable[[str], tuple[Images, Labels]]
    fetch: Callable[[], object] | None = None

    def files(self) -> Sequence[Path]:
        """The files, downloaded if missing by one process of the node while the others wait.

        Raises:
            MissingDataError: If they are missing and cannot be downloaded.
        """
        try:
            return self.find()
        except MissingDataError:
            if self.fetch is None:
                raise
        with locked("download"):
            try:
                return self.find()  # another process may have downloaded them meanwhile
            except MissingDataError as error:
                _fetch(self.fetch, error)
        return self.find()


def _fetch(fetch: Callable[[], object], why: MissingDataError) -> None:
    try:
        with redirect_stdout(stderr):  # torchvision prints its progress
            fetch()
    except (OSError, RuntimeError) as error:
        [reason, *_] = [*str(error).strip().splitlines(), type(error).__name__]
        raise MissingDataError(f"{why} (downloading failed: {reason})") from error


def data_dir() -> Path:
    """The folder of data sets: ORCH_DATA_DIR, or `data` in the working folder."""
    return Path(os.environ.get("ORCH_DATA_DIR") or "data").absolute()


def required(paths: Sequence[Path], advice: str) -> Sequence[Path]:
    """Return the paths, which must all exist.

    Raises:
        MissingDataError: If one does not; the message names it and ends with the advice.
    """
    for path in paths:
        if not path.exists():
            raise missing(path, advice)
    return paths


def missing(path: Path, advice: str) -> MissingDataError:
    """Make the error for a file or folder that does not exist; its message ends with the advice."""
    folder = data_dir()
    if not path.is_relative_to(folder):
        return MissingDataError(f"{path} does not exist; {advice}")
    which = "" if folder.exists() else ", which does not exist"
    return MissingDataError(
        f"no {path.relative_to(folder)} in the folder of data sets, {folder}{which} "
        f"(`--data-dir` or ORCH_DATA_DIR names another); {advice}"
    )
