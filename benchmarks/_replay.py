"""Race, confirm and decide replayed on the published stores, and on grids simulated from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks._measure import Record, absolute, at_least, at_most
from orchestrator import Results, open_store
from orchestrator.results.claims.boundary import Looks
from orchestrator.results.claims.contrasts import ALPHA, beyond, holm, paired
from orchestrator.results.claims.judge import members_of
from orchestrator.results.claims.sequential import UNDECIDED, decide
from orchestrator.results.measures import selected_values
from orchestrator.results.race import Outcomes, planned, rounds
from orchestrator.results.selection import outcomes_of
from orchestrator.results.statistics import mean_of
from orchestrator.spec.grid import Cell
from orchestrator.spec.model import Race
from orchestrator.spec.seed_checks import going_on

STORES = Path(__file__).parents[1] / "docs" / "results"
RACE = Race(keep=0.5, at_least=2)
GRIDS, CELLS, CONFIGS, SEEDS, CONFIRM = 200, 6, 8, 3, 5
Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ran:
    """A cell of a published store, all of whose trials ran to their end.

    Attributes:
        cell: the cell.
        outcomes: the selection metric of its trials; larger is better.
        values: the same, shape (configs, seeds).
    """

    cell: Cell
    outcomes: Outcomes
    values: Array


@cache
def stores() -> list[Results]:
    """Open the published stores."""
    folders = sorted(path for path in STORES.iterdir() if (path / "trials").is_dir())
    return [open_store(folder) for folder in folders]


@cache
def ran() -> list[Ran]:
    """Read the cells with three configs or more and two seeds or more, all of which ran."""
    found = []
    for results in stores():
        sign = 1 if results.sweep.select.mode == "max" else -1
        outcomes = outcomes_of(results.sweep, results.trials)
        for selection in results.selections:
            cell = selection.cell
            ids = [[config.trial_id(seed) for seed in cell.seeds] for config in cell.configs]
            everything = {trial_id for row in ids for trial_id in row}
            if len(ids) < 3 or len(cell.seeds) < 2 or not everything <= outcomes.keys():
                continue
            better = {i: sign * float(outcomes[i] or 0) for row in ids for i in row}
            found.append(Ran(cell, better, np.array([[better[i] for i in row] for row in ids])))
    return found


def replayed() -> Iterator[Record]:
    """Replay the race where every config ran on every seed."""
    cells, spent, everything, kept, lost = ran(), 0, 0, 0, []
    for each in cells:
        last = rounds(each.cell, each.outcomes, RACE, "max")[-1]
        means = dict(
            zip([c.config_id for c in each.cell.configs], each.values.mean(1), strict=True)
        )
        chosen = max(last, key=lambda config: means[config.config_id])
        lost.append(100 * float(max(means.values()) - means[chosen.config_id]))
        kept += lost[-1] <= 0.3
        spent += planned(each.cell, RACE)
        everything += each.values.size
    claim = f"replayed on {len(cells)} published cells, `race: {{keep: 0.5}}`: share of the trials"
    yield absolute(claim, [100 * spent / everything], "%", at_most(60))
    claim = f"of these {len(cells)}, cells that keep their winner or one within 0.3 points"
    note = f"The largest loss is {max(lost):.2f} points."
    yield absolute(claim, [kept], "cells", at_least(11), note=note)


def confirmed() -> Iterator[Record]:
    """Compare the mean of each selected config over the selecting seeds with its confirm seeds'."""
    flattered = []
    for results in stores():
        select = results.sweep.select
        measured = results.measure(select.metric)
        for selection in results.selections:
            if selection.best is None or not selection.cell.confirm or not selection.complete:
                continue
            gain = selection.best.mean - mean_of(selected_values(measured, selection))
            flattered.append(100 * gain if select.mode == "max" else -100 * gain)
    if flattered:
        claim = f"{len(flattered)} published winners: by how much the seeds that selected flatter"
        yield absolute(claim, [float(np.mean(flattered))], "points")


