"""Notes and listings below a table, without which its numbers would mislead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from orchestrator.labels import PROBE, Unit, counted, label, named_label, seed_ranges, unit
from orchestrator.results.measures import selected_values
from orchestrator.results.selection import CellSelection, lead, optimism
from orchestrator.results.statistics import mean_of, statistics
from orchestrator.results.tables._listing import INCOMPLETE, NOTHING, Labels, Listing
from orchestrator.results.tables._published import cell_labels, published
from orchestrator.spec.model import Sweep
from orchestrator.spec.shown import Table

if TYPE_CHECKING:
    from orchestrator.results.results import Results

_OF_LAYERS = {"mean": "means over layers", "max": "the largest over layers"}


def notes(results: Results, table: Table, factors: Labels) -> Labels:
    """Explain how a table's numbers are obtained, which are missing, and what the signs mean.

    Args:
        results: the results of a sweep.
        table: one of its tables.
        factors: the factors that identify a cell.
    """
    sweep, selections = results.sweep, results.selections
    measured = {name: results.measure(name, table.layers) for name in sweep.values_of(table)}
    return (
        *_protocol(sweep, table, selections),
        *_gaps(selections, measured),
        *_marked(results, factors),
        *results.equal_to_the_bit,
    )


def _protocol(sweep: Sweep, table: Table, selections: Sequence[CellSelection]) -> Iterator[str]:
    yield "Mean ± sample standard deviation over seeds (number of seeds)."
    if any(name.startswith(PROBE) for name in table.values):
        yield f"Probes are {_OF_LAYERS.get(table.layers, f'of {table.layers}')} at the last epoch."
    yield _selected_on(sweep, selections)
    if any(selection.cell.confirm for selection in selections):
        yield _confirmed(selections)
        if sweep.decide:
            seeds = f"up to {sweep.decide.at_most} confirm seeds"
            yield f"Claims look at {seeds}, tables at those that run in any case."
        return  # what is reported did not select
    gains = [optimism(selection, sweep.select.mode) for selection in selections]
    estimates = [gain for gain in gains if gain is not None]
    if estimates:
        metric_unit = _selection_unit(sweep, table)
        of_cells = [statistics(s.best.values) for s in selections if s.best]
        spread = min(of.std for of in of_cells if of.n > 1)
        average = metric_unit.points(mean_of(estimates), spread)
        most = metric_unit.points(max(estimates), spread)
        is_raced = any(selection.dropped for selection in selections)
        among = " among the configs left in the race" if is_raced else ""
        beyond = " What the race dropped flatters beyond that." if is_raced else ""
        yield (
            f"Selecting{among} on all seeds but one and reporting on that one is worse by "
            f"{average} on average over {counted(len(estimates), 'cell')} (at most {most}).{beyond}"
        )


def _confirmed(selections: Sequence[CellSelection]) -> str:
    """Say on which seeds configs were selected, and on which the numbers are."""
    seeds = {
        (seed_ranges(selection.cell.seeds), seed_ranges(selection.cell.confirm))
        for selection in selections
        if selection.cell.confirm
    }
    parts = [f"selected on seeds {first}, reported on {second}" for first, second in sorted(seeds)]
    without = sum(not selection.cell.confirm for selection in selections)
    if without:
        parts.append(f"{counted(without, 'cell')} reported on the seeds that selected")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _gaps(
    selections: Sequence[CellSelection], measured: Mapping[str, Mapping[str, float]]
) -> Iterator[str]:
    unfinished = [selection for selection in selections if not selection.complete]
    if unfinished:
        missing = sum(selection.missing for selection in unfinished)
        failed = sum(selection.failed for selection in unfinished)
        yield (
            f"{INCOMPLETE} {len(unfinished)} of {len(selections)} cells incomplete: "
            f"{counted(missing, 'trial')} missing, {failed:,} failed."
        )
    empty = [each for each in selections if each.complete and each.best is None]
    if empty:
        left = " that was left in the race" if any(each.dropped for each in empty) else ""
        of_all = f"{len(empty)} of {len(selections)} cells"
        yield f"{NOTHING} in {of_all}, where every config{left} diverged."
    absent = {
        "did not take the probe" if name.startswith(PROBE) else "has no value of the metric"
        for name, values in measured.items()
        for selection in selections
        if selection.reported and not selected_values(values, selection)
    }
    yield from (f"{NOTHING} where the selected config {text}." for text in sorted(absent))


def _marked(results: Results, factors: Labels) -> Iterator[str]:
    """Name the cells whose trials diverged, or ran for other numbers of epochs."""
    marked: dict[tuple[str, str], list[str]] = {}
    for selection in results.selections:
        cell = ", ".join(named_label(name, selection.cell.factors[name]) for name in factors)
        for remark in results.marks(selection).remarks():
            marked.setdefault(remark, []).append(cell)
    for (sign, text), cells in sorted(marked.items()):
        named = "; ".join(filter(None, cells))
        yield f"{sign} {named}: {text}." if named else f"{sign} {text}."


def _selection_unit(sweep: Sweep, table: Table) -> Unit:
    """Return the unit of the selection metric, as in the table if the table shows the metric."""
    metric = sweep.select.metric
    is_shown = metric in sweep.values_of(table)
    return unit(metric, table.percent, table.precision) if is_shown else unit(metric)


def _selected_on(sweep: Sweep, selections: Sequence[CellSelection]) -> str:
    select = sweep.select
    has_chosen = any(len(selection.cell.configs) > 1 for selection in selections)
    if not has_chosen and select.at == "last":
        return "Each cell has one config, so that nothing was selected."
    size = "largest" if select.mode == "max" else "smallest"
    text = f"Per cell, the config with the {size} mean {select.metric} at its {select.at} epoch."
    if select.metric.startswith("test"):
        text += " That is test data: the papers' protocol, and optimistic."
    return text


def listings(results: Results, table: Table, factors: Labels) -> tuple[Listing, ...]:
    """List the selected config of each cell, and the published values.

    Args:
        results: the results of a sweep.
        table: one of its tables.
        factors: the factors that identify a cell.
    """
    below = []
    if results.sweep.search:
        below.append(_selected(results.sweep, table, results.selections, factors))
    if table.published:
        below += published(results, table, table.published, factors)
    return tuple(below)


def _selected(
    sweep: Sweep, table: Table, selections: Sequence[CellSelection], factors: Labels
) -> Listing:
    metric_unit = _selection_unit(sweep, table)
    rows = []
    for selection in selections:
        selected = selection.best.config.search if selection.best else {}
        search = tuple(label(selected[name]) if selected else NOTHING for name in sweep.search)
        ahead = _lead(selection, sweep.select.mode, metric_unit)
        rows.append((*cell_labels(selection, factors), *search, ahead))
    header = (*factors, *sweep.search, "ahead of runner-up by")
    return Listing("Selected", header, tuple(rows))


def _lead(selection: CellSelection, mode: str, unit: Unit) -> str:
    ahead = lead(selection, mode)
    if ahead is None:
        return NOTHING
    noise = " (within noise)" if ahead.n > 1 and ahead.ci_low <= 0 else ""
    return unit.points(ahead.mean, ahead.std) + (noise if ahead.n > 1 else " (one seed)")
