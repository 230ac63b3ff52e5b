"""Expand a sweep to its cells, configs and trials."""

from __future__ import annotations

import functools
import itertools
import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.spec.identity import Runs, identity
from orchestrator.spec.model import Resources, Sweep
from orchestrator.spec.values import FIRST_CONFIRM_SEED, Value, by_value, canonical, matches

MAX_TRIALS = 1_000_000


@dataclass(frozen=True)
class Config:
    """A cell plus one combination of the search params."""

    config_id: str
    cell_id: str
    runs: Runs
    factors: Mapping[str, Value]
    search: Mapping[str, Value]
    fixed: Mapping[str, Value]
    resources: Resources
    smoke: bool = False
    diverged_on: tuple[str, ...] = ()

    @property
    def params(self) -> dict[str, Any]:
        """The trainable's params, except for the seed; lists are lists, not tuples."""
        return {name: _as_lists(value) for name, value in self._values.items()}

    @property
    def _values(self) -> dict[str, Value]:
        return {**self.factors, **self.search, **self.fixed}

    @property
    def selectors(self) -> dict[str, Value]:
        """Factors and search params: what distinguishes it from the sweep's other configs."""
        return {**self.factors, **self.search}

    def trial_id(self, seed: int) -> str:
        """Compute the id of the config with one seed."""
        params = {**self._values, "seed": seed}
        return identity(self.runs, params, smoke=self.smoke, diverged_on=self.diverged_on)


@dataclass(frozen=True)
class Cell:
    """One combination of the factors, after the variants that match it."""

    cell_id: str
    factors: Mapping[str, Value]
    configs: tuple[Config, ...]
    seeds: tuple[int, ...]
    confirm: tuple[int, ...] = ()
    deciding: tuple[int, ...] = ()
    """The confirm seeds that claims may ask for beyond those, in their order."""

    @property
    def confirming(self) -> tuple[int, ...]:
        """All confirm seeds that it may get, in their order."""
        return self.confirm + self.deciding


@dataclass(frozen=True, slots=True)
class PlannedTrial:
    """A config plus one seed: the unit that runs and is stored."""

    trial_id: str
    config: Config
    seed: int

    @property
    def params(self) -> dict[str, Any]:
        """The trainable's params."""
        return {**self.config.params, "seed": self.seed}


def carried(sweep: Sweep) -> list[str]:
    """List the params that are columns of the store."""
    changed = {name: None for variant in sweep.variants for name in variant.fixed}
    return [*sweep.factors, *sweep.search, *changed]


def cells(sweep: Sweep) -> list[Cell]:
    """Expand the factors, in file order; a cell without configs is left out."""
    all_cells = (_cell(sweep, factors) for factors in _combinations(sweep.factors))
    return [cell for cell in all_cells if cell.configs]


def varied(cells: Sequence[Cell]) -> list[str]:
    """List the factors in which cells differ, in file order."""
    values = {
        name: {by_value(cell.factors[name]) for cell in cells}
        for name in (cells[0].factors if cells else ())
    }
    return [name for name, distinct in values.items() if len(distinct) > 1]


def expand(sweep: Sweep) -> list[PlannedTrial]:
    """List every trial, seed-major: all configs of the first seed, then of the second."""
    sweep_cells = cells(sweep)
    most_seeds = max((len(cell.seeds) for cell in sweep_cells), default=0)
    return [
        PlannedTrial(config.trial_id(cell.seeds[index]), config, cell.seeds[index])
        for index in range(most_seeds)
        for cell in sweep_cells
        if index < len(cell.seeds)
        for config in cell.configs
    ]


def combinations(sweep: Sweep, names: Collection[str]) -> list[dict[str, Value]]:
    """List the values that some params, or ``seed``, have together in some trial.

    They may repeat where cells have other seeds.
    """
    if not names:
        return [{}]
    by_seeds: dict[tuple[int, ...], dict[str, dict[str, Value]]] = {}
    for factors in _combinations(sweep.factors):
        grid = _grid(sweep, factors)
        found = by_seeds.setdefault(grid.seeds, {})
        for search in _searched(sweep, grid, factors):
            params = {**factors, **search, **grid.fixed, "seed": 0}
            chosen = {name: params[name] for name in names}
            found.setdefault(canonical(chosen), chosen)
    return [
        {**chosen, "seed": seed} if "seed" in names else chosen
        for seeds, found in by_seeds.items()
        for chosen in found.values()
        for seed in (seeds if "seed" in names else seeds[:1])
    ]


