"""The table as people read it: cells in rows and columns, and what must be said beside."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from orchestrator.measures import PROBE, measure, selected_values
from orchestrator.selection import CellSelection, Statistics, statistics
from orchestrator.sweep import Sweep, Table, Value, canonical

INCOMPLETE = "*"
NOTHING = "—"

Labels = tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """One value of one cell, ready to print.

    Attributes:
        mean: with the decimals to print; a dash in an empty cell.
        std: likewise; empty where there is none.
        n: number of seeds.
        complete: whether every trial of the cell has a result.
    """

    mean: str
    std: str
    n: int
    complete: bool

    def __str__(self) -> str:
        deviation = f" ± {self.std}" if self.std else ""
        count = f" ({self.n})" if self.n else ""
        return f"{self.mean}{deviation}{count}{'' if self.complete else INCOMPLETE}"


@dataclass(frozen=True)
class Listing:
    """Plain text under headings: what was selected in each cell.

    Attributes:
        header: shape (columns,).
        rows: shape (cells, columns).
    """

    header: Labels
    rows: tuple[Labels, ...]


@dataclass(frozen=True)
class Pivot:
    """A table with what belongs beside it.

    Attributes:
        title: the table's name and values.
        corner: the factors whose values label the rows.
        rows: labels per row, shape (rows, factors in ``corner``).
        columns: labels per column, one or more each.
        entries: shape (rows, columns); None where the sweep has no such cell.
        notes: sentences.
        selected: the selected search values; None if there was nothing to select.
    """

    title: str
    corner: Labels
    rows: tuple[Labels, ...]
    columns: tuple[Labels, ...]
    entries: tuple[tuple[Entry | None, ...], ...]
    notes: Labels
    selected: Listing | None


def pivot(
    sweep: Sweep,
    table: Table,
    selections: Sequence[CellSelection],
    trials: pd.DataFrame,
    probes: pd.DataFrame | None,
) -> Pivot:
    """Lay a table out as the sweep file says.

    Factors that the table does not name label the rows too, after those that it does,
    if their value varies among the cells; else a note gives their value. With several
    values, or no factor in the columns, the columns are labelled with the value as well.

    Args:
        sweep: the sweep.
        table: which factors and values go where.
        selections: of `orchestrator.selection.select`.
        trials: the store's ``trials``.
        probes: the store's ``probes``; None if the table has no ``probe:`` values.

    Raises:
        ShowError: the store has no such metric or probe.
    """
    names = table.values or (sweep.select.metric,)
    layout = _Layout(sweep, table, selections)
    entries: dict[tuple[Place, Place, str], Entry] = {}
    for name in names:
        measured = measure(name, sweep, trials, probes)
        for selection in selections:
            place = layout.place(selection, layout.rows), layout.place(selection, layout.columns)
            values = selected_values(measured, selection)
            entries[*place, name] = _entry(name, statistics(values), selection.complete)
    rows = sorted({row for row, _, _ in entries})
    places = sorted({column for _, column, _ in entries})
    columns = [(name, place) for name in names for place in places]
    named = len(names) > 1 or not layout.columns
    return Pivot(
        title=f"{table.name}: {', '.join(map(_heading, names))}",
        corner=layout.rows,
        rows=tuple(layout.labels(row, layout.rows) for row in rows),
        columns=tuple(
            ((_heading(name),) if named else ()) + layout.labels(place, layout.columns)
            for name, place in columns
        ),
        entries=tuple(
            tuple(entries.get((row, place, name)) for name, place in columns) for row in rows
        ),
        notes=(*_notes(sweep, selections, names), *layout.constants()),
        selected=_listing(sweep, selections, layout.rows + layout.columns),
    )


Place = tuple[int, ...]
"""Positions of factor values on their axes, so that places sort in file order."""


class _Layout:
    """Which factors label rows and columns."""

    def __init__(self, sweep: Sweep, table: Table, selections: Sequence[CellSelection]) -> None:
        self.axes = sweep.factors
        self.positions = {
            name: {canonical(value): index for index, value in enumerate(values)}
            for name, values in self.axes.items()
        }
        rest = [name for name in self.axes if name not in table.rows + table.columns]
        self.found = {
            name: {self.place(selection, (name,)) for selection in selections} for name in rest
        }
        self.columns = table.columns
        self.rows = table.rows + tuple(name for name in rest if len(self.found[name]) > 1)

    def place(self, selection: CellSelection, factors: Iterable[str]) -> Place:
        values = selection.cell.factors
        return tuple(self.positions[name][canonical(values[name])] for name in factors)

    def labels(self, place: Place, factors: Iterable[str]) -> Labels:
        pairs = zip(factors, place, strict=True)
        return tuple(label(self.axes[name][index]) for name, index in pairs)

    def constants(self) -> Labels:
        """Name the value of each factor that does not vary and labels nothing."""
        fixed = [
            f"{name} {self.labels(place, (name,))[0]}"
            for name, places in self.found.items()
            for place in places
            if len(places) == 1
        ]
        return (f"All cells: {', '.join(fixed)}.",) if fixed else ()


def label(value: Value) -> str:
    """Write a param's value as the sweep file does."""
    return value if isinstance(value, str) else canonical(value)


def _is_percent(name: str) -> bool:
    return name.endswith("accuracy") and not name.startswith(PROBE)


def _heading(name: str) -> str:
    return f"{name} (%)" if _is_percent(name) else name


def _entry(name: str, values: Statistics, complete: bool) -> Entry:
    if values.n == 0:
        return Entry(NOTHING, "", 0, complete)
    factor, decimals = (100, 2) if _is_percent(name) else (1, 4)
    std = "" if math.isnan(values.std) else f"{factor * values.std:.{decimals}f}"
    return Entry(f"{factor * values.mean:.{decimals}f}", std, values.n, complete)


def _notes(sweep: Sweep, selections: Sequence[CellSelection], names: Iterable[str]) -> Labels:
    select = sweep.select
    size = "largest" if select.mode == "max" else "smallest"
    notes = [
        "Mean ± sample standard deviation over seeds (number of seeds).",
        f"Per cell, the config with the {size} mean {select.metric} at its {select.at} epoch.",
    ]
    if select.metric.startswith("test"):
        notes[-1] += " That is test data: the papers' protocol, and optimistic."
    if any(name.startswith(PROBE) for name in names):
        notes.append("Probes are means over layers at the last epoch.")
    unfinished = [selection for selection in selections if not selection.complete]
    if unfinished:
        missing = sum(selection.missing for selection in unfinished)
        failed = sum(selection.failed for selection in unfinished)
        notes.append(
            f"{INCOMPLETE} {len(unfinished)} of {len(selections)} cells incomplete: "
            f"{missing} trials missing, {failed} failed."
        )
    lost = sum(selection.complete and selection.best is None for selection in selections)
    if lost:
        notes.append(f"{NOTHING} in {lost} of {len(selections)} cells every config diverged.")
    return tuple(notes)


def _listing(sweep: Sweep, selections: Sequence[CellSelection], factors: Labels) -> Listing | None:
    if not sweep.search:
        return None
    rows = []
    for selection in selections:
        cell = tuple(label(selection.cell.factors[name]) for name in factors)
        if selection.best is None:
            rows.append(cell + (NOTHING,) * len(sweep.search))
        else:
            rows.append(cell + tuple(map(label, selection.best.config.search.values())))
    return Listing((*factors, *sweep.search), tuple(rows))
