"""Judges the claims of a sweep file as one family: effects, p-values and verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from orchestrator.columns import Status
from orchestrator.errors import InputError
from orchestrator.results.claims.contrasts import ALPHA, holm
from orchestrator.results.claims.family import Member, family
from orchestrator.results.claims.findings import html_findings, show_findings
from orchestrator.results.claims.first_look import FirstLook
from orchestrator.results.claims.judging import Contrast, Judged, judged
from orchestrator.results.claims.look_views import looks_figure
from orchestrator.results.claims.notes import name_of_test, notes
from orchestrator.results.claims.sequential import (
    NEGLIGIBLE,
    REFUTED,
    SUPPORTED,
    UNDECIDED,
    Look,
)
from orchestrator.results.marks import summary
from orchestrator.results.statistics import Seeds
from orchestrator.results.tables import as_text
from orchestrator.spec.claim import Claim

if TYPE_CHECKING:
    from orchestrator.results.figures import Plot
    from orchestrator.results.results import Results

Verdict = Literal["supported", "refuted", "negligible", "undecided"]


@dataclass(frozen=True, repr=False)
class Finding:
    """The result of testing one claim.

    Attributes:
        claim: the claim.
        verdict: ``supported`` or ``refuted`` at an error of 5 % over all claims of the file;
            ``negligible`` if neither, and the effect is surely smaller than the claim's
            ``smallest``; else ``undecided``. With confirm seeds it comes when all are in, with
            `decide` at the first look that shows it, whatever later seeds show.
        contrast: the difference (of differences), the slope per step of the list, or the
            correlation, in the unit that the trainable yields: averaged over cells, or that of
            the comparison that decides if there are several. Its ``n`` is the number of seeds
            that every cell has, with `decide` when the claim was decided.
        p: two-sided p-value; None if no test is possible.
        p_holm: ``p`` corrected over all claims of the file, each of which counts, tested or not;
            None with `decide`, where ``p`` is compared with what its look needs, and of a
            ``negligible`` claim.
        test: name of the test that gives ``p``.
        at_most: with `decide`, how many confirm seeds there are at most; else None.
        looks: with `decide`, the looks at the comparison that decides, up to the last seed that
            counts: each at the error at which the claim was decided, or is tested now; divided by
            the number of comparisons where a single one refutes the claim, or all are negligible.
        level: of the intervals of ``looks``; 0.95 of a single claim with one comparison.
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
    at_most: int | None
    looks: tuple[Look, ...]
    level: float
    seeds_to_decide: Seeds | None
    exploratory: bool
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return repr(Findings([self]))

    def _repr_html_(self) -> str:
        return Findings([self])._repr_html_()


class Findings(list[Finding]):
    """Findings about several claims, displayed as a table with remarks."""

    def figure(self) -> Plot:
        """Draw the looks of `decide` at each claim; a notebook displays them.

        Raises:
            InputError: no claim has been looked at seed by seed.
        """
        if not any(finding.looks for finding in self):
            raise InputError("there is nothing to draw: `decide` has looked at no claim yet")
        return looks_figure(self)

    def __repr__(self) -> str:
        return as_text(lambda console: show_findings(self, console))

    def _repr_html_(self) -> str:
        return html_findings(self)


def judge(results: Results, claims: Sequence[Claim], smallest: float | None = None) -> Findings:
    """Test claims as one family, over which the p-values are corrected.

    A claim reduces to one number per seed (see `matching`), whose mean is tested. If it is about
    each of several cells, or compares with each of several values, all must support it (their
    largest p-value counts), and a single one can refute it (the smallest counts, times their
    number).

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
    members = members_of(results, [_with_smallest(claim, smallest) for claim in claims])
    changes = _changes(claims, members, results)
    later = "`smallest` was set after its results were seen"
    changes = [
        (*said, later) if member.reduced.claim.smallest != claim.smallest else said
        for said, member, claim in zip(changes, members, claims, strict=True)
    ]
    tests = [judged(member.reduced, member.seeds) for member in members]
    strictest = ALPHA / max(1, len(members))
    return Findings(
        _finding(member, test, p_holm, strictest, (*changed, *_notes(member, test, results)))
        for member, test, p_holm, changed in zip(
            members, tests, _corrected(members, tests), changes, strict=True
        )
    )


def members_of(results: Results, claims: Sequence[Claim]) -> list[Member]:
    """Judge claims by the numbers of a sweep, without what is said about them."""
    diverged = {i for i, end in results.ends.items() if end.status == Status.DIVERGED}
    return family(claims, results.sweep, results.selections, results.measure, diverged)


def _changes(
    claims: Sequence[Claim], members: Sequence[Member], results: Results
) -> Sequence[tuple[str, ...]]:
    """Say what was changed in the claims of the file after they were seen."""
    if claims != results.sweep.claims:
        return [()] * len(members)
    return list(FirstLook.read(results.store).changes(members, claims))


def _notes(member: Member, test: Judged, results: Results) -> Iterator[str]:
    yield from notes(member, test)
    reduced = member.reduced
    seeds = reduced.seeds[: member.seeds]  # of those that `decide` adds, what tables do not report
    reported = [
        [cell.best.config.trial_id(seed) for seed in seeds]
        if cell.best and reduced.is_watched
        else cell.reported_ids
        for cell in reduced.about.cells
    ]
    yield from summary(reported, results.ends, results.origins)


def _corrected(members: Sequence[Member], tests: Sequence[Judged]) -> list[float | None]:
    """Correct the p-values of claims with one look, as `sequential.decide` does.

    A claim that says which effect would matter counts for the others whatever it came to.
    """
    p = np.array([1.0 if test.p is None else test.p for test in tests])
    keeps = np.array([test.claim.smallest is not None for test in tests])
    found: list[float | None] = []
    for index, (member, test) in enumerate(zip(members, tests, strict=True)):
        has_none = test.p is None or member.outcome == NEGLIGIBLE or member.reduced.is_watched
        others = np.where(keeps & (np.arange(len(p)) != index), 1.0, p)
        found.append(None if has_none else float(holm(others)[index]))
    return found


def _with_smallest(claim: Claim, smallest: float | None) -> Claim:
    if smallest is None or claim.smallest or claim.relate or claim.expect == "close":
        return claim
    return claim.model_copy(update={"smallest": smallest})


_VERDICTS: dict[int, Verdict] = {
    UNDECIDED: "undecided",
    SUPPORTED: "supported",
    REFUTED: "refuted",
    NEGLIGIBLE: "negligible",
}


def _finding(
    member: Member, test: Judged, p_holm: float | None, strictest: float, notes: tuple[str, ...]
) -> Finding:
    about, is_watched = member.reduced.about, member.reduced.is_watched
    is_unfair = about.exploratory and about.searched is not None
    verdict = "undecided" if is_unfair else _VERDICTS[member.outcome]
    is_open = verdict == "undecided" and not is_unfair and not member.waits
    is_against = verdict == "negligible" or (test.tested is not None and not test.tested.agrees)
    sharing = len(test.values) if is_against else 1  # as in `Evidence.outcomes`
    alpha = ALPHA / member.share / sharing
    return Finding(
        claim=test.claim,
        verdict=verdict,
        contrast=test.contrast,
        p=test.p,
        p_holm=p_holm,
        test=name_of_test(test),
        at_most=member.reduced.looks.last if is_watched else None,
        looks=tuple(member.path(alpha, test.part, sharing)) if is_watched else (),
        level=1 - alpha,
        seeds_to_decide=test.seeds_to_decide(strictest) if is_open else None,
        exploratory=about.flattered,
        notes=notes,
    )
