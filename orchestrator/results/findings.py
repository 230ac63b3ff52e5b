"""Findings about claims, as people and programs read them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from markupsafe import escape
from rich.console import Console

from orchestrator.labels import label, unit
from orchestrator.results.measures import measured_name
from orchestrator.results.tables import Listing, html_listing, markdown_listing, print_listing

if TYPE_CHECKING:  # importing it would cost every command scipy.stats, a second
    from orchestrator.results.claims import Finding

Format = Literal["text", "markdown", "json"]


def show_findings(findings: Sequence[Finding], console: Console, format_: Format = "text") -> None:
    """Print findings: a table and notes, or as JSON a list with one object a line."""
    if format_ == "json":
        lines = [json.dumps(_plain(finding), allow_nan=False) for finding in findings]
        console.file.write("[\n" + ",\n".join(lines) + "\n]\n")
        return
    listing, notes = listed(findings), remarks(findings)
    if format_ == "markdown":
        bullets = "\n".join(f"- {note}" for note in notes)
        console.file.write(f"{markdown_listing(listing)}\n\n{bullets}\n")
        return
    print_listing(listing, console)
    for note in notes:
        console.print(f"• {note}", markup=False, highlight=False)


def html_findings(findings: Sequence[Finding]) -> str:
    """Write findings as a table and a list of remarks."""
    items = "".join(f"<li>{escape(remark)}</li>" for remark in remarks(findings))
    return f"{html_listing(listed(findings))}\n<ul>{items}</ul>\n"


def listed(findings: Sequence[Finding]) -> Listing:
    """Put findings under headings, one row each."""
    header = ("claim", "verdict", "effect", "95 % interval", "n", "p (Holm)")
    return Listing("Claims", header, tuple(map(_row, findings)))


def remarks(findings: Sequence[Finding]) -> list[str]:
    """Say what the numbers alone do not."""
    return [
        "Effects are paired by seed; p (Holm) is p corrected over all claims.",
        *(f"{finding.claim.name}: {'; '.join(_parts(finding))}." for finding in findings),
    ]


def _parts(finding: Finding) -> Iterator[str]:
    yield _statement(finding)
    if finding.p is not None:
        yield f"{finding.test}, p = {_p(finding.p)}"
    if finding.contrast.p_sign is not None:
        yield f"exact sign test p = {_p(finding.contrast.p_sign)}"
    if finding.seeds_to_decide is not None:
        yield f"{finding.seeds_to_decide} seeds would probably decide at the spread seen"
    yield from finding.notes


def _row(finding: Finding) -> tuple[str, ...]:
    found = finding.contrast
    shown = unit(measured_name(finding.claim))
    known = not math.isnan(found.low)
    interval = f"{shown.text(found.low)} to {shown.text(found.high)}" if known else "—"
    return (
        finding.claim.name,
        finding.verdict,
        "—" if found.n == 0 else shown.points(found.effect),
        interval,
        str(found.n),
        _p(finding.p_holm),
    )


def _statement(finding: Finding) -> str:
    claim = finding.claim
    ((factor, values),) = claim.compare.items()
    first, *others = map(label, values)
    name = measured_name(claim)
    match claim.expect:
        case "greater" | "less":
            said = f"{first} {claim.expect} than {others[0]}"
        case "close":
            said = f"{first} within {claim.margin:g} of {others[0]}"
        case "best":
            said = f"{first} best of {', '.join([first, *others])}"
        case _:
            said = f"{claim.expect} over {', '.join([first, *others])}"
    where = ", ".join(f"{key} {label(value)}" for key, value in claim.where.items())
    return f"{name} by {factor}: {said}{f' ({where})' if where else ''}"


def _p(p: float | None) -> str:
    return "—" if p is None else f"{p:.2g}"


def _plain(finding: Finding) -> dict[str, Any]:
    found = finding.contrast
    interval = None if math.isnan(found.low) else [found.low, found.high]
    return {
        "name": finding.claim.name,
        "verdict": finding.verdict,
        "effect": None if math.isnan(found.effect) else found.effect,
        "interval": interval,
        "n": found.n,
        "p": finding.p,
        "p_holm": finding.p_holm,
        "p_sign": found.p_sign,
        "test": finding.test,
        "seeds_to_decide": finding.seeds_to_decide,
        "notes": list(finding.notes),
    }