def count_trials(sweep: Sweep) -> int:
    """Count the trials without expanding the search; exclusions of search params are ignored."""
    factors_only = [entry for entry in sweep.exclude if entry.keys() <= sweep.factors.keys()]
    return sum(
        _grid(sweep, factors).size
        for factors in _combinations(sweep.factors)
        if not any(matches(entry, factors) for entry in factors_only)
    )


def factors_of_cells(sweep: Sweep) -> Iterator[dict[str, Value]]:
    """List the factors of every cell, in file order, without expanding their configs."""
    for factors in _combinations(sweep.factors):
        if any(True for _ in _searched(sweep, _grid(sweep, factors), factors)):
            yield factors


def is_empty(sweep: Sweep) -> bool:
    """Tell whether everything is excluded."""
    return not any(True for _ in factors_of_cells(sweep))


def _combinations(axes: Mapping[str, tuple[Value, ...]]) -> Iterator[dict[str, Value]]:
    for values in itertools.product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def _as_lists(value: Value) -> Any:
    return json.loads(json.dumps(value)) if isinstance(value, tuple) else value


@dataclass(frozen=True)
class _Grid:
    """What one cell runs after the variants that match it."""

    seeds: tuple[int, ...]
    confirm: tuple[int, ...]
    search: Mapping[str, tuple[Value, ...]]
    fixed: Mapping[str, Value]
    resources: Resources

    @property
    def size(self) -> int:
        return len(self.seeds) * math.prod(len(values) for values in self.search.values())


def _grid(sweep: Sweep, factors: Mapping[str, Value]) -> _Grid:
    """Apply the variants that match a cell, later ones over earlier ones."""
    seeds, confirm, resources = sweep.seeds, sweep.confirm, sweep.resources
    search, fixed = sweep.search, sweep.fixed
    for variant in sweep.variants:
        if matches(variant.when, factors):
            seeds = variant.seeds or seeds
            confirm = confirm if variant.confirm is None else variant.confirm
            search = {**search, **variant.search}
            fixed = {**fixed, **variant.fixed}
            change = variant.resources.model_dump(exclude_none=True)
            resources = resources.model_copy(update=change)
    return _Grid(seeds, confirm, search, fixed, resources)


def _searched(
    sweep: Sweep, grid: _Grid, factors: Mapping[str, Value]
) -> Iterator[dict[str, Value]]:
    """List the combinations of a cell's search params that are not excluded."""
    for search in _combinations(grid.search):
        if not any(matches(entry, {**factors, **search}) for entry in sweep.exclude):
            yield search


def _cell(sweep: Sweep, factors: Mapping[str, Value]) -> Cell:
    """Expand one cell; a smoke run keeps its first config and seed, on one CPU."""
    grid = _grid(sweep, factors)
    fixed, smoke = grid.fixed, sweep.smoke
    runs = sweep.runs
    id_of = functools.partial(identity, runs, smoke=smoke, diverged_on=sweep.diverged_on)
    cell_id = id_of({**factors, **fixed})
    configs = tuple(
        Config(
            config_id=id_of({**factors, **search, **fixed}),
            cell_id=cell_id,
            runs=runs,
            factors=factors,
            search=search,
            fixed=fixed,
            resources=Resources() if smoke else grid.resources,
            smoke=smoke,
            diverged_on=sweep.diverged_on,
        )
        for search in itertools.islice(_searched(sweep, grid, factors), 1 if smoke else None)
    )
    if smoke:
        return Cell(cell_id, factors, configs, grid.seeds[:1])
    return Cell(cell_id, factors, configs, grid.seeds, grid.confirm, _deciding(sweep, grid))


def _deciding(sweep: Sweep, grid: _Grid) -> tuple[int, ...]:
    if sweep.decide is None or not grid.confirm:
        return ()
    return tuple(range(grid.confirm[-1] + 1, FIRST_CONFIRM_SEED + sweep.decide.at_most))
