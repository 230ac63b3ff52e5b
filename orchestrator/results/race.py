"""Which configs of a cell go on after each seed: a pure function of the rule and the results."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from orchestrator.results.statistics import mean_of
from orchestrator.spec.grid import Cell, Config, PlannedTrial
from orchestrator.spec.model import Race
from orchestrator.spec.seed_checks import going_on

Outcomes = Mapping[str, float | None]
"""The selection metric of each trial that has ended, by trial id; None if it failed."""


def rounds(
    cell: Cell, outcomes: Outcomes, race: Race | None, mode: str
) -> list[tuple[Config, ...]]:
    """List the configs that run each of a cell's seeds, as far as it is decided.

    A round is decided once all of its configs have ended on its seed, in whatever order. A config
    with a failed trial, or a value that is not finite, ranks last; ties go to the first in file
    order.

    Args:
        cell: the cell.
        outcomes: what its trials came to.
        race: the rule; without one, all configs run all seeds.
        mode: ``max`` or ``min``.

    Returns:
        The configs of the first seed, of the second, and so on, each in file order.
    """
    if race is None:
        return [cell.configs] * len(cell.seeds)
    running = cell.configs
    found = [running]
    for done in range(1, len(cell.seeds)):
        seeds = cell.seeds[:done]
        if any(config.trial_id(seeds[-1]) not in outcomes for config in running):
            break
        means = [_mean(config, seeds, outcomes, mode) for config in running]
        ranked = sorted(range(len(running)), key=means.__getitem__, reverse=True)
        kept = sorted(ranked[: going_on(race, len(running))])
        running = tuple(running[index] for index in kept)
        found.append(running)
    return found


def trials_in(cell: Cell, rounds: Sequence[Sequence[Config]]) -> Iterator[PlannedTrial]:
    """List the trials that select, seed by seed, as far as it is decided which configs run.

    Args:
        cell: the cell.
        rounds: the configs of each seed, as `rounds` returns them.
    """
    for seed, configs in zip(cell.seeds, rounds, strict=False):
        yield from (PlannedTrial(config.trial_id(seed), config, seed) for config in configs)


def planned(cell: Cell, race: Race | None) -> int:
    """Count the trials that a cell's seeds take in all, whatever their results."""
    running, count = len(cell.configs), 0
    for _ in cell.seeds:
        count += running
        running = going_on(race, running) if race else running
    return count


def _mean(config: Config, seeds: tuple[int, ...], outcomes: Outcomes, mode: str) -> float:
    """Return the mean over seeds, better is higher; minus infinity if it is not finite."""
    values = [outcomes[config.trial_id(seed)] for seed in seeds]
    if any(value is None or not math.isfinite(value) for value in values):
        return -math.inf
    mean = mean_of([value for value in values if value is not None])
    return mean if mode == "max" else -mean
