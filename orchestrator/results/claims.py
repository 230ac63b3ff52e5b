"""Tests the claims of a sweep file: effect, interval, p-value and verdict.

A claim reduces to one number per seed: a difference or slope over the selected configs,
averaged over the cells that the claim is about. Both sides of a difference have the same
seeds, so tests are paired by seed; p-values are corrected over all claims of the file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from orchestrator.results.contrasts import (
    ALPHA,
    Array,
    Contrast,
    contrast,
    equivalence,
    holm,
    seeds_to_differ,
    seeds_to_equate,
    slopes,
)
from orchestrator.results.findings import html_findings, show_findings
from orchestrator.results.marks import summary
from orchestrator.results.measures import measured_name, values_by_seed
from orchestrator.results.selection import CellSelection
from orchestrator.results.tables import as_text
from orchestrator.spec.grid import matches
from orchestrator.spec.model import Claim, Sweep
from orchestrator.spec.values import by_value

if TYPE_CHECKING:
    from orchestrator.results.results import Results

Verdict = Literal["supported", "refuted", "undecided"]


@dataclass(frozen=True, repr=False)
class Finding:
    """The result of testing one claim.

    Attributes:
        claim: the claim.
        verdict: ``supported`` or ``refuted`` by a corrected p-value below 0.05; a ``close``
            claim is also refuted by an interval outside its margin.
        contrast: first minus second value, or the slope per step of the list, averaged
            over cells, in the unit that the trainable yields; its ``n`` is the number of
            seeds that every cell on both sides has.
        p: two-sided p-value; for ``close`` the larger of two one-sided ones; None if no test
            is possible.
        p_holm: ``p`` corrected over all claims of the file.
        test: name of the test that gives ``p``.
        seeds_to_decide: number of seeds that would decide an undecided claim with 80 % power
            if the true effect and spread were the observed ones, at the strictest level of
            the correction; None if the claim is decided, without spread, or above 1,000.
        notes: further remarks for the reader.
    """

    claim: Claim
    verdict: Verdict
    contrast: Contrast
    p: float | None
    p_holm: float | None
    test: str
    seeds_to_decide: int | None
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return repr(Findings([self]))

    def _repr_html_(self) -> str:
        return Findings([self])._repr_html_()


class Findings(list[Finding]):
    """Findings about several claims, displayed as a table with remarks."""

    def __repr__(self) -> str:
        return as_text(lambda console: show_findings(self, console))

    def _repr_html_(self) -> str:
        return html_findings(self)


def judge(results: Results, claims: Sequence[Claim]) -> Findings:
    """Test claims as one family, over which the p-values are corrected.

    Cells are matched on the factors that a claim does not compare; a match counts if it has
    a cell for every value that the claim compares. A trend is the slope over the positions
    in the claim's list. ``best`` compares the first value with each of the others: all of
    these comparisons must support it (their largest p-value counts), and a single one can
    refute it (the smallest counts, times their number).

    Args:
        results: the results of a sweep.
        claims: claims about its factors.

    Returns:
        One finding per claim.

    Raises:
        ShowError: the store has no such metric or probe.
    """
    tests = []
    for claim in claims:
        sides = _sides(claim, results.selections, results.measure(measured_name(claim)))
        test = _test(claim, sides, _sign(claim, results.sweep))
        marks = summary(sides.cells, results.ends, results.origins)
        tests.append(replace(test, notes=(*test.notes, *marks)))
    corrected = holm([test.p for test in tests])
    strictest = ALPHA / max(1, sum(test.p is not None for test in tests))
    return Findings(
        _finding(claim, test, p_holm, strictest)
        for claim, test, p_holm in zip(claims, tests, corrected, strict=True)
    )


@dataclass(frozen=True)
class _Sides:
    """The values that a claim compares.

    Attributes:
        values: mean over the matched cells, shape (values compared, seeds).
        cells: the selections of the matched cells.
    """

    values: Array
    cells: tuple[CellSelection, ...]


def _sides(
    claim: Claim, selections: Sequence[CellSelection], measured: Mapping[str, float]
) -> _Sides:
    ((factor, compared),) = claim.compare.items()
    groups: dict[str, dict[str, CellSelection]] = {}
    for selection in selections:
        rest = dict(selection.cell.factors)
        if matches(claim.where, rest):
            value = by_value(rest.pop(factor))
            groups.setdefault(by_value(rest), {})[value] = selection
    keys = list(map(by_value, compared))
    matched = [group for group in groups.values() if group.keys() >= set(keys)]
    cells = tuple(group[key] for group in matched for key in keys)
    seeds = sorted(set.intersection(*(set(cell.reported) for cell in cells)) if cells else ())
    by_cell = [values_by_seed(measured, cell) for cell in cells]
    values = np.array([[by_seed[seed] for seed in seeds] for by_seed in by_cell])
    shape = (max(1, len(matched)), len(keys), len(seeds))
    return _Sides(values.reshape(shape if cells else (1, len(keys), 0)).mean(axis=0), cells)


def _sign(claim: Claim, sweep: Sweep) -> int:
    """Return the sign of the effect that the claim expects."""
    if claim.expect != "best":
        return 1 if claim.expect in {"greater", "increasing"} else -1
    if claim.metric == sweep.select.metric:
        return 1 if sweep.select.mode == "max" else -1
    return -1 if measured_name(claim).endswith(("loss", "error")) else 1


@dataclass(frozen=True)
class _Test:
    """A claim's test before correction."""

    contrast: Contrast
    p: float | None
    name: str
    sign: int
    notes: tuple[str, ...]


