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
    """List what is published beside ours, by cell: each value with the difference, and the params.

    Args:
        results: the results of a sweep.
        table: one of its tables.
        figures: the published values.
        factors: the factors that identify a cell.
    """
    found = published_cells(results, figures)
    values = results.sweep.values_of(table)
    for name in (n for n in figures.columns if n in values):
        value_unit = unit(name, table.percent, table.precision)
        pairs = [(selection, row[name]) for selection, row in found if row[name] is not None]
        measured = results.measure(name, table.layers)
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
    params = [n for n in figures.columns if n not in {*values, *results.sweep.factors}]
    if params:
        header = (*factors, *(text for name in params for text in (name, "published")))
        lines = tuple(
            (*cell_labels(selection, factors), *_chosen(selection, row, params))
            for selection, row in found
        )
        yield Listing(f"Selected beside {figures.source}", header, lines)


def published_cells(
    results: Results, figures: Published
) -> list[tuple[CellSelection, dict[str, Value]]]:
    """Find the cells of each published row, which is given by column."""
    rows = [dict(zip(figures.columns, row, strict=True)) for row in figures.rows]
    return [
        (selection, row)
        for row in rows
        for selection in results.selections
        if _agree(selection.cell.factors, row)
    ]


def _chosen(selection: CellSelection, row: Mapping[str, Value], params: list[str]) -> Labels:
    """Write each param of the selected config, and the published one."""
    ours = selection.best.config.values if selection.best else {}
    pairs = ((ours.get(name), row[name]) for name in params)
    return tuple(NOTHING if value is None else label(value) for pair in pairs for value in pair)


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
