"""What stands above and below a figure: its title and its notes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from orchestrator.labels import PROBE, assignments, label, named_label
from orchestrator.results.marks import summary
from orchestrator.results.selection import CellSelection
from orchestrator.spec.grid import varied
from orchestrator.spec.shown import Figure

if TYPE_CHECKING:
    from orchestrator.results.results import Results

_MOST_NAMED = 6
"""The most cells whose selected configs a note names."""


def title_of(figure: Figure, x_label: str) -> str:
    """Say in words what is drawn, as in ``Test accuracy by epoch``."""
    names = " and ".join(words(figure, name) for name in figure.values)
    if figure.kind == "histogram":
        return f"Distribution of {names}"
    return f"{names[:1].upper()}{names[1:]} by {words(figure, figure.x or x_label)}"


def words(figure: Figure, name: str) -> str:
    """Name a metric, probe or param in words, by the figure's label for it if it has one."""
    return figure.labels.get(name, name.removeprefix(PROBE).replace("_", " "))


def notes(results: Results, figure: Figure, cells: Sequence[CellSelection]) -> Iterator[str]:
    """Say how the points came about, and which configs they are of."""
    if figure.x is None or figure.x in results.sweep.factors:
        yield "Means over seeds; bands and bars are ± one sample standard deviation."
    else:
        yield "One point per seed."
    if results.sweep.search:
        yield from _selected(figure, cells)
    incomplete = sum(not cell.complete for cell in cells)
    if incomplete:
        yield f"{incomplete} of {len(cells)} cells incomplete."
    empty = sum(cell.complete and cell.best is None for cell in cells)
    if empty:
        yield f"Nothing in {empty} of {len(cells)} cells: no config is left that did not diverge."
    yield from (
        f"{text}."
        for text in summary([cell.reported_ids for cell in cells], results.ends, results.origins)
    )


def _selected(figure: Figure, cells: Sequence[CellSelection]) -> Iterator[str]:
    """Name the config that is drawn of each cell, if they are few."""
    found = [(cell, cell.best.config) for cell in cells if cell.best]
    factors = varied([cell.cell for cell, _ in found])
    configs = [assignments(config.search) for _, config in found]
    if len(set(configs)) == 1 and len(found) > 1:
        yield f"Selected in all cells: {configs[0]}."
    elif 0 < len(found) <= _MOST_NAMED:
        texts = []
        for (cell, _), config in zip(found, configs, strict=True):
            name = ", ".join(value_label(figure, cell, factor) for factor in factors)
            texts.append(f"{name}: {config}" if name else config)
        yield f"Selected: {'; '.join(texts)}."


def value_label(figure: Figure, cell: CellSelection, factor: str) -> str:
    """Write a cell's value of a factor, by the figure's label for it if it has one."""
    value = cell.cell.factors[factor]
    return figure.labels.get(label(value), named_label(factor, value))
