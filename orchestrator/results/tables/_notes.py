"""What keeps a reader from being fooled: notes and listings beside a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from orchestrator.labels import PROBE, Unit, counted, label, unit
from orchestrator.results.measures import selected_values
from orchestrator.results.selection import CellSelection, lead, optimism
from orchestrator.results.tables._listing import INCOMPLETE, NOTHING, Labels, Listing
from orchestrator.results.tables._published import cell_labels, published
from orchestrator.spec.model import Sweep, Table

if TYPE_CHECKING:
    from orchestrator.results.results import Results


def notes(results: Results, table: Table) -> Labels:
    """Say how a table's numbers came about, and what is lacking."""
    sweep, selections = results.sweep, results.selections
    measured = [results.measure(name) for name in sweep.values_of(table)]
    return (*_protocol(sweep, table, selections), *_gaps(selections, measured))


def _protocol(sweep: Sweep, table: Table, selections: Sequence[CellSelection]) -> Iterator[str]:
    yield "Mean ± sample standard deviation over seeds (number of seeds)."
    if any(name.startswith(PROBE) for name in table.values):
        yield "Probes are means over layers at the last epoch."
    yield _selected_on(sweep)
    gains = [optimism(selection, sweep.select.mode) for selection in selections]
    known = [gain for gain in gains if gain is not None]
    if known:
        shown = _selection_unit(sweep, table)
        yield (
            f"Selecting on all seeds but one and reporting on that one is worse by "
            f"{shown.points(fmean(known))} on average over {counted(len(known), 'cell')} "
            f"(at most {shown.points(max(known))})."
        )


def _gaps(
    selections: Sequence[CellSelection], measured: Sequence[Mapping[str, float]]
) -> Iterator[str]:
    unfinished = [selection for selection in selections if not selection.complete]
    if unfinished:
        missing = sum(selection.missing for selection in unfinished)
        failed = sum(selection.failed for selection in unfinished)
        yield (
            f"{INCOMPLETE} {len(unfinished)} of {len(selections)} cells incomplete: "
            f"{counted(missing, 'trial')} missing, {failed:,} failed."
        )
    lost = sum(selection.complete and selection.best is None for selection in selections)
    if lost:
        yield f"{NOTHING} in {lost} of {len(selections)} cells every config diverged."
    if any(
        selection.best and not selected_values(values, selection)
        for selection in selections
        for values in measured
    ):
        yield f"{NOTHING} where the selected config took no such probe."


def _selection_unit(sweep: Sweep, table: Table) -> Unit:
    """Print the selection metric as the table does, if it is one of its values."""
    metric = sweep.select.metric
    is_shown = metric in sweep.values_of(table)
    return unit(metric, table.percent, table.precision) if is_shown else unit(metric)


def _selected_on(sweep: Sweep) -> str:
    select = sweep.select
    size = "largest" if select.mode == "max" else "smallest"
    text = f"Per cell, the config with the {size} mean {select.metric} at its {select.at} epoch."
    if select.metric.startswith("test"):
        text += " That is test data: the papers' protocol, and optimistic."
    return text


def listings(results: Results, table: Table, factors: Labels) -> tuple[Listing, ...]:
    """List what was selected, and what is published, per cell.

    Args:
        results: what to show.
        table: one of its tables.
        factors: those that tell the cells apart.
    """
    listed = []
    if results.sweep.search:
        listed.append(_selected(results.sweep, table, results.selections, factors))
    if table.published:
        listed += published(results, table, table.published, factors)
    return tuple(listed)


def _selected(
    sweep: Sweep, table: Table, selections: Sequence[CellSelection], factors: Labels
) -> Listing:
    shown = _selection_unit(sweep, table)
    rows = []
    for selection in selections:
        chosen = selection.best.config.search if selection.best else {}
        search = tuple(label(chosen[name]) if chosen else NOTHING for name in sweep.search)
        ahead = _lead(selection, sweep.select.mode, shown)
        rows.append((*cell_labels(selection, factors), *search, ahead))
    header = (*factors, *sweep.search, "ahead of runner-up by")
    return Listing("Selected", header, tuple(rows))


def _lead(selection: CellSelection, mode: str, unit: Unit) -> str:
    ahead = lead(selection, mode)
    if ahead is None:
        return NOTHING
    noise = " (within noise)" if ahead.n > 1 and ahead.ci_low <= 0 else ""
    return unit.points(ahead.mean) + (noise if ahead.n > 1 else " (one seed)")
