"""What one cell searches, after the variants that match it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from orchestrator.spec.axes import Axis, product, size
from orchestrator.spec.exclusions import Exclusions
from orchestrator.spec.model import Resources, Sweep, Variant
from orchestrator.spec.ranges import Range
from orchestrator.spec.values import Value, matches

MAX_TRIALS = 1_000_000


@dataclass(frozen=True)
class Grid:
    """What one cell runs after the variants that match it."""

    seeds: tuple[int, ...]
    confirm: tuple[int, ...]
    search: Mapping[str, tuple[Value, ...] | Range]
    fixed: Mapping[str, Value]
    resources: Resources
    variants: tuple[Variant, ...] = ()
    """Those that match the cell, or may match some of its search params, in file order."""


def grid_of(sweep: Sweep, factors: Mapping[str, Value]) -> Grid:
    """Apply the variants that match a cell, later ones over earlier ones."""
    grid = Grid(sweep.seeds, sweep.confirm, sweep.search_axes, sweep.fixed, sweep.resources)
    for variant in sweep.variants:
        of_cell = {n: value for n, value in variant.when.items() if n in factors}
        if not matches(of_cell, factors):
            continue
        grid = replace(grid, variants=(*grid.variants, variant))
        if len(of_cell) == len(variant.when):
            grid = replace(
                _changed(grid, variant),
                seeds=variant.seeds or grid.seeds,
                confirm=grid.confirm if variant.confirm is None else variant.confirm,
                fixed={**grid.fixed, **variant.fixed},
            )
    return grid


def _changed(grid: Grid, variant: Variant) -> Grid:
    """Apply a variant's search and resources."""
    resources = grid.resources.model_copy(update=variant.resources.model_dump(exclude_none=True))
    return replace(grid, search={**grid.search, **variant.search}, resources=resources)


def _split(sweep: Sweep, grid: Grid, factors: Mapping[str, Value]) -> tuple[set[str], list[Axis]]:
    """List the search params that variants match, and the axes of a cell that set them."""
    matched = {name for variant in grid.variants for name in variant.when} - factors.keys()
    axes = sweep.search_grid(grid.search)
    return matched, [axis for axis in axes if not matched.isdisjoint(axis.names)]


def _parts(
    sweep: Sweep, grid: Grid, factors: Mapping[str, Value]
) -> Iterator[tuple[Grid, list[Axis]]]:
    """Split a cell's search into parts to each of which the same variants apply.

    Yields:
        What the part runs, and the axes of its search.
    """
    if not grid.variants:
        yield grid, sweep.search_grid(grid.search)
        return
    matched, split = _split(sweep, grid, factors)
    for chosen in product(split):
        part = replace(grid, search=sweep.search_axes, resources=sweep.resources)
        values = {**dict.fromkeys(matched), **factors, **chosen}
        for variant in grid.variants:
            if matches(variant.when, values):
                part = _changed(part, variant)
        one = {a.names: Axis(a.names, (tuple(chosen[n] for n in a.names),)) for a in split}
        axes = sweep.search_grid(part.search)
        yield part, [one.get(axis.names, axis) for axis in axes]


def count_configs(sweep: Sweep, grid: Grid, factors: Mapping[str, Value]) -> int:
    """Count the configs of a cell, those included that are excluded."""
    _, split = _split(sweep, grid, factors)
    if size(split) > MAX_TRIALS:
        return size(split)
    return sum(size(axes) for _, axes in _parts(sweep, grid, factors))


def searched(
    sweep: Sweep, grid: Grid, factors: Mapping[str, Value]
) -> Iterator[tuple[dict[str, Value], Resources]]:
    """List the combinations of a cell's search params that are not excluded.

    Yields:
        The values of all search params, null for those that the cell does not search; and what a
        trial occupies.
    """
    nothing = dict.fromkeys(sweep.search)
    for part, axes in _parts(sweep, grid, factors):
        for chosen in product(axes):
            search = {**nothing, **chosen}
            if not sweep.exclusions.include({**factors, **search}):
                yield search, part.resources


def has_config(sweep: Sweep, condition: Mapping[str, Value], excluded: Exclusions) -> bool:
    """Tell whether some config that is not excluded has the values of a condition."""
    for factors in product([_matching(axis, condition) for axis in sweep.factor_grid]):
        for _, axes in _parts(sweep, grid_of(sweep, factors), factors):
            known = {**dict.fromkeys(sweep.search), **factors}
            own = {name for axis in axes for name in axis.names}
            others = {n: value for n, value in condition.items() if n not in own}
            if matches(others, known) and any(
                not excluded.include({**known, **chosen})
                for chosen in product([_matching(axis, condition) for axis in axes])
            ):
                return True
    return False


def _matching(axis: Axis, condition: Mapping[str, Value]) -> Axis:
    """Keep the points of an axis that have the values of a condition."""
    own = {name: value for name, value in condition.items() if name in axis.names}
    rows = (row for row in axis.rows if matches(own, dict(zip(axis.names, row, strict=True))))
    return Axis(axis.names, tuple(rows)) if own else axis


def points_of(sweep: Sweep) -> set[int]:
    """Count the different points that a cell's ranges come to: each number that some cell has."""
    counts = set[int]()
    for factors in product(sweep.factor_grid):
        for part, _ in _parts(sweep, grid_of(sweep, factors), factors):
            names = tuple(n for n, values in part.search.items() if isinstance(values, Range))
            axes = sweep.search_grid(part.search)
            counts.update(len(axis.rows) for axis in axes if names and axis.names == names)
    return counts
