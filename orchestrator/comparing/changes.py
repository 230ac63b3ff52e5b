"""How far the values of cells moved, and whether that is beyond the noise of their seeds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import stats

from orchestrator.comparing.sides import (
    PUBLISHED,
    Measured,
    Shown,
    measured,
    opened,
    places,
    published,
    shown,
)
from orchestrator.errors import InputError, ShowError
from orchestrator.labels import assignments, label
from orchestrator.results import Results
from orchestrator.results.claims.contrasts import ALPHA, NO_SPREAD, Array, Estimate, holm, paired
from orchestrator.results.selection import CellSelection
from orchestrator.spec.values import Value, by_value

Verdict = Literal["same", "within noise", "moved", "lost", "unknown"]


@dataclass(frozen=True)
class Change:
    """One value of one cell, on both sides.

    Attributes:
        factors: the cell.
        value: what it is of.
        before: the first side.
        after: the second.
        difference: of the means, the second less the first, as stored.
        low: lower end of its 95 % t interval; NaN without a spread.
        high: the upper end.
        p: of the t test against no difference, paired where the seeds are the same; NaN without a
            spread.
        p_holm: p corrected over all values of all cells.
    """

    factors: Mapping[str, Value]
    value: Shown
    before: Measured
    after: Measured
    difference: float
    low: float
    high: float
    p: float
    p_holm: float = math.nan

    @property
    def verdict(self) -> Verdict:
        """What the test says at 5 %.

        ``same`` is to the bit, in every seed; ``lost`` if seeds were finite, and now are not.
        """
        if self.before.by_seed and self.before.by_seed == self.after.by_seed:
            return "same"
        if self.before.is_finite and not self.after.is_finite:
            return "lost"
        if math.isnan(self.p_holm):
            return "unknown"
        return "moved" if self.p_holm < ALPHA else "within noise"


@dataclass(frozen=True)
class Comparison:
    """Two sides, compared.

    Attributes:
        names: what the sides are called.
        changes: the values that both have, in the order of the first's cells.
        only: the cells that only the first, and only the second has.
        notes: what else is not the same, in sentences.
    """

    names: tuple[str, str]
    changes: tuple[Change, ...]
    only: tuple[tuple[str, ...], tuple[str, ...]]
    notes: tuple[str, ...]

    @property
    def has_moved(self) -> bool:
        """Whether a value moved beyond noise or is lost, or a cell of the first side is gone."""
        return bool(self.only[0]) or any(c.verdict in {"moved", "lost"} for c in self.changes)


def compare(before: str, after: str) -> Comparison:
    """Compare two sides, as the command line names them.

    Raises:
        StoreError: a store is not there.
        InputError: they have no cell in common, are the same, or no figures are published.
        ShowError: a store lacks the metric that its sweep selects by.
    """
    if before == after:
        raise InputError(
            f"{before} is compared with itself; for two versions of its code, write the start of "
            "a digest behind each: STORE@DIGEST"
        )
    first = opened(before)
    if after == PUBLISHED:
        figures = _corrected(_with_figures(first))
        return Comparison((before, after), figures, ((), ()), tuple(_of_figures(first)))
    second = opened(after)
    names = [*dict.fromkeys([*first.sweep.factors, *second.sweep.factors])]
    one, other = places(first, names), places(second, names)
    pairs = [(one[place], other[place]) for place in one if place in other]
    if not pairs:
        raise InputError(
            f"{before} and {after} have no cell in common: {_cell(next(iter(one.values())))} is a "
            f"cell of the first, {_cell(next(iter(other.values())))} of the second"
        )
    only = tuple(
        tuple(_cell(cells[place]) for place in cells if place not in others)
        for cells, others in ((one, other), (other, one))
    )
    notes = [*_settings(pairs)]
    changes = []
    for value in _values(first):
        try:
            changes += [
                _change(
                    a.cell.factors, value, measured(first, a, value), _measured(second, b, value)
                )
                for a, b in pairs
            ]
        except ShowError as error:
            notes.append(f"{value} is left out: {error}")
    return Comparison((before, after), _corrected(changes), (only[0], only[1]), tuple(notes))


def _values(results: Results) -> list[Shown]:
    """List the values that the tables of a sweep show, the selection metric first."""
    sweep = results.sweep
    values = (value for table in sweep.tables for value in shown(sweep, table))
    return [*dict.fromkeys([Shown(sweep.select.metric), *values])]


def _measured(results: Results, selection: CellSelection, value: Shown) -> Measured:
    """Look up a value that the other side has; none if these trials do not measure it."""
    try:
        return measured(results, selection, value)
    except ShowError:
        return Measured({}, None, selection.complete)


def _cell(selection: CellSelection) -> str:
    return assignments(selection.cell.factors) or "its one cell"


def _settings(pairs: Sequence[tuple[CellSelection, CellSelection]]) -> Iterator[str]:
    """Say which fixed params are not the same, and where the searches or selections differ."""
    differing: dict[str, set[str]] = {}
    for a, b in pairs:
        one, other = (s.cell.configs[0].fixed for s in (a, b))
        for name in sorted(one.keys() | other.keys()):
            shown = [label(side[name]) if name in side else "absent" for side in (one, other)]
            if name not in a.cell.factors and name not in b.cell.factors and shown[0] != shown[1]:
                differing.setdefault(f"{name} was {shown[0]}, is {shown[1]}", set()).add(_cell(a))
    for text, cells in differing.items():
        yield text if len(cells) == len(pairs) else f"{text} ({', '.join(sorted(cells))})"
    for a, b in pairs:
        if a.best and b.best and _plain(a.best.config.search) != _plain(b.best.config.search):
            was, now = (assignments(s.best.config.search) for s in (a, b) if s.best)
            yield f"{_cell(a)}: {was or 'no search'} was selected, now {now or 'no search'}"


def _plain(values: Mapping[str, Value]) -> dict[str, object]:
    return {name: by_value(value) for name, value in values.items()}


def _with_figures(results: Results) -> list[Change]:
    return [
        _change(selection.cell.factors, value, figure, measured(results, selection, value))
        for value, figures in published(results).items()
        for selection, figure in figures
    ]


def _of_figures(results: Results) -> Iterator[str]:
    for table in results.sweep.tables:
        if table.published:
            yield f"published: {table.published.source}"
    yield "a published figure comes without its spread: noise is that of the store's seeds alone"


def _change(
    factors: Mapping[str, Value], value: Shown, before: Measured, after: Measured
) -> Change:
    one, other = (np.array([*side.by_seed.values()], float) for side in (before, after))
    if before.figure is not None:
        found = _mean(other - before.figure)
    elif before.by_seed.keys() == after.by_seed.keys():
        found = _mean(np.array([after.by_seed[seed] - was for seed, was in before.by_seed.items()]))
    else:
        found = _welch(_mean(one), _mean(other))
    difference, error = float(found.effect), float(found.error)
    rounding = NO_SPREAD * float(np.abs([*one, *other, before.figure or 0.0]).max())
    if error <= rounding:  # the same in all seeds
        p = float(abs(difference) <= rounding)
    else:
        p = float(2 * stats.t.sf(abs(difference) / error, found.df))
    low, high = found.interval()
    return Change(factors, value, before, after, difference, float(low), float(high), p)


def _mean(values: Array) -> Estimate:
    """Estimate a mean; NaN without values."""
    return paired(values if len(values) else np.array([math.nan]))


def _welch(one: Estimate, other: Estimate) -> Estimate:
    """Estimate the difference of two means, as Welch's test does."""
    error = np.hypot(one.error, other.error)
    df = one.df + other.df
    if error > 0:
        df = error**4 / (one.error**4 / one.df + other.error**4 / other.df)
    return Estimate(other.effect - one.effect, error, df)


def _corrected(changes: Sequence[Change]) -> tuple[Change, ...]:
    """Correct the p-values over all changes by Holm's method."""
    corrected = holm(np.array([change.p for change in changes]))
    return tuple(replace(c, p_holm=float(p)) for c, p in zip(changes, corrected, strict=True))
