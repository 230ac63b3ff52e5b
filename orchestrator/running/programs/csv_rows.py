"""The rows of a CSV file as far as it was read."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from orchestrator.errors import TrialError
from orchestrator.running.programs import Epoch
from orchestrator.running.programs.epochs import Epochs, number_in, shown

_COMPARED = 4096
"""Bytes at the beginning, and before the end, of what was read, by which it is known again."""


class Rows:
    """Parses what comes in, and remembers what came.

    Args:
        path: the file, as messages name it.
        epochs: makes epochs of rows.

    Attributes:
        header: the names of the columns; None until that line is complete.
        digests: one per epoch, over its numbers: the same when columns are added or moved.
        size: bytes that were read; what follows them is incomplete.
    """

    def __init__(self, path: Path, epochs: Epochs) -> None:
        self.header: list[str] | None = None
        self.digests = array("q")
        self.size = 0
        self._path = path
        self._epochs = epochs
        self._first = self._last = b""

    @classmethod
    def passed_over(cls, path: Path, epochs: Epochs, data: bytes) -> Rows:
        """Take what an earlier attempt has left, up to a line at whose writing it was killed."""
        rows = cls(path, epochs)
        rows.add(data, final=False)
        if rows.header is not None:
            rows._remember(data[rows.size :])
        return rows

    def begin(self, file: BinaryIO) -> bool:
        """Tell whether a file still begins with what was read."""
        file.seek(0)
        if file.read(len(self._first)) != self._first:
            return False
        file.seek(self.size - len(self._last))
        return file.read(len(self._last)) == self._last

    def add(self, data: bytes, *, final: bool) -> list[Epoch]:
        """Parse what follows, and return its epochs.

        Args:
            data: the bytes from `size` on.
            final: whether nothing comes after them, so that the last line is complete.

        Raises:
            TrialError: it is no CSV.
        """
        if b"\0" in data:
            raise self._no_csv("it has bytes that are no text")
        lines = data.splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n") and not final:
            lines.pop()
        reader = csv.reader((_text(line) for line in lines), strict=True)
        records, complete = [], 0
        try:
            for record in reader:
                records.append(record)
                complete = reader.line_num
        except csv.Error as error:
            if final or reader.line_num < len(lines):
                raise self._no_csv(str(error)) from None
            # Else the last line may have begun a quoted field that goes on.
        self._remember(b"".join(lines[:complete]))
        return [epoch for record in records for epoch in self._epochs_of(record)]

    def _epochs_of(self, record: list[str]) -> Iterator[Epoch]:
        names = [field.strip() for field in record]
        if names == self.header or not any(names):
            return  # the header once more, by a program that went on, or a blank line
        if self.header is None:
            self.header = names
            return
        if len(names) != len(self.header):
            raise self._no_csv(
                f"a row has {len(names)} fields where its header has {len(self.header)}: "
                f"{shown(','.join(record))}"
            )
        values = map(number_in, record)
        for epoch in self._epochs.of(zip(self.header, values, strict=True)):
            numbers = ((name, repr(value)) for name, value in epoch.items() if value is not None)
            self.digests.append(hash(frozenset(numbers)))
            yield epoch

    def _remember(self, data: bytes) -> None:
        self.size += len(data)
        self._first = (self._first + data[:_COMPARED])[:_COMPARED]
        self._last = (self._last + data)[-_COMPARED:]

    def _no_csv(self, reason: str) -> TrialError:
        return TrialError(f"{self._path}, which `metrics` names, is no CSV file: {reason}")


def _text(line: bytes) -> str:
    return line.decode("utf-8-sig", errors="backslashreplace")
