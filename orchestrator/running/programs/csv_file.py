"""Epochs as the rows of a CSV file that grows while its program runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from orchestrator.errors import TrialError
from orchestrator.running.file_stamp import FileStamp
from orchestrator.running.programs import Epoch, Source
from orchestrator.running.programs.csv_rows import Rows
from orchestrator.running.programs.epochs import Epochs, shown


class CsvFile(Source):
    """Makes an epoch of each row that comes into a file.

    Loggers write the whole file again when a column comes in, so that a file which has not only
    grown is read again, and known rows are passed over. Rows that were there before are no
    epochs, unless the file is begun anew: with other rows, or with fewer that stay fewer.

    Args:
        path: the file, which need not exist yet.
        epochs: makes epochs of rows.

    Raises:
        TrialError: the file cannot be read.
    """

    def __init__(self, path: Path, epochs: Epochs) -> None:
        self._path = path
        self._epochs = epochs
        self._rows = Rows(path, epochs)
        self._has_epochs = False
        self._is_shorter = False
        self._before = self._seen = FileStamp.of(path)
        if file := self._open():
            with file, suppress(TrialError):  # what is wrong in it may be begun anew
                self._rows = Rows.passed_over(path, epochs, file.read())

    def poll(self) -> Iterator[Epoch]:
        """Read the rows that came since, if the file has changed.

        Raises:
            TrialError: it is no CSV file, or cannot be read.
        """
        stamp = FileStamp.of(self._path)
        if stamp != self._seen or self._is_shorter:
            self._seen = stamp
            yield from self._read(final=False)

    def end(self) -> Iterator[Epoch]:
        """Read the rest; now the last line needs no line break.

        Raises:
            TrialError: it is no CSV file, or cannot be read.
        """
        stamp = FileStamp.of(self._path)
        if stamp == self._before:
            return
        yield from self._read(final=True)
        if not self._has_epochs and stamp and self._before and stamp.size == self._before.size:
            # Written, and of the same size: the program has logged the very rows of before.
            self._rows = Rows(self._path, self._epochs)
            yield from self._read(final=True)

    def nothing(self) -> str:
        """Say that there is no file, or that no row with a number came into it."""
        if self._rows.header is None:
            return f"`metrics` expects a CSV file {self._path}, which does not exist or is empty"
        return (
            f"`metrics` expects a CSV file {self._path}, which got no row with a number; its "
            f"columns are {shown(', '.join(self._rows.header))}"
        )

    def _open(self) -> BinaryIO | None:
        try:
            return self._path.open("rb", buffering=0)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise TrialError(
                f"{self._path}, which `metrics` names, cannot be read ({error.strerror})"
            ) from None

    def _read(self, *, final: bool) -> Iterator[Epoch]:
        file = self._open()
        if file is None:
            return
        with file:
            file.seek(self._rows.size)
            data = file.read()
            if self._rows.begin(file):  # looked at last: it may be written again meanwhile
                self._is_shorter = False
                epochs = self._rows.add(data, final=final)
            else:
                file.seek(0)
                epochs = self._read_again(file.read(), final=final)
        for epoch in epochs:
            self._has_epochs = True
            yield epoch

    def _read_again(self, data: bytes, *, final: bool) -> list[Epoch]:
        """Read the whole file, and return the epochs that are new in it."""
        again = Rows(self._path, self._epochs)
        epochs = again.add(data, final=final)
        known = len(self._rows.digests)
        if again.digests[:known] == self._rows.digests:
            epochs = epochs[known:]
        elif again.digests == self._rows.digests[: len(again.digests)] and not final:
            # It is being written at this moment, unless it is found so, at a row's end, twice.
            was_shorter, self._is_shorter = self._is_shorter, again.size == len(data) > 0
            if not (was_shorter and self._is_shorter and again.digests):
                return []
        self._rows, self._is_shorter = again, False
        return epochs
