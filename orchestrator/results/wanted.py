"""The trials that a sweep asks for now, after race and confirm: a pure function of the results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.results.race import Outcomes, planned, rounds
from orchestrator.results.selection import select_in
from orchestrator.spec.grid import Cell, PlannedTrial, cells, expand
from orchestrator.spec.model import Sweep


@dataclass(frozen=True)
class Wanted:
    """What a sweep asks for.

    Attributes:
        trials: the trials that it asks for now, done or not, in the order in which they run.
        in_all: how many it will have asked for at its end.
        full_grid: how many it would ask for if every config ran on all seeds.
        dropped: how many configs are out of the race.
    """

    trials: tuple[PlannedTrial, ...]
    in_all: int
    full_grid: int
    dropped: int = 0


def grows(sweep: Sweep) -> bool:
    """Tell whether results may ask for trials that the file alone does not name."""
    return sweep.race is not None or any(cell.confirm for cell in cells(sweep))


def wanted(sweep: Sweep, outcomes: Outcomes) -> Wanted:
    """List the trials that a sweep asks for, given what its trials came to so far.

    Args:
        sweep: the sweep.
        outcomes: the selection metric of each trial that has ended.
    """
    everything = expand(sweep)
    if not grows(sweep):
        return Wanted(tuple(everything), len(everything), len(everything))
    all_cells = cells(sweep)
    in_all = sum(planned(cell, sweep.race) + len(cell.confirm) for cell in all_cells)
    full_grid = sum(len(cell.configs) * (len(cell.seeds) + len(cell.confirm)) for cell in all_cells)
    if sweep.race is None:  # seed-major, and the confirm seeds behind all
        confirming = [trial for cell in all_cells for trial in _confirming(sweep, cell, outcomes)]
        return Wanted((*everything, *confirming), in_all, full_grid)
    asked = [trial for cell in all_cells for trial in wanted_in(cell, sweep, outcomes)]
    last = (rounds(cell, outcomes, sweep.race, sweep.select.mode)[-1] for cell in all_cells)
    configs = sum(len(cell.configs) for cell in all_cells)
    return Wanted(tuple(asked), in_all, full_grid, configs - sum(map(len, last)))


def wanted_in(cell: Cell, sweep: Sweep, outcomes: Outcomes) -> list[PlannedTrial]:
    """List the trials that one cell asks for now, seed by seed; arguments as of `wanted`."""
    running = rounds(cell, outcomes, sweep.race, sweep.select.mode)
    selecting = [
        PlannedTrial(config.trial_id(seed), config, seed)
        for seed, configs in zip(cell.seeds, running, strict=False)
        for config in configs
    ]
    return [*selecting, *_confirming(sweep, cell, outcomes)]


def possible(sweep: Sweep) -> list[PlannedTrial]:
    """List every trial that a sweep may ask for, whatever its results."""
    return [
        *expand(sweep),
        *(
            PlannedTrial(config.trial_id(seed), config, seed)
            for cell in cells(sweep)
            for config in cell.configs
            for seed in cell.confirm
        ),
    ]


def _confirming(sweep: Sweep, cell: Cell, outcomes: Outcomes) -> Iterator[PlannedTrial]:
    """List a cell's confirm seeds, once its selection is final."""
    if not cell.confirm:
        return
    seeds = cell.seeds
    last = rounds(cell, outcomes, sweep.race, sweep.select.mode)[-1]
    if any(config.trial_id(seed) not in outcomes for config in last for seed in seeds):
        return
    selection = select_in(cell, outcomes, sweep.race, sweep.select.mode)
    if selection.best is not None:
        config = selection.best.config
        yield from (PlannedTrial(config.trial_id(seed), config, seed) for seed in cell.confirm)
