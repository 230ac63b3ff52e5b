"""Judges the claims of a sweep file as one family: effects, p-values and verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from orchestrator.errors import InputError
from orchestrator.results.claim_notes import name_of_test, notes
from orchestrator.results.contrasts import ALPHA, holm
from orchestrator.results.findings import html_findings, show_findings
from orchestrator.results.judging import Contrast, Judged, judged
from orchestrator.results.marks import summary
from orchestrator.results.statistics import Seeds
from orchestrator.results.tables import as_text
from orchestrator.spec.claim import Claim

if TYPE_CHECKING:
    from orchestrator.results.results import Results

Verdict = Literal["supported", "refuted", "negligible", "undecided"]


@dataclass(frozen=True, repr=False)
class Finding:
    """The result of testing one claim.

    Attributes:
        claim: the claim.
        verdict: ``supported`` or ``refuted`` by a corrected p-value below 0.05; ``negligible`` if
            neither, and the effect is surely smaller than the claim's ``smallest``.
        contrast: the difference (of differences), the slope per step of the list, or the
            correlation, in the unit that the trainable yields: averaged over cells, or that of
            the comparison that decides if there are several. Its ``n`` is the number of seeds
            that every cell has.
        p: two-sided p-value; None if no test is possible.
        p_holm: ``p`` corrected over all claims of the file.
        test: name of the test that gives ``p``.
        seeds_to_decide: from how many to how many seeds (None: more than 1,000) would decide an
            undecided claim with 80 % power at the strictest level of the correction. Both are one
            number if the claim says what matters (``smallest``, or the ``margin`` of ``close``),
            from the spread pooled over cells; else they follow from the 95 % interval of the
            effect divided by the spread. None if the claim is decided, or without a test.
        exploratory: whether the seeds that are reported also selected, so that the choice flatters
            the numbers. Then a claim whose sides chose among different numbers of configs is
            undecided: the larger choice is flattered more.
        notes: further remarks for the reader.
    """

    claim: Claim
    verdict: Verdict
    contrast: Contrast
    p: float | None
    p_holm: float | None
    test: str
    seeds_to_decide: Seeds | None
    exploratory: bool
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


def judge(results: Results, claims: Sequence[Claim], smallest: float | None = None) -> Findings:
    """Test claims as one family, over which the p-values are corrected.

    A claim reduces to one number per seed (see `orchestrator.results.matching`), whose mean is
    tested. If it is about each of several cells, or compares with each of several values, all
    must support it (their largest p-value counts), and a single one can refute it (the smallest
    counts, times their number).

    Args:
        results: the results of a sweep.
        claims: claims about its factors.
        smallest: the effect that would matter, for claims of differences that do not say it.

    Returns:
        One finding per claim.

    Raises:
        InputError: ``smallest`` is not a finite number above 0.
        ShowError: the store has no such metric, probe, layer or epoch.
    """
    if smallest is not None and not 0 < smallest < math.inf:
        raise InputError(f"`smallest` is {smallest}; expected a number above 0")
    tests = [judged(_with_smallest(claim, smallest), results) for claim in claims]
    p = np.array([math.nan if test.p is None else test.p for test in tests])
    strictest = ALPHA / max(1, int(np.isfinite(p).sum()))
    return Findings(
        _finding(test, None if test.p is None else float(p_holm), strictest, results)
        for test, p_holm in zip(tests, holm(p), strict=True)
    )


def _with_smallest(claim: Claim, smallest: float | None) -> Claim:
    if smallest is None or claim.smallest or claim.relate or claim.expect == "close":
        return claim
    return claim.model_copy(update={"smallest": smallest})


def _finding(test: Judged, p_holm: float | None, strictest: float, results: Results) -> Finding:
    about = test.about
    is_unfair = about.exploratory and about.searched is not None
    verdict: Verdict = "undecided"
    if p_holm is not None and p_holm < ALPHA and test.tested is not None and not is_unfair:
        verdict = "supported" if test.tested.agrees else "refuted"
    elif test.p_negligible < strictest and not is_unfair:
        verdict = "negligible"
    return Finding(
        claim=test.claim,
        verdict=verdict,
        contrast=test.contrast,
        p=test.p,
        p_holm=p_holm,
        test=name_of_test(test),
        seeds_to_decide=test.seeds_to_decide(strictest)
        if verdict == "undecided" and not is_unfair
        else None,
        exploratory=about.exploratory,
        notes=(*notes(test), *summary(about.cells, results.ends, results.origins)),
    )
