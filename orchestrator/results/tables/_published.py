"""Our values beside those that a paper publishes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from orchestrator.labels import Unit, label, unit
from orchestrator.results.measures import selected_values
from orchestrator.results.selection import CellSelection
from orchestrator.results.statistics import Statistics, statistics
from orchestrator.results.tables._listing import NOTHING, Labels, Listing
from orchestrator.spec.shown import Published, Table
from orchestrator.spec.values import Value, by_value

if TYPE_CHECKING:
    from orchestrator.results.results import Results


def published(
    results: Results, table: Table, figures: Published, factors: Labels
) -> Iterator[Listing]:
    """List, for each published value, ours, the published one and their difference per cell.

    Args:
        results: the results of a sweep.
        table: one of its tables.
        figures: the published values.
        factors: the factors that identify a cell.
    """
    rows = [dict(zip(figures.columns, row, strict=True)) for row in figures.rows]
    for name in (n for n in figures.columns if n in results.sweep.values_of(table)):
        value_unit = unit(name, table.percent, table.precision)
        pairs = [
            (selection, row[name])
            for row in rows
            for selection in results.selections
            if row[name] is not None and _agree(selection.cell.factors, row)
        ]
        measured = results.measure(name)
        lines = tuple(
            (
                *cell_labels(selection, factors),
                *_compared(
                    value_unit, _ours(measured, selection), value, results.marks(selection).signs
                ),
            )
            for selection, value in pairs
        )
        title = f"{value_unit.heading(name)} beside {figures.source}"
        yield Listing(title, (*factors, "ours", "published", "difference"), lines)


def cell_labels(selection: CellSelection, factors: Labels) -> Labels:
    """Write a cell's factor values."""
    return tuple(label(selection.cell.factors[name]) for name in factors)


def _ours(measured: Mapping[str, float], selection: CellSelection) -> Statistics:
    return statistics(selected_values(measured, selection))


def _agree(cell: Mapping[str, Value], row: Mapping[str, Value]) -> bool:
    return all(by_value(row[name]) == by_value(cell[name]) for name in cell.keys() & row.keys())


def _compared(unit: Unit, ours: Statistics, published: float, marks: str) -> Labels:
    """Write our value, the published one, which is in the printed unit, and the difference.

    Args:
        unit: of our value.
        ours: our values.
        published: the published value.
        marks: signs of the trials behind our value.
    """
    if math.isnan(ours.mean):
        return NOTHING, label(published), NOTHING
    difference = unit.signed(ours.mean - published / unit.factor, ours.std)
    return unit.text(ours.mean, ours.std) + marks, label(published), difference
