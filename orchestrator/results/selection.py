"""Selects, in each cell, the config with the best mean over seeds.

Pure functions of a sweep and the rows of its trials, without disk or Ray.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.columns import BEST, FINISHED, STORE_COLUMNS, Status
from orchestrator.errors import ShowError
from orchestrator.labels import quoted
from orchestrator.results.race import Outcomes, planned, rounds, trials_in
from orchestrator.results.statistics import Statistics, mean_of, statistics
from orchestrator.spec.grid import Cell, Config, cells
from orchestrator.spec.model import Select, Sweep

if TYPE_CHECKING:
    import pandas as pd

TIE = 1e-12
"""Relative tolerance within which means are equal: accuracies are multiples of 1 / images, which
floating point only approximates."""


@dataclass(frozen=True)
class Contender:
    """A config that can be selected."""

    config: Config
    trial_ids: tuple[str, ...]
    """One id per seed, shape (seeds of the selection,)."""
    values: tuple[float, ...]
    """The selection metric per seed, same shape."""

    @cached_property
    def mean(self) -> float:
        """Mean over the seeds, correctly rounded and so independent of their order."""
        return mean_of(self.values)


@dataclass(frozen=True)
class CellSelection:
    """The selection in one cell.

    Attributes:
        cell: the cell.
        best: the selected config; None if the cell is empty.
        contenders: the configs that were compared, in file order; none in an empty cell.
        seeds: the seeds that every contender has.
        missing: number of trials of the cell without a result, those included that only a later
            result asks for.
        failed: number of trials of the cell that failed.
        reported: the seeds whose trials of the selected config tables and claims report: those
            of its confirm seeds that have ended, and in a cell without them ``seeds``.
        dropped: the configs that are out of the race, in file order.
        confirmed: all confirm seeds that the selected config has, those included that only claims
            asked for, up to the first that is missing or failed.
        final: whether no trial is to come that may change the selection.
    """

    cell: Cell
    best: Contender | None
    contenders: tuple[Contender, ...]
    seeds: tuple[int, ...]
    missing: int
    failed: int
    reported: tuple[int, ...]
    dropped: tuple[Config, ...] = ()
    confirmed: tuple[int, ...] = ()
    final: bool = False

    @property
    def complete(self) -> bool:
        """Whether every trial of the cell has a result, so that the selection is final."""
        return self.missing == 0 and self.failed == 0

    @property
    def ended_empty(self) -> bool:
        """Whether every trial has ended and no config can be selected: no confirm seed follows."""
        return self.final and self.best is None and not self.failed

    @property
    def reported_ids(self) -> tuple[str, ...]:
        """The trials of the selected config that are reported, one per seed of ``reported``."""
        return tuple(map(self.best.config.trial_id, self.reported)) if self.best else ()


def select(sweep: Sweep, trials: pd.DataFrame) -> list[CellSelection]:
    """Select, in each cell, the config with the best mean of the selection metric over seeds.

    A config with a failed trial, or with a value that is not finite, is excluded, and so is one
    that is out of the race. The remaining ones are compared over the seeds that all of them have;
    a cell is empty while one of them has none. Ties go to the first in file order. Confirm seeds
    do not select.

    Args:
        sweep: the sweep, with the seeds to select on.
        trials: the store's ``trials``, matched by ``trial_id``; rows of trials outside the
            sweep are ignored.

    Returns:
        One selection per cell, in file order.

    Raises:
        ShowError: the trials lack the selection metric.
    """
    outcomes, mode = outcomes_of(sweep, trials), sweep.select.mode
    return [
        select_in(cell, sweep, rounds(cell, outcomes, sweep.race, mode), outcomes)
        for cell in cells(sweep)
    ]


def best_of(contenders: Sequence[Contender], mode: str) -> Contender:
    """Return the contender with the best mean; of those that tie, the first.

    Args:
        contenders: at least one.
        mode: ``max`` or ``min``.
    """
    means = [contender.mean for contender in contenders]
    top = max(means) if mode == "max" else min(means)
    return next(
        contender
        for contender, mean in zip(contenders, means, strict=True)
        if math.isclose(mean, top, rel_tol=TIE)
    )


def lead(selection: CellSelection, mode: str) -> Statistics | None:
    """Summarise the selected config's lead over the runner-up, paired by seed.

    The config was selected for its lead, so the interval is optimistic: if even this one
    contains zero, the two configs are within noise.

    Returns:
        The lead in the selection metric, whose mean is at least 0; None if fewer than two
        configs were compared.
    """
    best = selection.best
    rivals = [contender for contender in selection.contenders if contender is not best]
    if best is None or not rivals:
        return None
    runner_up = best_of(rivals, mode)
    sign = 1 if mode == "max" else -1
    pairs = list(zip(best.values, runner_up.values, strict=True))
    if all(math.isclose(ahead, behind, rel_tol=TIE) for ahead, behind in pairs):
        return statistics([0.0] * len(pairs))
    return statistics([sign * (ahead - behind) for ahead, behind in pairs])


def optimism(selection: CellSelection, mode: str) -> float | None:
    """Estimate the bias of a cell from selecting and reporting on the same seeds.

    Each seed is left out once: the remaining seeds select a config, and the seed left out
    reports it. The estimate covers the noise of seeds only, not the bias from selecting and
    reporting on the same test images; nor that of a race, whose dropped configs have no such seeds.

    Returns:
        How much better the selected mean is than the mean over the seeds left out, at least
        0; None for fewer than two seeds or configs.
    """
    if selection.best is None or len(selection.seeds) < 2 or len(selection.contenders) < 2:
        return None
    reported = []
    for left_out in range(len(selection.seeds)):
        selecting = [
            replace(
                contender, values=contender.values[:left_out] + contender.values[left_out + 1 :]
            )
            for contender in selection.contenders
        ]
        chosen = selecting.index(best_of(selecting, mode))
        reported.append(selection.contenders[chosen].values[left_out])
    gain = selection.best.mean - mean_of(reported)
    return gain if mode == "max" else -gain


def selection_column(select: Select) -> str:
    """Return the column of ``trials`` that the selection compares."""
    return f"{BEST}{select.metric}" if select.at == "best" else select.metric


def metric_columns(sweep: Sweep, trials: pd.DataFrame) -> list[str]:
    """List the columns of ``trials`` that hold metrics, in the order of the table."""
    reserved = STORE_COLUMNS | sweep.factors.keys() | sweep.search.keys() | sweep.fixed.keys()
    return [str(column) for column in trials.columns if column not in reserved]


def outcomes_of(sweep: Sweep, trials: pd.DataFrame) -> dict[str, float | None]:
    """Map each trial that has ended to its selection metric, or to None if it failed."""
    failed = trials["trial_id"][trials["status"] == Status.FAILED]
    finished = trials[trials["status"].isin(FINISHED)]
    if finished.empty:
        return dict.fromkeys(failed)
    column, columns = selection_column(sweep.select), metric_columns(sweep, trials)
    if column not in columns:
        names = quoted(columns)
        raise ShowError(f"the store has no metric `{column}` to select on; it has {names}")
    values = finished[column].astype(float)
    return dict.fromkeys(failed) | dict(zip(finished["trial_id"], values, strict=True))


def select_in(
    cell: Cell, sweep: Sweep, rounds: Sequence[Sequence[Config]], outcomes: Outcomes
) -> CellSelection:
    """Select in one cell, among the configs that are still in the race.

    Args:
        cell: the cell.
        sweep: its sweep, with the rule of the race and what selects.
        rounds: the configs that run each of its seeds, as far as it is decided.
        outcomes: what its trials came to.
    """
    running = rounds[-1]
    done = sum(trial.trial_id in outcomes for trial in trials_in(cell, rounds))
    missing = planned(cell, sweep.race) - done
    final, failed = missing == 0, 0
    remaining: list[tuple[Config, dict[int, float]]] = []
    for config in running:
        ended = _ended(config, cell.seeds, outcomes)
        finite = {seed: v for seed, v in ended.items() if v is not None and math.isfinite(v)}
        failed += sum(value is None for value in ended.values())
        if len(finite) == len(ended):
            remaining.append((config, finite))
    names = {config.config_id for config in running}
    dropped = tuple(config for config in cell.configs if config.config_id not in names)
    seeds = tuple(s for s in cell.seeds if all(s in values for _, values in remaining))
    if not (seeds and remaining):
        empty = CellSelection(cell, None, (), (), missing, failed, (), dropped, (), final)
        awaited = 0 if empty.ended_empty else len(cell.confirm)
        return replace(empty, missing=missing + awaited)
    contenders = tuple(
        Contender(
            config,
            tuple(config.trial_id(seed) for seed in seeds),
            tuple(values[seed] for seed in seeds),
        )
        for config, values in remaining
    )
    best = best_of(contenders, sweep.select.mode)
    ended = _ended(best.config, cell.confirm, outcomes)
    missing += len(cell.confirm) - len(ended)
    failed += sum(value is None for value in ended.values())
    reported = tuple(seed for seed, value in ended.items() if value is not None)

    def has_value(seed: int) -> bool:
        return outcomes.get(best.config.trial_id(seed)) is not None

    return CellSelection(
        cell=cell,
        best=best,
        contenders=contenders,
        seeds=seeds,
        missing=missing,
        failed=failed,
        reported=reported if cell.confirm else seeds,
        dropped=dropped,
        confirmed=tuple(itertools.takewhile(has_value, cell.confirming)),
        final=final,
    )


def _ended(config: Config, seeds: Sequence[int], outcomes: Outcomes) -> dict[int, float | None]:
    """Return what a config's trials that have ended came to, by seed."""
    ids = {seed: config.trial_id(seed) for seed in seeds}
    return {seed: outcomes[id_] for seed, id_ in ids.items() if id_ in outcomes}