def _test(claim: Claim, sides: _Sides, sign: int) -> _Test:
    values = sides.values
    scale = float(np.abs(values).max(initial=0))
    if claim.expect in {"increasing", "decreasing"}:
        observed = contrast(slopes(values), scale)
        p, name = observed.p, "t test of slopes"
    elif claim.expect == "best":
        differences = [contrast(values[0] - other, scale) for other in values[1:]]
        observed, p = _against_all(differences, sign)
        name = "paired t test against each"
    else:
        observed = contrast(values[0] - values[1], scale)
        p, name = observed.p, "paired t test"
        if claim.margin is not None:
            p, name = equivalence(observed, claim.margin), "two one-sided paired t tests"
            observed = replace(observed, p_sign=None)  # the sign test ignores the margin
    return _Test(observed, p, name, sign, tuple(_notes(sides, observed)))


def _against_all(contrasts: Sequence[Contrast], sign: int) -> tuple[Contrast, float | None]:
    """Return the comparison that decides whether the first value is best, and its p-value."""
    if not all(observed.has_spread for observed in contrasts):
        return min(contrasts, key=lambda observed: sign * observed.effect), None
    losses = [observed for observed in contrasts if sign * observed.effect < 0]
    if not losses:
        decisive = max(contrasts, key=_p)
        return decisive, decisive.p
    decisive = min(losses, key=_p)
    return decisive, min(1.0, _p(decisive) * len(contrasts))


def _p(observed: Contrast) -> float:
    return 1.0 if observed.p is None else observed.p


def _notes(sides: _Sides, observed: Contrast) -> Iterator[str]:
    cells = len(sides.cells)
    if not cells:
        yield "no cells to compare"
    elif observed.n == 0:
        empty = sum(cell.best is None for cell in sides.cells)
        yield f"{empty} of {cells} cells empty" if empty else "no seed is common to all cells"
    elif math.isnan(observed.effect):
        finite = np.isfinite(sides.values).all(axis=0)
        yield f"not finite in {int((~finite).sum())} of {observed.n} seeds"
    elif observed.n == 1:
        yield "one seed allows no test"
    elif not observed.has_spread:
        yield "no spread: all seeds give the same difference, which no test can judge"
    incomplete = sum(not cell.complete for cell in sides.cells)
    if incomplete:
        yield f"{incomplete} of {cells} cells incomplete"


def _finding(claim: Claim, test: _Test, p_holm: float | None, strictest: float) -> Finding:
    observed = test.contrast
    verdict: Verdict = "undecided"
    seeds = None
    outside = claim.margin is not None and max(observed.low, -observed.high) > claim.margin
    if outside:
        verdict = "refuted"
    elif p_holm is not None and p_holm < ALPHA:
        expected = claim.expect == "close" or test.sign * observed.effect > 0
        verdict = "supported" if expected else "refuted"
    elif claim.margin is not None:
        seeds = seeds_to_equate(observed, claim.margin, strictest)
    else:
        seeds = seeds_to_differ(observed, strictest)
    return Finding(claim, verdict, observed, test.p, p_holm, test.name, seeds, test.notes)