def decided() -> Iterator[Record]:
    """Compare decide with one look at the first confirm seeds, on the claims that it watched."""
    for results in stores():
        if results.sweep.decide is None:
            continue
        name, members = results.sweep.name, members_of(results, results.sweep.claims)
        once = decide(
            [
                replace(
                    member.reduced.evidence,
                    looks=Looks(CONFIRM, CONFIRM),
                    values=member.reduced.evidence.values[..., :CONFIRM],
                    scale=float(np.max(member.reduced.evidence.scale)),
                )
                for member in members
            ]
        ).outcomes[0]
        outcomes = np.array([member.outcome for member in members])
        verdicts, of_one = outcomes != UNDECIDED, once != UNDECIDED
        of = f"of the {len(members)} claims of {name}"
        yield absolute(f"{of}, those that decide settles", [int(verdicts.sum())], "claims")
        claim = f"{of}, those that one look at {CONFIRM} seeds does"
        yield absolute(claim, [int(of_one.sum())], "claims")
        contrary = int((verdicts & of_one & (outcomes != once)).sum())
        yield absolute(f"{of}, those with contrary verdicts", [contrary], "claims", at_most(0))
        share = 100 * len(results.ends) / results.wanted.full_grid
        yield absolute(f"trials of {name}, of those of its full grid", [share], "%")


def simulated(seed: int = 0) -> Iterator[Record]:
    """Compare race and confirm seeds with the full grid, judged alike, on simulated grids.

    A cell has the mean of a published one, its configs lie below as published ones do, and
    its trials scatter by their pooled spread. Claims compare neighbouring cells.
    """
    draw = np.random.default_rng(seed)
    cells = ran()
    best = np.array([each.values.mean(1).max() for each in cells])
    behind = np.concatenate([each.values.mean(1).max() - each.values.mean(1) for each in cells])
    variance = np.average(
        [each.values.var(1, ddof=1).mean() for each in cells],
        weights=[each.values.size - len(each.values) for each in cells],
    )
    reached = contrary = of_full = other_contrary = other_of_full = 0
    for _ in range(GRIDS):
        means = draw.choice(best, CELLS)[:, None] - draw.choice(behind, (CELLS, CONFIGS))

        def grid(means: Array = means) -> Array:
            shape = (CELLS, CONFIGS, SEEDS + CONFIRM)
            return means[..., None] + draw.normal(0, np.sqrt(variance), shape)

        values = grid()
        full, raced = verdicts(values, race=False), verdicts(values, race=True)
        again = verdicts(grid(), race=False)
        of_full += sum(verdict != 0 for verdict in full)
        reached += sum(a == b != 0 for a, b in zip(full, raced, strict=True))
        contrary += sum(a * b < 0 for a, b in zip(full, raced, strict=True))
        other_contrary += sum(a * b < 0 for a, b in zip(full, again, strict=True))
        other_of_full += len(full)
    running, trials = CONFIGS, CONFIRM
    for _ in range(SEEDS):
        trials, running = trials + running, going_on(RACE, running)
    share = 100 * trials / (CONFIGS * (SEEDS + CONFIRM))
    claim = f"race and `confirm: {CONFIRM}` on {GRIDS} simulated grids: share of the full grid"
    yield absolute(claim, [share], "%", at_most(35))
    claim = f"verdicts of the full grid, of {of_full}, that race and confirm seeds reach"
    yield absolute(claim, [100 * reached / of_full], "%", at_least(90))
    claim = "contrary verdicts, beyond those between two full grids"
    extra = 100 * (contrary - other_contrary) / other_of_full
    yield absolute(claim, [extra], "% of the claims", at_most(0))


def verdicts(values: Array, *, race: bool) -> list[int]:
    """Judge whether each cell is better than the one before: 1, -1, or 0 for undecided.

    Args:
        values: shape (cells, configs, selecting seeds and then confirm seeds).
        race: whether configs are dropped between selecting seeds.
    """
    reported = []
    for cell in values:
        running = np.arange(len(cell))
        for done in range(1, SEEDS if race else 1):
            order = np.argsort(-cell[running, :done].mean(1), kind="stable")
            running = np.sort(running[order[: going_on(RACE, len(running))]])
        chosen = running[cell[running, :SEEDS].mean(1).argmax()]
        reported.append(cell[chosen, SEEDS:])
    steps = paired(np.diff(np.array(reported), axis=0))
    tested = beyond(steps, 1)
    signs = np.where(holm(tested.p) < ALPHA, np.where(tested.agrees, 1, -1), 0)
    return [int(sign) for sign in signs]
