"""Checks of a sweep file beyond the type of each key: names that exist, the size of the grid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from orchestrator.errors import unknown
from orchestrator.labels import PROBE, label
from orchestrator.spec.axes import size
from orchestrator.spec.axis_checks import check_conditions, check_params
from orchestrator.spec.claim import Claim
from orchestrator.spec.claim_checks import check_cells, check_claim
from orchestrator.spec.command_checks import check_command, check_nulls
from orchestrator.spec.direction import is_gain
from orchestrator.spec.grid import count_trials, is_empty
from orchestrator.spec.keys import Key
from orchestrator.spec.model import SMOKE_SUFFIX, ResourceChange, Sweep
from orchestrator.spec.name_checks import free, matcher, on_axis
from orchestrator.spec.problems import Problem
from orchestrator.spec.searched import MAX_TRIALS
from orchestrator.spec.seed_checks import (
    check_confirm,
    check_decidable,
    check_decide,
    check_race,
)
from orchestrator.spec.shown import Figure, Published, Table


def check(sweep: Sweep, *, strict: bool = False) -> list[Problem]:
    """List names that are unknown or misplaced; without any, a grid that is too large or empty."""
    problems = list(check_params(sweep))
    if problems:
        return problems
    problems = [*_names(sweep), *(_mode(sweep) if strict else ()), *check_command(sweep)]
    if problems or (problems := list(_size(sweep))):
        return problems
    return [
        *(check_conditions(sweep) if strict else ()),
        *check_race(sweep),
        *check_decidable(sweep),
        *check_nulls(sweep),
        *(check_cells(sweep) if strict else ()),
    ]


def _names(sweep: Sweep) -> Iterator[Problem]:
    yield from _resources(sweep)
    yield from check_confirm(sweep)
    yield from check_decide(sweep)
    if sweep.name.endswith(SMOKE_SUFFIX):
        yield Problem(("name",), f"names that end in `{SMOKE_SUFFIX}` are reserved for smoke runs")
    yield from free(sweep, sweep.select.metric, ("select", "metric"))
    for index, name in enumerate(sweep.diverged_on):
        yield from free(sweep, name, ("diverged_on", index))
    yield from _distinct("tables", sweep.tables)
    yield from _distinct("claims", sweep.claims)
    yield from _distinct("figures", sweep.figures)
    for index, table in enumerate(sweep.tables):
        yield from _table(sweep, table, ("tables", index))
    for index, claim in enumerate(sweep.claims):
        yield from check_claim(sweep, claim, ("claims", index))
    for index, figure in enumerate(sweep.figures):
        yield from _figure(sweep, figure, ("figures", index))
        yield from _figure_metrics(sweep, figure, ("figures", index))


def _mode(sweep: Sweep) -> Iterator[Problem]:
    if "mode" in sweep.select.model_fields_set or is_gain(sweep.select.metric):
        return
    yield Problem(
        ("select",),
        f"set `mode: max` or `mode: min`: the name `{sweep.select.metric}` does not say which",
    )


def _resources(sweep: Sweep) -> Iterator[Problem]:
    changes: dict[Key, ResourceChange] = {(): ResourceChange()}
    changes |= {("variants", i): variant.resources for i, variant in enumerate(sweep.variants)}
    for key, change in changes.items():
        cpu = sweep.resources.cpu if change.cpu is None else change.cpu
        gpu = sweep.resources.gpu if change.gpu is None else change.gpu
        if cpu == gpu == 0:
            yield Problem((*key, "resources"), "a trial needs some CPU or GPU")


def _distinct(section: str, entries: Iterable[Table | Claim | Figure]) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        if entry.name in seen:
            yield Problem((section, index, "name"), f"the name `{entry.name}` is repeated")
        seen.add(entry.name)


def _table(sweep: Sweep, table: Table, key: Key) -> Iterator[Problem]:
    seen: set[str] = set()
    for side in ("rows", "columns"):
        for index, name in enumerate(getattr(table, side)):
            if name not in sweep.factors:
                yield Problem((*key, side, index), unknown("factor", name, sweep.factors))
            elif name in seen:
                yield Problem((*key, side, index), f"the factor `{name}` is repeated")
            seen.add(name)
    for index, value in enumerate(table.values):
        if value in {"", PROBE}:
            yield Problem((*key, "values", index), "expected a metric or `probe:NAME`")
        yield from free(sweep, value, (*key, "values", index))
    if table.layers != "mean" and not any(value.startswith(PROBE) for value in table.values):
        yield Problem((*key, "layers"), "only a probe has layers")
    if table.published:
        yield from _published(sweep, table, table.published, (*key, "published"))


def _published(sweep: Sweep, table: Table, published: Published, key: Key) -> Iterator[Problem]:
    values = table.values or (sweep.select.metric,)
    known = [*sweep.factors, *values, *sweep.search, *sweep.fixed]
    for index, name in enumerate(published.columns):
        if name not in known:
            what = "factor, value of the table or param"
            yield Problem((*key, "columns", index), unknown(what, name, known))
    for index, row in enumerate(published.rows):
        if len(row) != len(published.columns):
            text = f"expected {len(published.columns)} values, one per column"
            yield Problem((*key, "rows", index), text)
            continue
        for name, value in zip(published.columns, row, strict=True):
            if name in sweep.factors:
                yield from on_axis(value, sweep.factors[name], (*key, "rows", index))
            elif name in values and not isinstance(value, int | float | None):
                yield Problem((*key, "rows", index), f"`{name}`: expected a number or null")


def _figure(sweep: Sweep, figure: Figure, key: Key) -> Iterator[Problem]:
    probes = [value.startswith(PROBE) for value in figure.values]
    if figure.kind in {"layers", "histogram"} and not all(probes):
        yield Problem((*key, "values"), f"`kind: {figure.kind}` shows probes: `probe:NAME`")
    if figure.kind == "curves" and any(probes):
        yield Problem((*key, "values"), "`kind: curves` shows metrics")
    if (figure.kind in {"relation", "bars"}) != (figure.x is not None):
        text = "`x` is required for `kind: relation` and `kind: bars`, and only allowed there"
        yield Problem((*key, "x"), text)
    if figure.kind == "bars" and figure.x not in (None, *sweep.factors):
        yield Problem((*key, "x"), unknown("factor", figure.x, sweep.factors))
    if figure.kind != "histogram" and (figure.layers or figure.units):
        yield Problem(key, "`layers` and `units` are only allowed for `kind: histogram`")
    if figure.panels is not None and figure.panels not in sweep.factors:
        yield Problem((*key, "panels"), unknown("factor", figure.panels, sweep.factors))
    yield from matcher(figure.where, sweep.factors, "factor", (*key, "where"))
    shown = [label(value) for axis in sweep.factors.values() for value in axis]
    labelled = [*figure.values, *filter(None, [figure.x]), *shown]
    for name in figure.labels:
        if name not in labelled:
            text = unknown("value, `x` or factor value", name, labelled)
            yield Problem((*key, "labels", name), text)


def _figure_metrics(sweep: Sweep, figure: Figure, key: Key) -> Iterator[Problem]:
    for index, value in enumerate(figure.values):
        yield from free(sweep, value, (*key, "values", index))
    if figure.x is not None and figure.x not in sweep.factors:
        yield from free(sweep, figure.x, (*key, "x"))


def _size(sweep: Sweep) -> Iterator[Problem]:
    """Count the trials before anything expands the grid."""
    cells = size(sweep.factor_grid)
    trials = count_trials(sweep) if cells <= MAX_TRIALS else _full_grid(sweep)
    if trials > MAX_TRIALS:
        text = f"the grid has {trials:,} trials; the limit is {MAX_TRIALS:,}"
        section = "factors" if sweep.factor_axes else "search" if sweep.search_axes else "seeds"
        yield Problem((section,), text)
    elif is_empty(sweep):
        yield Problem(("exclude",), "excludes every trial; nothing is left to run")


def _full_grid(sweep: Sweep) -> int:
    """Count the trials as if no variant or exclusion applied."""
    axes = (*sweep.factor_grid, *sweep.search_grid(sweep.search_axes))
    return size(axes) * len(sweep.seeds)
