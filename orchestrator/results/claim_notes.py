"""What a reader of a claim's numbers has to know: the test's name, and notes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from orchestrator.labels import counted
from orchestrator.results.judging import Judged
from orchestrator.results.matching import Matched
from orchestrator.results.pooling import Pool


def name_of_test(judged: Judged) -> str:
    """Name the test of a claim."""
    claim = judged.claim
    what = {"increasing": " of slopes", "decreasing": " of slopes", "best": " against each"}
    detail = " against the margin" if claim.margin is not None else what.get(claim.expect, "")
    if claim.between:
        detail = f" of differences of differences{detail}"
    if claim.relate is not None:
        detail = f" of Fisher's z{detail}"
    each = f", in each of {counted(len(judged.about.groups), 'cell')}"
    freedom = f", {judged.spread.df:,} degrees of freedom" if judged.spread else ""
    return (
        f"{claim.test} t test{detail}"
        f"{each if claim.over == 'each' else ''}{freedom if claim.test == 'pooled' else ''}"
    )


def notes(judged: Judged) -> Iterator[str]:
    """Say what a reader of the numbers has to know."""
    untested = int(np.isnan(judged.estimate.error).sum())
    if judged.tested is None:
        yield _why_no_test(judged)
    elif untested:
        without = f"{untested} of {len(judged.values)} comparisons"
        yield f"{without} have no spread or values that are not finite, and support nothing"
    if len(judged.values) > 1 and judged.values.size:
        yield f"the effect is the one {judged.about.part(judged.part)}, which decides"
    if judged.claim.test == "pooled" and judged.spread:
        yield _pool_note(judged.spread)
    if judged.about.searched is not None:
        yield _searched(judged.about)
    incomplete = sum(not cell.complete for cell in judged.about.cells)
    if incomplete:
        yield f"{incomplete} of {len(judged.about.cells)} cells incomplete"


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
    cells, n = judged.about.cells, judged.values.shape[-1]
    if not cells:
        return "no cells to compare"
    if n == 0:
        empty = sum(cell.best is None for cell in cells)
        some = f"{empty} of {len(cells)} cells empty"
        return some if empty else "no seed is common to all cells"
    lacking = int((~np.isfinite(judged.values).all(axis=0)).sum())
    if lacking:
        what = "no correlation" if judged.claim.relate else "not finite"
        return f"{what} in {lacking} of {n} seeds"
    if judged.claim.test == "pooled":
        return "no spread: no cell has two seeds that differ"
    if n == 1:
        return "one seed allows no test"
    return "no spread: all seeds give the same difference, which no test can judge"


def _pool_note(spread: Pool) -> str:
    of_cells = f"spread pooled over {counted(spread.cells, 'cell')}"
    if spread.p_equal is None:
        return of_cells
    p = f"Brown-Forsythe p = {spread.p_equal:.2g}"
    if spread.alike:
        return f"{of_cells}, which may be alike ({p})"
    return f"{of_cells}, which are not alike ({p}): a paired test does not assume that they are"
