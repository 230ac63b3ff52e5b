"""The trials that a sweep asks for now, after race, confirm and decide: a pure function."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.results.observed import Observed, grows
from orchestrator.results.race import Outcomes, planned, rounds, trials_in
from orchestrator.results.selection import CellSelection, select_in
from orchestrator.spec.grid import Cell, Config, PlannedTrial, cells, expand, trials_of
from orchestrator.spec.model import Sweep

if TYPE_CHECKING:  # it imports scipy.stats, which would cost every command a second
    from orchestrator.results.claims.family import Member


@dataclass(frozen=True)
class Wanted:
    """What a sweep asks for.

    Attributes:
        cells: how many there are.
        configs: how many there are, in all cells.
        trials: the trials that it asks for now, done or not, in the order in which they run.
        in_all: how many it will have asked for at its end, if no claim asks for more.
        full_grid: how many it would ask for if every config ran on all seeds.
        dropped: how many configs are out of the race.
        at_worst: how many it will have asked for at its end if no claim gets a verdict.
        further: how many of those it asks for only because claims have asked for more seeds.
    """

    cells: int
    configs: int
    trials: tuple[PlannedTrial, ...]
    in_all: int
    full_grid: int
    dropped: int
    at_worst: int
    further: int = 0


@dataclass(frozen=True)
class Standing:
    """Where a cell stands.

    Attributes:
        selection: the selection in the cell.
        rounds: the configs that run each of its seeds, as far as it is decided.
    """

    selection: CellSelection
    rounds: Sequence[Sequence[Config]]

    @property
    def cell(self) -> Cell:
        """The cell."""
        return self.selection.cell

    @property
    def selecting(self) -> Iterator[PlannedTrial]:
        """The trials that select, seed by seed."""
        return trials_in(self.cell, self.rounds)

    def confirming(self, count: int) -> list[PlannedTrial]:
        """List the trials of the first confirm seeds, once the selection is final."""
        best = self.selection.best
        if best is None or not self.selection.final:
            return []
        seeds, config = self.cell.confirming[:count], best.config
        return [PlannedTrial(config.trial_id(seed), config, seed) for seed in seeds]


def standing(cell: Cell, sweep: Sweep, outcomes: Outcomes) -> Standing:
    """Tell where a cell stands, given what its trials came to."""
    running = rounds(cell, outcomes, sweep.race, sweep.select.mode)
    return Standing(select_in(cell, sweep, running, outcomes), running)


def wanted(sweep: Sweep, observed: Observed) -> Wanted:
    """List the trials that a sweep asks for, given what its trials came to so far."""
    all_cells = cells(sweep)
    counts = len(all_cells), sum(len(cell.configs) for cell in all_cells)
    everything = trials_of(all_cells)
    count = len(everything)
    if not grows(sweep):
        return Wanted(*counts, tuple(everything), count, count, 0, count)
    standings = [standing(cell, sweep, observed.outcomes) for cell in all_cells]
    asked = seeds_asked(members(sweep, standings, observed) if sweep.decide else [])
    of_cells = [
        (s, s.confirming(max(len(s.cell.confirm), asked.get(s.cell.cell_id, 0)))) for s in standings
    ]
    if sweep.race is None:  # seed-major, and the confirm seeds behind all
        trials = [*everything, *(trial for _, confirming in of_cells for trial in confirming)]
    else:
        trials = [trial for s, confirming in of_cells for trial in (*s.selecting, *confirming)]
    going_on = [s for s in standings if not s.selection.ended_empty]
    least = sum(planned(s.cell, sweep.race) for s in standings)
    least += sum(len(s.cell.confirm) for s in going_on)
    more = sum(len(s.cell.deciding) for s in going_on)
    further = sum(max(0, len(confirming) - len(s.cell.confirm)) for s, confirming in of_cells)
    return Wanted(
        *counts,
        trials=tuple(trials),
        in_all=least + further,
        full_grid=sum(
            len(s.cell.configs) * (len(s.cell.seeds) + len(s.cell.confirm)) for s in standings
        ),
        dropped=sum(len(s.selection.dropped) for s in standings),
        at_worst=least + more,
        further=further,
    )


def members(sweep: Sweep, standings: Sequence[Standing], observed: Observed) -> list[Member]:
    """Judge the claims of a sweep on what is observed."""
    from orchestrator.results.claims.family import family

    selections = [standing.selection for standing in standings]
    return family(sweep.claims, sweep, selections, observed.measure, observed.diverged)


def seeds_asked(claims: Sequence[Member]) -> dict[str, int]:
    """Count the confirm seeds that claims ask for, by the id of the cell.

    A claim without a verdict asks its cells for the next seed; one with a verdict has asked for
    those that decided it.
    """
    asked: dict[str, int] = {}
    for member in claims:
        for selection in member.reduced.about.cells:
            cell_id = selection.cell.cell_id
            asked[cell_id] = max(asked.get(cell_id, 0), member.seeds + member.waits)
    return asked


def possible(sweep: Sweep) -> list[PlannedTrial]:
    """List every trial that a sweep may ask for, whatever its results."""
    return [
        *expand(sweep),
        *(
            PlannedTrial(config.trial_id(seed), config, seed)
            for cell in cells(sweep)
            for config in cell.configs
            for seed in cell.confirming
        ),
    ]
