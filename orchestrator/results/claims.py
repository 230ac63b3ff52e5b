"""Claims of a paper against the store: effect, interval, test and verdict.

A claim becomes one number per seed: a difference or slope of the selected configs,
averaged over the cells that the claim is about. Seeds are paired, since both sides of a
difference share them, and p-values are corrected over the file.
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
from orchestrator.results.measures import measured_name, values_by_seed
from orchestrator.results.selection import CellSelection
from orchestrator.results.tables import as_text
from orchestrator.spec.grid import matches
from orchestrator.spec.model import Claim, Sweep
from orchestrator.spec.values import canonical

if TYPE_CHECKING:
    from orchestrator.results.results import Results

Verdict = Literal["supported", "refuted", "undecided"]


@dataclass(frozen=True, repr=False)
class Finding:
    """What the store says about one claim.

    Attributes:
        claim: the claim.
        verdict: ``supported`` or ``refuted`` by a corrected p-value below 0.05.
        contrast: first minus second value, or the slope per step of the list, averaged
            over cells, in the unit that the trainable yields; its n is the number of
            seeds that every cell on both sides has.
        p: two-sided; for ``close`` the larger of two one-sided; None if there is none.
        p_holm: that, corrected over all claims of the file.
        test: what ``p`` is from.
        seeds_to_decide: how many seeds would decide an undecided claim with a
            probability of 80 %, were effect and spread as seen, at the strictest level
            of the correction; None if decided, unknown or above 1,000.
        notes: what a reader must know besides.
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
    """What the store says about several claims, shown as a table with remarks."""

    def __repr__(self) -> str:
        return as_text(lambda console: show_findings(self, console))

    def _repr_html_(self) -> str:
        return html_findings(self)


def judge(results: Results, claims: Sequence[Claim]) -> Findings:
    """Judge claims, as one family that shares the error.

    Cells are matched on the factors that a claim does not compare; those count that
    exist for every value that it does. A trend is the slope over the place in the
    claim's list. ``best`` compares the first value with each other one: all of these
    comparisons must support it (the largest of their p-values counts), and one refutes it
    (the smallest counts, times their number).

    Args:
        results: what the claims are about.
        claims: statements about the factors of its sweep.

    Returns:
        One finding per claim.

    Raises:
        ShowError: the store has no such metric or probe.
    """
    tested = []
    for claim in claims:
        sides = _sides(claim, results.selections, results.measure(measured_name(claim)))
        tested.append(_test(claim, sides, _sign(claim, results.sweep)))
    corrected = holm([test.p for test in tested])
    strictest = ALPHA / max(1, sum(test.p is not None for test in tested))
    return Findings(
        _finding(claim, test, p_holm, strictest)
        for claim, test, p_holm in zip(claims, tested, corrected, strict=True)
    )


@dataclass(frozen=True)
class _Sides:
    """The values that a claim compares.

    Attributes:
        values: mean over the matched cells, shape (values compared, seeds).
        cells: all that were matched.
    """

    values: Array
    cells: tuple[CellSelection, ...]


def _sides(
    claim: Claim, selections: Sequence[CellSelection], measured: Mapping[str, float]
) -> _Sides:
    ((factor, compared),) = claim.compare.items()
    groups: dict[str, dict[str, CellSelection]] = {}
    for selection in selections:
        others = dict(selection.cell.factors)
        if matches(claim.where, others):
            value = canonical(others.pop(factor))
            groups.setdefault(canonical(others), {})[value] = selection
    keys = list(map(canonical, compared))
    matched = [group for group in groups.values() if group.keys() >= set(keys)]
    cells = tuple(group[key] for group in matched for key in keys)
    seeds = sorted(set.intersection(*(set(cell.seeds) for cell in cells)) if cells else ())
    by_cell = [values_by_seed(measured, cell) for cell in cells]
    values = np.array([[found[seed] for seed in seeds] for found in by_cell])
    shape = (max(1, len(matched)), len(keys), len(seeds))
    return _Sides(values.reshape(shape if cells else (1, len(keys), 0)).mean(axis=0), cells)


def _sign(claim: Claim, sweep: Sweep) -> int:
    """Tell on which side of zero the claim expects the effect."""
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
        found = contrast(slopes(values), scale)
        p, name = found.p, "t test of slopes"
    elif claim.expect == "best":
        found, p = _against_all([contrast(values[0] - other, scale) for other in values[1:]], sign)
        name = "paired t test against each"
    else:
        found = contrast(values[0] - values[1], scale)
        p, name = found.p, "paired t test"
        if claim.margin is not None:
            p, name = equivalence(found, claim.margin), "two one-sided paired t tests"
            found = replace(found, p_sign=None)  # it is about zero, not about the margin
    return _Test(found, p, name, sign, tuple(_notes(sides, found)))


def _against_all(contrasts: Sequence[Contrast], sign: int) -> tuple[Contrast, float | None]:
    """Find the comparison that decides whether the first value is best, and its p-value."""
    hardest = min(contrasts, key=lambda found: sign * found.effect)
    if not all(found.has_spread for found in contrasts):
        return hardest, None
    lost = [found for found in contrasts if sign * found.effect < 0]
    if not lost:
        decisive = max(contrasts, key=_p)
        return decisive, decisive.p
    decisive = min(lost, key=_p)
    return decisive, min(1.0, _p(decisive) * len(contrasts))


def _p(found: Contrast) -> float:
    return 1.0 if found.p is None else found.p


def _notes(sides: _Sides, found: Contrast) -> Iterator[str]:
    cells = len(sides.cells)
    if not cells:
        yield "no cells to compare"
    elif found.n == 0:
        empty = sum(cell.best is None for cell in sides.cells)
        yield f"{empty} of {cells} cells empty" if empty else "no seed that all cells have"
    elif math.isnan(found.effect):
        finite = np.isfinite(sides.values).all(axis=0)
        yield f"not finite in {int((~finite).sum())} of {found.n} seeds"
    elif found.n == 1:
        yield "one seed allows no test"
    elif not found.has_spread:
        yield "no spread: all seeds give the same difference, which no test can judge"
    incomplete = sum(not cell.complete for cell in sides.cells)
    if incomplete:
        yield f"{incomplete} of {cells} cells incomplete"


def _finding(claim: Claim, test: _Test, p_holm: float | None, strictest: float) -> Finding:
    found = test.contrast
    verdict: Verdict = "undecided"
    seeds = None
    outside = claim.margin is not None and max(found.low, -found.high) > claim.margin
    if outside:
        verdict = "refuted"
    elif p_holm is not None and p_holm < ALPHA:
        expected = claim.expect == "close" or test.sign * found.effect > 0
        verdict = "supported" if expected else "refuted"
    elif claim.margin is not None:
        seeds = seeds_to_equate(found, claim.margin, strictest)
    else:
        seeds = seeds_to_differ(found, strictest)
    return Finding(claim, verdict, found, test.p, p_holm, test.name, seeds, test.notes)
