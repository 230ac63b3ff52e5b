"""What a reader of a claim's numbers has to know: the test's name, and notes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from orchestrator.labels import counted
from orchestrator.results.claims.evidence import Reduced
from orchestrator.results.claims.family import Member
from orchestrator.results.claims.judging import Judged
from orchestrator.results.claims.matching import Matched
from orchestrator.results.claims.pooling import Pool
from orchestrator.results.claims.sequential import UNDECIDED
from orchestrator.results.statistics import TOO_LARGE


def name_of_test(judged: Judged) -> str:
    """Name the test of a claim."""
    claim = judged.claim
    what = {"increasing": " of slopes", "decreasing": " of slopes", "best": " against each"}
    detail = " against the margin" if claim.margin is not None else what.get(claim.expect, "")
    if claim.between:
        detail = f" of differences of differences{detail}"
    if claim.relate is not None:
        detail = f" of Fisher's z{detail}"
    each = f", in each of {counted(len(judged.reduced.about.groups), 'cell')}"
    freedom = f", {judged.spread.df:,} degrees of freedom" if judged.spread else ""
    return (
        f"{claim.test} t test{detail}"
        f"{each if claim.over == 'each' else ''}{freedom if claim.test == 'pooled' else ''}"
    )


def notes(member: Member, judged: Judged) -> Iterator[str]:
    """Say what a reader of the numbers has to know."""
    about = judged.reduced.about
    untested = int(np.isnan(judged.estimate.error).sum())
    if judged.tested is None:
        yield _why_no_test(judged)
    elif untested:
        without = f"{untested} of {len(judged.values)} comparisons"
        yield f"{without} have no spread, and support nothing"
    if len(judged.values) > 1 and judged.values.size:
        yield f"the effect is the one {about.part(judged.part)}, which decides"
    if judged.claim.test == "pooled" and judged.spread:
        yield _pool_note(judged.spread)
    if judged.reduced.is_watched:
        yield from _state(member, judged.reduced)
    if about.searched is not None:
        yield _searched(about)
    incomplete = sum(not cell.complete for cell in about.cells)
    if incomplete:
        yield f"{incomplete} of {len(about.cells)} cells incomplete"


def _state(member: Member, reduced: Reduced) -> Iterator[str]:
    """Say how far a claim is on its way to a verdict, seed by seed."""
    last = reduced.looks.last
    if member.outcome != UNDECIDED:
        yield f"decided at seed {member.seeds} of at most {last}"
    elif len(reduced.seeds) >= last:
        yield f"undecided after all {last} seeds"
    elif not reduced.waits:
        yield "it gets no further seeds"
    else:
        yield f"seed {len(reduced.seeds) + 1} of at most {last} comes next"


def _without_number(reduced: Reduced) -> str | None:
    """Count the seeds without a number, and say why that is; None if all have one."""
    lacking = int((~np.isfinite(reduced.values).all(axis=0)).sum())
    if not lacking:
        return None
    what = "no correlation" if reduced.claim.relate else f"not finite, or beyond {TOO_LARGE:g}"
    if not reduced.about.exploratory:
        what = f"diverged, or {what}"
    return f"{what} in {lacking} of {len(reduced.seeds)} seeds"


def _searched(about: Matched) -> str:
    """Say how many configs each side had to choose from."""
    counts = about.searched or ()
    text = f"the sides chose among {' and '.join(map(str, counts))} configs"
    if about.exploratory:
        return (
            f"{text}, by the seeds that are reported: the larger choice is flattered more, so the "
            "claim is undecided; give both as many, or set `confirm`"
        )
    return f"{text}, by other seeds than are reported: tuned is compared with less tuned"


def _why_no_test(judged: Judged) -> str:
    reduced, n = judged.reduced, judged.values.shape[-1]
    cells, looks = reduced.about.cells, reduced.looks
    if not cells:
        return "no cells to compare"
    if n == 0 and any(cell.best is None for cell in cells):
        empty = sum(cell.best is None for cell in cells)
        return f"{empty} of {len(cells)} cells empty"
    if lacking := _without_number(reduced):
        return lacking
    if reduced.is_early(n) and (open_cells := reduced.about.open_cells):
        return f"the selection is open in {open_cells} of {len(cells)} cells"
    planned = len(set.intersection(*(set(cell.cell.confirming) for cell in cells)))
    if (
        reduced.is_early(n)
        and judged.claim.test == "pooled"
        and len(reduced.about.seeds) >= planned
    ):
        return "the confirm seeds of other cells, whose spread it pools, are not all in"
    if reduced.is_early(n) and n < planned:
        when = f"the first look is at {looks.first}" if reduced.is_watched else _WITH_THE_LAST
        return f"{n} of {planned} confirm seeds are in every cell; {when}"
    if n == 0:
        return "no seed is common to all cells"
    if judged.claim.test == "pooled":
        return "no spread: no cell has two seeds that differ"
    if n == 1:
        return "one seed allows no test"
    return "no spread: all seeds give the same difference, which no test can judge"


_WITH_THE_LAST = "the verdict comes with the last"


def _pool_note(spread: Pool) -> str:
    of_cells = f"spread pooled over {counted(spread.cells, 'cell')}"
    if spread.p_equal is None:
        return of_cells
    p = f"Brown-Forsythe p = {spread.p_equal:.2g}"
    if spread.alike:
        return f"{of_cells}, which may be alike ({p})"
    return f"{of_cells}, which are not alike ({p}): a paired test does not assume that they are"
