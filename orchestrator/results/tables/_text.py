"""Prints a table on a terminal."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.containers import Lines
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from orchestrator.results.tables._listing import Labels, Listing

if TYPE_CHECKING:
    from orchestrator.results.tables._pivot import Entry, Pivot


def print_text(pivot: Pivot, console: Console) -> None:
    """Print a table, its notes and its listings.

    Columns that exceed the console's width continue in further blocks below, which repeat the
    row labels.
    """
    console.print(Text(pivot.title, style="bold"))
    for block in _blocks(pivot, console):
        console.print(block)
    for note in pivot.notes:
        console.print(Text(note))
    for listing in pivot.listings:
        console.print()
        print_listing(listing, console)


class _Hyphenated(Text):
    """Text that is folded after hyphens too, as names have them."""

    def wrap(self, console: Console, width: int, **options: Any) -> Lines:
        pieces = [Text(piece) for piece in textwrap.wrap(self.plain, width)]
        return Lines(line for piece in pieces for line in piece.wrap(console, width, **options))


def as_text(show: Callable[[Console], None]) -> str:
    """Return what a function prints on a console of 100 columns without styles."""
    buffer = io.StringIO()
    show(Console(file=buffer, width=100, highlight=False, force_jupyter=False))
    return buffer.getvalue().rstrip("\n")


def print_listing(listing: Listing, console: Console) -> None:
    """Print a listing; text that exceeds the console's width is folded within its column.

    Where the width allows, it is folded between words alone.
    """
    console.print(Text(listing.title, style="bold"))
    header = [(name,) for name in listing.header]
    table = _table(header, len(header))
    for row in listing.rows:
        table.add_row(*map(_Hyphenated, row))
    for column, width in zip(table.columns, _widths(listing, console.width), strict=False):
        column.width = width
    console.print(table)


def _widths(listing: Listing, available: int) -> list[int]:
    """Share a width that does not hold every text on one line, if it holds every word on one."""
    columns = list(zip(listing.header, *listing.rows, strict=True))
    available -= 3 * len(columns) - 1  # the blanks between columns
    longest = [max(map(len, cells)) for cells in columns]
    words = [max(map(len, " ".join(cells).split()), default=0) for cells in columns]
    to_share = available - sum(words)
    wanted = sum(longest) - sum(words)
    if to_share < 0 or wanted <= to_share:
        return []
    return [
        word + to_share * (text - word) // wanted for word, text in zip(words, longest, strict=True)
    ]


def _blocks(pivot: Pivot, console: Console) -> Iterator[Table]:
    """Split the columns into as few blocks as the width allows, with at least one column each."""
    unbounded = console.options.update(max_width=1_000_000)
    start, end = 0, len(pivot.columns)
    while start < end:
        stop = start + 1
        while stop < end:
            wider = _block(pivot, start, stop + 1)
            if Measurement.get(console, unbounded, wider).maximum > console.width:
                break
            stop += 1
        yield _block(pivot, start, stop)
        start = stop


def _block(pivot: Pivot, start: int, stop: int) -> Table:
    corner = [(name,) for name in pivot.corner]
    block = _table([*corner, *pivot.columns[start:stop]], len(corner))
    for labels, entries in zip(pivot.rows, pivot.entries, strict=True):
        block.add_row(*map(Text, labels), *map(_text, entries[start:stop]))
    return block


def _text(entry: Entry | None) -> Text:
    if entry is None:
        return Text()
    return Text(str(entry), style="bold" if entry.bold else "")


def _table(headers: Sequence[Labels], left: int) -> Table:
    """Make a table without rows, whose first ``left`` columns are labels."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for labels in headers[:left]:
        table.add_column(Text("\n".join(labels)), justify="left", overflow="fold")
    for labels in headers[left:]:
        table.add_column(Text("\n".join(labels)), justify="right", overflow="fold")
    return table
