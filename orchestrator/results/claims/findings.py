"""Findings about claims, written for people and for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from markupsafe import escape
from rich.console import Console

from orchestrator.results.claims.look_views import looks_listed, plain_looks
from orchestrator.results.claims.statements import statement, unit_of
from orchestrator.results.statistics import MOST_SEEDS, Seeds
from orchestrator.results.tables import Listing, html_listing, markdown_listing, print_listing
from orchestrator.spec.claim import Claim

if TYPE_CHECKING:  # it imports scipy.stats, which would cost every command a second
    from orchestrator.results.claims.judge import Finding

Format = Literal["text", "markdown", "json"]
VERSION = 1
"""Of what `as_dict` returns: it grows when a key goes or changes its meaning."""


def show_findings(findings: Sequence[Finding], console: Console, format_: Format = "text") -> None:
    """Print findings as tables with remarks, or as a JSON list with one object per line."""
    if format_ == "json":
        lines = [json.dumps(_plain(finding), allow_nan=False) for finding in findings]
        console.file.write("[\n" + ",\n".join(lines) + "\n]\n")
        return
    listing, notes = listed(findings), remarks(findings)
    looks = [looks_listed(finding) for finding in findings if finding.looks]
    if format_ == "markdown":
        bullets = "\n".join(f"- {note}" for note in notes)
        parts = [markdown_listing(listing), bullets, *map(markdown_listing, looks)]
        console.file.write("\n\n".join(parts) + "\n")
        return
    print_listing(listing, console)
    for note in notes:
        console.print(f"• {note}", markup=False, highlight=False)
    for each in looks:
        console.print()
        print_listing(each, console)


def as_dict(findings: Sequence[Finding], sweep: str) -> dict[str, Any]:
    """Return the findings about a sweep as plain data, whose keys docs/json.md describes."""
    return {"version": VERSION, "sweep": sweep, "claims": list(map(_plain, findings))}


def html_findings(findings: Sequence[Finding]) -> str:
    """Write findings as HTML tables and a list of remarks."""
    items = "".join(f"<li>{escape(remark)}</li>" for remark in remarks(findings))
    looks = "".join(html_listing(looks_listed(finding)) for finding in findings if finding.looks)
    return f"{html_listing(listed(findings))}\n<ul>{items}</ul>\n{looks}"


def listed(findings: Sequence[Finding]) -> Listing:
    """List findings, one row each."""
    last = ("seeds", "error spent") if any(f.at_most for f in findings) else ("n", "p (Holm)")
    header = ("claim", "verdict", "effect", "95 % interval", *last)
    return Listing("Claims", header, tuple(map(_row, findings)))


def remarks(findings: Sequence[Finding]) -> list[str]:
    """State each claim with its test and its notes."""
    is_watched = any(finding.at_most for finding in findings)
    meaning = (
        "intervals and error spent hold at all looks together."
        if is_watched
        else "p (Holm) is p corrected over all claims."
    )
    paired = all(finding.claim.test == "paired" for finding in findings)
    return [
        f"Effects are paired by seed; {meaning}" if paired else meaning,
        *(f"{finding.claim.name}: {'; '.join(_parts(finding))}." for finding in findings),
        *_exploratory(findings),
    ]


def _exploratory(findings: Sequence[Finding]) -> Iterator[str]:
    names = [finding.claim.name for finding in findings if finding.exploratory]
    if names:
        which = "" if len(names) == len(findings) else f" ({', '.join(names)})"
        yield (
            f"Exploratory{which}: the seeds that are reported also selected, which flatters; "
            "`confirm` reports on seeds of their own."
        )


def _parts(finding: Finding) -> Iterator[str]:
    yield statement(finding.claim)
    if finding.p is not None:
        yield f"{finding.test}, p = {_p(finding.p)}"
    if finding.contrast.p_sign is not None:
        yield f"exact sign test p = {_p(finding.contrast.p_sign)}"
    smallest = finding.claim.smallest
    if finding.verdict == "negligible" and smallest is not None:
        yield f"surely within ±{unit_of(finding.claim).bound(smallest)}, which would not matter"
    if finding.seeds_to_decide is not None:
        yield _seeds(finding.claim, finding.seeds_to_decide)
    yield from finding.notes


def _seeds(claim: Claim, seeds: Seeds) -> str:
    """Say how many seeds decide with 80 % power, and under which assumption."""
    fewest, most = seeds
    if most is None:
        over = f"more than {MOST_SEEDS:,}"
        number = over if fewest >= MOST_SEEDS else f"{fewest:,} to {over}"
    else:
        number = f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"
    if claim.expect == "close":
        return f"{number} seeds show it with 80 % power if there is no difference"
    if claim.smallest is not None:
        effect = unit_of(claim).bound(claim.smallest)
        return f"{number} seeds find an effect of {effect} with 80 % power"
    return f"{number} seeds would decide, as far as these can tell"


def _row(finding: Finding) -> tuple[str, ...]:
    observed, value_unit = finding.contrast, unit_of(finding.claim)
    effect, ends = value_unit.estimate(observed.effect, observed.low, observed.high)
    return (
        finding.claim.name,
        finding.verdict,
        "—" if observed.n == 0 else effect,
        "—" if math.isnan(observed.low) else ends,
        f"{observed.n} of {finding.at_most}" if finding.at_most else str(observed.n),
        _p(_spent(finding) if finding.at_most else finding.p_holm),
    )


def _spent(finding: Finding) -> float | None:
    """Return the error that the claim has spent at the look that its row is about."""
    return next((look.spent for look in finding.looks if look.seeds == finding.contrast.n), None)


def _p(p: float | None) -> str:
    return "—" if p is None else f"{p:.2g}"


def _plain(finding: Finding) -> dict[str, Any]:
    observed = finding.contrast
    interval = None if math.isnan(observed.low) else [observed.low, observed.high]
    return {
        "name": finding.claim.name,
        "verdict": finding.verdict,
        "effect": None if math.isnan(observed.effect) else observed.effect,
        "interval": interval,
        "n": observed.n,
        "p": finding.p,
        "p_holm": finding.p_holm,
        "p_sign": observed.p_sign,
        "test": finding.test,
        "seeds_to_decide": finding.seeds_to_decide and list(finding.seeds_to_decide),
        "smallest": finding.claim.smallest,
        "exploratory": finding.exploratory,
        "at_most": finding.at_most,
        "looks": plain_looks(finding),
        "notes": list(finding.notes),
    }
