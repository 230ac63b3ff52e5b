"""Which artifacts a sweep has no more use for, and which it lacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rich.filesize import decimal

from orchestrator.labels import assignments, counted
from orchestrator.results.selection import CellSelection
from orchestrator.spec.grid import PlannedTrial

if TYPE_CHECKING:
    from orchestrator.results.results import Results

_NAMED = 5
"""How many trials without an artifact are named."""


def spent(selection: CellSelection) -> Iterator[str]:
    """List the trials of a cell whose artifacts nobody asks for any more, as `winners` has it.

    These are the trials of configs that are out of the race, and once the cell is complete all but
    those that tables report. Some of them may not have run.
    """
    cell = selection.cell
    configs = cell.configs if selection.complete else selection.dropped
    reported = set(selection.reported_ids) if selection.complete else set()
    for config in configs:
        ids = map(config.trial_id, (*cell.seeds, *cell.confirming))
        yield from (trial_id for trial_id in ids if trial_id not in reported)


def lacking(results: Results) -> list[PlannedTrial]:
    """List the trials of complete cells that tables report, and that should have an artifact."""
    if results.sweep.artifacts == "none":
        return []
    return [
        PlannedTrial(trial_id, selection.best.config, seed)
        for selection in results.selections
        if selection.best is not None and selection.complete
        for seed in selection.reported
        if (trial_id := selection.best.config.trial_id(seed)) not in results.artifacts
    ]


def extent(results: Results) -> str:
    """Write how many artifacts a store has, and their size: ``12 trials, 3.4 MB``."""
    sizes = results.artifacts.values()
    return f"{counted(len(sizes), 'trial')}, {decimal(sum(sizes))}"


def remarks(results: Results, command: Callable[[str], str]) -> Iterator[str]:
    """Say what a store retains, and which reported trials lack an artifact.

    Args:
        results: the results of a sweep.
        command: writes the command that makes the artifact of a trial.
    """
    missing = lacking(results)
    if results.artifacts:
        yield f"artifacts of {extent(results)}, in {results.store.files.shown('artifacts')}"
    elif missing:
        yield "no artifact is there: the trials ran without `artifacts`, or left nothing in `keep`"
    for trial in missing[:_NAMED]:
        told = assignments(trial.selectors)
        yield f"{told} has no artifact; to make it: {command(trial.trial_id)}"
    if len(missing) > _NAMED:
        yield f"and {counted(len(missing) - _NAMED, 'more trial')} without one"
