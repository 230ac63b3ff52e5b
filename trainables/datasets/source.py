"""What every data set is to the rest: files, a way to decode them, a way to get them."""

import os
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from sys import stderr

from trainables.datasets.cache import Images, Labels, locked


class MissingDataError(ValueError):
    """A data set's files are not there; the message says where they come from."""


@dataclass(frozen=True)
class Source:
    """A data set that fits into memory.

    Attributes:
        find: The files that it is decoded from; raises MissingDataError.
        read: Decodes the split `train` or `test`: images (N, H, W, C) and labels (N,).
        fetch: Downloads the files into the data folder; None where nothing can.
    """

    find: Callable[[], Sequence[Path]]
    read: Callable[[str], tuple[Images, Labels]]
    fetch: Callable[[], object] | None = None

    def files(self) -> Sequence[Path]:
        """The files, downloaded if they are missing: by one process of a node, the others wait.

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
                return self.find()  # another process may have had the lock before
            except MissingDataError as missing:
                _fetch(self.fetch, missing)
        return self.find()


def _fetch(fetch: Callable[[], object], missing: MissingDataError) -> None:
    try:
        with redirect_stdout(stderr):  # torchvision prints what it does
            fetch()
    except (OSError, RuntimeError) as error:
        [reason, *_] = [*str(error).strip().splitlines(), type(error).__name__]
        raise MissingDataError(f"{missing} (downloading failed: {reason})") from error


def data_dir() -> Path:
    """The folder that data sets lie in: ORCH_DATA_DIR, or `data` in the working folder."""
    return Path(os.environ.get("ORCH_DATA_DIR") or "data").absolute()


def required(paths: Sequence[Path], advice: str) -> Sequence[Path]:
    """The paths, if they all exist.

    Raises:
        MissingDataError: If one does not; it names it and ends with the advice.
    """
    for path in paths:
        if not path.exists():
            raise MissingDataError(f"missing {path}; {advice}")
    return paths
