"""From a sweep to its cells, configs and trials."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.spec.identity import identity
from orchestrator.spec.model import Resources, Sweep
from orchestrator.spec.values import Value, canonical

MAX_TRIALS = 1_000_000


@dataclass(frozen=True)
class Config:
    """A cell plus one combination of the search params."""

    config_id: str
    cell_id: str
    trainable: str
    factors: Mapping[str, Value]
    search: Mapping[str, Value]
    fixed: Mapping[str, Value]
    resources: Resources
    smoke: bool = False

    @property
    def params(self) -> dict[str, Any]:
        """What the trainable is given, but for the seed; lists are lists again."""
        return {name: _unfrozen(value) for name, value in self._values.items()}

    @property
    def _values(self) -> dict[str, Value]:
        return {**self.factors, **self.search, **self.fixed}

    @property
    def selectors(self) -> dict[str, Value]:
        """Factors and search params: what tells it from the sweep's other configs."""
        return {**self.factors, **self.search}

    def trial_id(self, seed: int) -> str:
        """Hash the config with one seed."""
        return identity(self.trainable, {**self._values, "seed": seed}, smoke=self.smoke)


@dataclass(frozen=True)
class Cell:
    """One combination of the factors, with what the variants make of it."""

    cell_id: str
    factors: Mapping[str, Value]
    configs: tuple[Config, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PlannedTrial:
    """A config plus one seed: the unit that runs and is stored."""

    trial_id: str
    config: Config
    seed: int

    @property
    def params(self) -> dict[str, Any]:
        """What the trainable is given."""
        return {**self.config.params, "seed": self.seed}


def carried(sweep: Sweep) -> list[str]:
    """List the params of which every row of the store has a column."""
    changed = {name: None for variant in sweep.variants for name in variant.fixed}
    return [*sweep.factors, *sweep.search, *changed]


def cells(sweep: Sweep) -> list[Cell]:
    """Expand the factors, in file order, without what is excluded."""
    found = (_cell(sweep, factors) for factors in _combine(sweep.factors))
    return [cell for cell in found if cell.configs]


def varied(found: Sequence[Cell]) -> list[str]:
    """Name the factors in which cells differ, in file order."""
    values = {
        name: {canonical(cell.factors[name]) for cell in found}
        for name in (found[0].factors if found else ())
    }
    return [name for name, different in values.items() if len(different) > 1]


def expand(sweep: Sweep) -> list[PlannedTrial]:
    """List every trial, seed-major: all configs of the first seed, then of the second."""
    found = cells(sweep)
    rounds = max((len(cell.seeds) for cell in found), default=0)
    return [
        PlannedTrial(config.trial_id(cell.seeds[turn]), config, cell.seeds[turn])
        for turn in range(rounds)
        for cell in found
        if turn < len(cell.seeds)
        for config in cell.configs
    ]


def count_trials(sweep: Sweep) -> int:
    """Count the trials without expanding the search; entries excluding search params count."""
    factors_only = [entry for entry in sweep.exclude if entry.keys() <= sweep.factors.keys()]
    return sum(
        _grid(sweep, factors).size
        for factors in _combine(sweep.factors)
        if not any(matches(entry, factors) for entry in factors_only)
    )


def is_empty(sweep: Sweep) -> bool:
    """Tell whether everything is excluded."""
    found = (_searched(sweep, _grid(sweep, f), f) for f in _combine(sweep.factors))
    return next(itertools.chain.from_iterable(found), None) is None


def matches(entry: Mapping[str, Value], params: Mapping[str, Value]) -> bool:
    """Tell whether every param that an entry names has its value, or one of its list."""
    return all(_is_among(params[name], wanted) for name, wanted in entry.items())


def _is_among(value: Value, wanted: Value) -> bool:
    options = [wanted, *wanted] if isinstance(wanted, tuple) else [wanted]
    return canonical(value) in map(canonical, options)


def _combine(axes: Mapping[str, tuple[Value, ...]]) -> Iterator[dict[str, Value]]:
    for values in itertools.product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def _unfrozen(value: Value) -> Any:
    return json.loads(json.dumps(value)) if isinstance(value, tuple) else value


@dataclass(frozen=True)
class _Grid:
    """What the variants leave to run in one cell."""

    seeds: tuple[int, ...]
    search: Mapping[str, tuple[Value, ...]]
    fixed: Mapping[str, Value]
    resources: Resources

    @property
    def size(self) -> int:
        return len(self.seeds) * math.prod(len(values) for values in self.search.values())


def _grid(sweep: Sweep, factors: Mapping[str, Value]) -> _Grid:
    """Apply the variants that match a cell, later ones over earlier ones."""
    seeds, search, fixed, resources = sweep.seeds, sweep.search, sweep.fixed, sweep.resources
    for variant in sweep.variants:
        if matches(variant.when, factors):
            seeds = variant.seeds or seeds
            search = {**search, **variant.search}
            fixed = {**fixed, **variant.fixed}
            change = variant.resources.model_dump(exclude_none=True)
            resources = resources.model_copy(update=change)
    return _Grid(seeds, search, fixed, resources)


def _searched(
    sweep: Sweep, grid: _Grid, factors: Mapping[str, Value]
) -> Iterator[dict[str, Value]]:
    """Combine a cell's search axes, without what is excluded."""
    for search in _combine(grid.search):
        if not any(matches(entry, {**factors, **search}) for entry in sweep.exclude):
            yield search


def _cell(sweep: Sweep, factors: Mapping[str, Value]) -> Cell:
    """Expand one cell; a smoke run has the first config and seed of it, on one CPU."""
    grid = _grid(sweep, factors)
    fixed, smoke = grid.fixed, sweep.smoke
    cell_id = identity(sweep.trainable, {**factors, **fixed}, smoke=smoke)
    configs = tuple(
        Config(
            config_id=identity(sweep.trainable, {**factors, **search, **fixed}, smoke=smoke),
            cell_id=cell_id,
            trainable=sweep.trainable,
            factors=factors,
            search=search,
            fixed=fixed,
            resources=Resources() if smoke else grid.resources,
            smoke=smoke,
        )
        for search in itertools.islice(_searched(sweep, grid, factors), 1 if smoke else None)
    )
    return Cell(cell_id, factors, configs, grid.seeds[:1] if smoke else grid.seeds)
