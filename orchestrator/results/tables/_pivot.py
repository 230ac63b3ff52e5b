"""Lays a table out in rows and columns, with its notes and listings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from orchestrator.labels import Unit, label, named_label, unit
from orchestrator.results.measures import selected_values
from orchestrator.results.selection import TIE, CellSelection
from orchestrator.results.statistics import statistics
from orchestrator.results.tables._html import html
from orchestrator.results.tables._listing import INCOMPLETE, NOTHING, Labels, Listing
from orchestrator.results.tables._notes import listings, notes
from orchestrator.results.tables._text import as_text, print_text
from orchestrator.spec.model import Sweep
from orchestrator.spec.shown import Table
from orchestrator.spec.values import Value, by_value

if TYPE_CHECKING:
    from orchestrator.results.results import Results


@dataclass(frozen=True)
class Entry:
    """One value of one cell, ready to print.

    Attributes:
        mean: as printed; a dash if there is none.
        std: as printed; empty if there is none.
        seeds: the value of each seed, as printed.
        complete: whether every trial of the cell has a result.
        marks: signs of trials that diverged, or ran for other numbers of epochs.
        bold: whether the mean is the best of its row, or of its column if the table has no
            factor in the columns.
        value: the mean as stored; NaN if there is none.
    """

    mean: str
    std: str
    seeds: Labels
    complete: bool
    marks: str
    bold: bool
    value: float

    @property
    def tail(self) -> str:
        """The number of seeds, the mark of an incomplete cell, and those of its trials."""
        count = f" ({len(self.seeds)})" if self.seeds else ""
        return count + ("" if self.complete else INCOMPLETE) + self.marks

    def __str__(self) -> str:
        return self.mean + (f" ± {self.std}" if self.std else "") + self.tail


@dataclass(frozen=True, repr=False)
class Pivot:
    """A table with its notes and listings.

    Attributes:
        name: the table's name.
        title: its name and values.
        corner: the factors whose values label the rows.
        rows: labels of each row, shape (rows, factors in ``corner``).
        columns: labels of each column, shape (columns, levels).
        entries: shape (rows, columns); None if the sweep has no such cell.
        notes: sentences printed below the table.
        listings: further tables: the selected configs and the published values.
    """

    name: str
    title: str
    corner: Labels
    rows: tuple[Labels, ...]
    columns: tuple[Labels, ...]
    entries: tuple[tuple[Entry | None, ...], ...]
    notes: Labels
    listings: tuple[Listing, ...]

    def __repr__(self) -> str:
        return as_text(lambda console: print_text(self, console))

    def _repr_html_(self) -> str:
        return html(self)

    def spans(self) -> list[list[tuple[str, int]]]:
        """List, for each level of the column labels, the labels and how many columns each spans."""
        levels = range(1, len(self.columns[0]) + 1) if self.columns else range(0)
        return [
            [(head[-1], len(list(run))) for head, run in groupby(c[:level] for c in self.columns)]
            for level in levels
        ]


Place = tuple[int, ...]
"""Positions of factor values on their axes, so that places sort in file order."""

Key = tuple[Place, str, Place]
"""The row, the value and the column of an entry."""


def pivot(results: Results, table: Table) -> Pivot:
    """Lay a table out as the sweep file says.

    A factor that the table does not name labels the rows too, after those that it does name,
    if it varies among the cells; otherwise a note gives its value. If the table shows several
    values, or has no factor in the columns, the name of the value labels the columns as well.

    Args:
        results: the results of a sweep.
        table: one of its tables.

    Raises:
        ShowError: the store has no such metric or probe.
    """
    sweep, selections = results.sweep, results.selections
    names = sweep.values_of(table)
    units = {name: unit(name, table.percent, table.precision) for name in names}
    layout = _Layout(sweep, table, selections)
    values = {
        layout.key(name, selection): (
            selected_values(results.measure(name, table.layers), selection),
            selection.complete,
            results.marks(selection).signs,
        )
        for selection in selections
        for name in names
    }
    best = _best(table, values)
    entries = {key: _entry(units[key[1]], *of, bold=key in best) for key, of in values.items()}
    rows = sorted({row for row, _, _ in entries})
    places = sorted({place for _, _, place in entries})
    columns = [(name, place) for name in names for place in places]
    headings = {name: units[name].heading(name) for name in names}
    names_in_columns = len(names) > 1 or not layout.columns
    return Pivot(
        name=table.name,
        title=f"{table.name}: {', '.join(headings.values())}",
        corner=layout.rows,
        rows=tuple(layout.labels(row, layout.rows) for row in rows),
        columns=tuple(
            ((headings[name],) if names_in_columns else ()) + layout.headings(place)
            for name, place in columns
        ),
        entries=tuple(tuple(entries.get((row, *column)) for column in columns) for row in rows),
        notes=(*layout.notes(), *notes(results, table, layout.rows + layout.columns)),
        listings=listings(results, table, layout.rows + layout.columns),
    )


class _Layout:
    """The factors that label rows and columns, and the positions of cells by their values."""

    def __init__(self, sweep: Sweep, table: Table, selections: Sequence[CellSelection]) -> None:
        self.axes = sweep.factors
        self.positions = {
            name: {by_value(value): index for index, value in enumerate(values)}
            for name, values in self.axes.items()
        }
        unnamed = [name for name in self.axes if name not in table.rows + table.columns]
        self.unnamed = {name: {self._place(s, (name,)) for s in selections} for name in unnamed}
        self.columns = table.columns
        self.rows = table.rows + tuple(name for name in unnamed if len(self.unnamed[name]) > 1)

    def key(self, name: str, selection: CellSelection) -> Key:
        return self._place(selection, self.rows), name, self._place(selection, self.columns)

    def _place(self, selection: CellSelection, factors: Iterable[str]) -> Place:
        values = selection.cell.factors
        return tuple(self.positions[name][by_value(values[name])] for name in factors)

    def labels(self, place: Place, factors: Iterable[str]) -> Labels:
        pairs = zip(factors, place, strict=True)
        return tuple(label(self.axes[name][index]) for name, index in pairs)

    def headings(self, place: Place) -> Labels:
        """Label a column."""
        pairs = zip(self.columns, place, strict=True)
        return tuple(named_label(name, self.axes[name][index]) for name, index in pairs)

    def notes(self) -> Labels:
        """Give the value of each factor that does not vary and so labels nothing."""
        fixed = [
            f"{name} {self.labels(place, (name,))[0]}"
            for name, places in self.unnamed.items()
            for place in places
            if len(places) == 1
        ]
        return (f"All cells: {', '.join(fixed)}.",) if fixed else ()


def _entry(unit: Unit, values: Sequence[float], complete: bool, marks: str, *, bold: bool) -> Entry:
    over_seeds = statistics(values)
    std = over_seeds.std
    mean, deviation = unit.pair(over_seeds.mean, std) if values else (NOTHING, "")
    deviation = "" if math.isnan(std) else deviation
    seeds = tuple(unit.text(value, std) for value in values)
    return Entry(mean, deviation, seeds, complete, marks if values else "", bold, over_seeds.mean)


def _best(table: Table, cells: Mapping[Key, tuple[Sequence[float], bool, str]]) -> set[Key]:
    """Find the best mean of each row, or of each column if no factor is in the columns."""
    if table.best is None:
        return set()
    groups: dict[tuple[Value, ...], dict[Key, float]] = {}
    for key, (values, *_) in cells.items():
        mean = statistics(values).mean
        if not math.isnan(mean):
            row, name, _ = key
            groups.setdefault((name, row if table.columns else ()), {})[key] = mean
    choose = max if table.best == "max" else min
    return {
        key
        for means in groups.values()
        for key, mean in means.items()
        if len(means) > 1 and math.isclose(mean, choose(means.values()), rel_tol=TIE)
    }
