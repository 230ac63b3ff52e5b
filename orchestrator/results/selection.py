"""Per cell, the config with the best mean over seeds.

Pure functions of a sweep and of the rows of its trials: no disk and no Ray.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean

import pandas as pd

from orchestrator.columns import BEST, FINISHED, STORE_COLUMNS, Status
from orchestrator.errors import ShowError
from orchestrator.labels import quoted
from orchestrator.results.statistics import Statistics, statistics
from orchestrator.spec.grid import Cell, Config, cells
from orchestrator.spec.model import Select, Sweep

TIE = 1e-12
"""Means this close, relative to their size, are equal: accuracies are multiples of
1 / images, which floating point only approximates."""


@dataclass(frozen=True)
class Contender:
    """A config that can be selected."""

    config: Config
    trial_ids: tuple[str, ...]
    """One per seed, shape (seeds of the selection,)."""
    values: tuple[float, ...]
    """The selection metric per seed, same shape."""

    @cached_property
    def mean(self) -> float:
        """Mean over the seeds, correctly rounded, hence the same in any order of them."""
        return fmean(self.values)


@dataclass(frozen=True)
class CellSelection:
    """What was selected in one cell, and from what.

    Attributes:
        cell: the cell.
        best: the selected config; None if the cell is empty.
        contenders: all configs that were compared, in file order; none in an empty cell.
        seeds: the seeds that every contender has.
        missing: trials of the cell that have no result yet.
        failed: trials of the cell that failed.
    """

    cell: Cell
    best: Contender | None
    contenders: tuple[Contender, ...]
    seeds: tuple[int, ...]
    missing: int
    failed: int

    @property
    def complete(self) -> bool:
        """Whether every trial of the cell has a result, so that nothing can change."""
        return self.missing == 0 and self.failed == 0


def select(sweep: Sweep, trials: pd.DataFrame) -> list[CellSelection]:
    """Select per cell the config with the best mean of the selection metric over seeds.

    A config with a failed trial is out, and so is one with a trial whose value is not
    finite. The others are compared over the seeds that every one of them has: the
    intersection of their seeds, which leaves a cell empty while one of them has none.
    Ties go to the first in file order.

    Args:
        sweep: what was asked for, with the seeds asked for.
        trials: the store's ``trials``; rows are found by ``trial_id``, and rows that
            the sweep does not ask for do not matter.

    Returns:
        One selection per cell, in file order.

    Raises:
        ShowError: the trials lack the selection metric.
    """
    outcomes = _outcomes(sweep, trials)
    return [_select_in(cell, outcomes, sweep.select.mode) for cell in cells(sweep)]


def best_of(contenders: Sequence[Contender], mode: str) -> Contender:
    """Find the contender with the best mean, or the first of those that tie.

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
    """Describe how far the selected config is ahead of the runner-up, paired by seed.

    The selected config was chosen for its lead, so that the interval is too hopeful; one
    that holds zero says all the more that the two are within noise.

    Returns:
        The advantage in the selection metric, at least 0 on average; None if fewer than
        two configs were compared.
    """
    best = selection.best
    others = [contender for contender in selection.contenders if contender is not best]
    if best is None or not others:
        return None
    second = best_of(others, mode)
    sign = 1 if mode == "max" else -1
    pairs = zip(best.values, second.values, strict=True)
    return statistics([sign * (ours - theirs) for ours, theirs in pairs])


def optimism(selection: CellSelection, mode: str) -> float | None:
    """Estimate by how much selecting and reporting on the same seeds flatters a cell.

    Each seed is left out once: the others select, and it reports. The estimate knows of
    the noise of seeds only, not of selecting and reporting on the same test images.

    Returns:
        The selected mean's advantage over the mean of the seeds left out, at least 0;
        None for fewer than two seeds or configs.
    """
    if selection.best is None or len(selection.seeds) < 2 or len(selection.contenders) < 2:
        return None
    reported = []
    for left_out in range(len(selection.seeds)):
        others = [
            replace(
                contender, values=contender.values[:left_out] + contender.values[left_out + 1 :]
            )
            for contender in selection.contenders
        ]
        chosen = others.index(best_of(others, mode))
        reported.append(selection.contenders[chosen].values[left_out])
    gain = selection.best.mean - fmean(reported)
    return gain if mode == "max" else -gain


def selection_column(select: Select) -> str:
    """Name the column of ``trials`` that holds what is selected on."""
    return f"{BEST}{select.metric}" if select.at == "best" else select.metric


def metric_columns(sweep: Sweep, trials: pd.DataFrame) -> list[str]:
    """Name the columns of ``trials`` that hold metrics, in their order there."""
    others = STORE_COLUMNS | sweep.factors.keys() | sweep.search.keys() | sweep.fixed.keys()
    return [str(column) for column in trials.columns if column not in others]


def _outcomes(sweep: Sweep, trials: pd.DataFrame) -> dict[str, float | None]:
    """Map each trial that ended to its selection value, or to None if it failed."""
    failed = trials["trial_id"][trials["status"] == Status.FAILED]
    done = trials[trials["status"].isin(FINISHED)]
    if done.empty:
        return dict.fromkeys(failed)
    column, known = selection_column(sweep.select), metric_columns(sweep, trials)
    if column not in known:
        raise ShowError(f"the store has no metric `{column}` to select on; it has {quoted(known)}")
    values = done[column].astype(float)
    return dict.fromkeys(failed) | dict(zip(done["trial_id"], values, strict=True))


def _select_in(cell: Cell, outcomes: Mapping[str, float | None], mode: str) -> CellSelection:
    missing = failed = 0
    remaining: list[tuple[Config, dict[int, float]]] = []
    for config in cell.configs:
        ids = {seed: config.trial_id(seed) for seed in cell.seeds}
        ended = {seed: outcomes[id_] for seed, id_ in ids.items() if id_ in outcomes}
        values = {seed: v for seed, v in ended.items() if v is not None and math.isfinite(v)}
        missing += len(ids) - len(ended)
        failed += sum(value is None for value in ended.values())
        if len(values) == len(ended):
            remaining.append((config, values))
    seeds = tuple(s for s in cell.seeds if all(s in values for _, values in remaining))
    if not (seeds and remaining):
        return CellSelection(cell, None, (), (), missing, failed)
    contenders = tuple(
        Contender(
            config,
            tuple(config.trial_id(seed) for seed in seeds),
            tuple(values[seed] for seed in seeds),
        )
        for config, values in remaining
    )
    return CellSelection(cell, best_of(contenders, mode), contenders, seeds, missing, failed)
