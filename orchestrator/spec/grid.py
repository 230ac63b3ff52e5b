"""Expand a sweep to its cells, configs and trials."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.nesting import nested
from orchestrator.spec.axes import product
from orchestrator.spec.claim import match
from orchestrator.spec.identity import Runs, identity
from orchestrator.spec.model import Resources, Sweep
from orchestrator.spec.searched import Grid, count_configs, grid_of, searched
from orchestrator.spec.values import (
    FIRST_CONFIRM_SEED,
    Value,
    by_value,
    canonical,
)


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
    added: Mapping[str, Value] = field(default_factory=dict)

    @property
    def params(self) -> dict[str, Any]:
        """The trainable's params, except for the seed; names with dots are nested."""
        return nested({name: _as_lists(value) for name, value in self.values.items()})

    @property
    def values(self) -> dict[str, Value]:
        """The params by their names in the sweep file; lists are tuples."""
        return {**self.factors, **self.search, **self.fixed}

    @property
    def selectors(self) -> dict[str, Value]:
        """Factors and search params: what distinguishes it from the sweep's other configs."""
        return {**self.factors, **self.search}

    def trial_id(self, seed: int) -> str:
        """Compute the id of the config with one seed, once."""
        if seed not in self._trial_ids:
            params = {**_before(self.values, self.added), "seed": seed}
            self._trial_ids[seed] = identity(
                self.runs, params, smoke=self.smoke, diverged_on=self.diverged_on
            )
        return self._trial_ids[seed]

    @functools.cached_property
    def _trial_ids(self) -> dict[int, str]:
        return {}


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
        """The trainable's params; names with dots are nested."""
        return {**self.config.params, "seed": self.seed}

    @property
    def values(self) -> dict[str, Value]:
        """The params by their names in the sweep file; lists are tuples."""
        return {**self.config.values, "seed": self.seed}

    @property
    def selectors(self) -> dict[str, Value]:
        """What tells it from other trials of the sweep: factors, search params and the seed."""
        return {**self.config.selectors, "seed": self.seed}


def carried(sweep: Sweep) -> list[str]:
    """List the params that are columns of the store."""
    changed = {name: None for variant in sweep.variants for name in variant.fixed}
    return [*sweep.factors, *sweep.search, *changed]


def cells(sweep: Sweep) -> list[Cell]:
    """Expand the factors, in file order; a cell without configs is left out."""
    all_cells = (_cell(sweep, factors) for factors in product(sweep.factor_grid))
    found = [cell for cell in all_cells if cell.configs]
    if sweep.decide is None:
        return found
    factors = [cell.factors for cell in found]
    matches = (match(claim, sweep, factors) for claim in sweep.claims)
    asked = {index for of_claim in matches for indices in of_claim for index in indices}
    return [c if i in asked else replace(c, deciding=()) for i, c in enumerate(found)]


def varied(cells: Sequence[Cell]) -> list[str]:
    """List the factors in which cells differ, in file order."""
    values = {
        name: {by_value(cell.factors[name]) for cell in cells}
        for name in (cells[0].factors if cells else ())
    }
    return [name for name, distinct in values.items() if len(distinct) > 1]


def expand(sweep: Sweep) -> list[PlannedTrial]:
    """List every trial, seed-major: all configs of the first seed, then of the second."""
    return trials_of(cells(sweep))


def trials_of(cells: Sequence[Cell]) -> list[PlannedTrial]:
    """List the trials of cells on their seeds, in the order of `expand`."""
    most_seeds = max((len(cell.seeds) for cell in cells), default=0)
    return [
        PlannedTrial(config.trial_id(cell.seeds[index]), config, cell.seeds[index])
        for index in range(most_seeds)
        for cell in cells
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
    for factors in product(sweep.factor_grid):
        grid = grid_of(sweep, factors)
        found = by_seeds.setdefault(grid.seeds, {})
        for search, _ in searched(sweep, grid, factors):
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
    excluded = sweep.exclusions.about(sweep.factors)
    return sum(
        len(grid.seeds) * count_configs(sweep, grid, factors)
        for factors in product(sweep.factor_grid)
        if not excluded.include(factors)
        for grid in [grid_of(sweep, factors)]
    )


def factors_of_cells(sweep: Sweep) -> Iterator[dict[str, Value]]:
    """List the factors of every cell, in file order, without expanding their configs."""
    for factors in product(sweep.factor_grid):
        if any(True for _ in searched(sweep, grid_of(sweep, factors), factors)):
            yield factors


def is_empty(sweep: Sweep) -> bool:
    """Tell whether everything is excluded."""
    return not any(True for _ in factors_of_cells(sweep))


def _as_lists(value: Value) -> Any:
    return json.loads(json.dumps(value)) if isinstance(value, tuple) else value


def _cell(sweep: Sweep, factors: Mapping[str, Value]) -> Cell:
    """Expand one cell; a smoke run keeps its first config and seed, on one CPU."""
    grid = grid_of(sweep, factors)
    fixed, smoke = grid.fixed, sweep.smoke
    runs = sweep.runs
    id_of = functools.partial(identity, runs, smoke=smoke, diverged_on=sweep.diverged_on)
    cell_id = id_of(_before({**factors, **fixed}, sweep.added))
    found = searched(sweep, grid, factors)
    configs = tuple(
        Config(
            config_id=id_of(_before({**factors, **search, **fixed}, sweep.added)),
            cell_id=cell_id,
            runs=runs,
            factors=factors,
            search=search,
            fixed=fixed,
            resources=Resources() if smoke else resources,
            smoke=smoke,
            diverged_on=sweep.diverged_on,
            added=sweep.added,
        )
        for search, resources in itertools.islice(found, 1 if smoke else None)
    )
    if smoke:
        return Cell(cell_id, factors, configs, grid.seeds[:1])
    return Cell(cell_id, factors, configs, grid.seeds, grid.confirm, _deciding(sweep, grid))


def _before(params: Mapping[str, Value], added: Mapping[str, Value]) -> dict[str, Value]:
    """Leave out the params that trials had no need to name: those added later, at their value."""
    return {
        name: value
        for name, value in params.items()
        if name not in added or canonical(value) != canonical(added[name])
    }


def _deciding(sweep: Sweep, grid: Grid) -> tuple[int, ...]:
    if sweep.decide is None or not grid.confirm:
        return ()
    return tuple(range(grid.confirm[-1] + 1, FIRST_CONFIRM_SEED + sweep.decide.at_most))
