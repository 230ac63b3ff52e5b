"""Findings about claims, written for people and for programs."""

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

if TYPE_CHECKING:  # it imports scipy.stats, which would cost every command a second
    from orchestrator.results.claims import Finding

Format = Literal["text", "markdown", "json"]


def show_findings(findings: Sequence[Finding], console: Console, format_: Format = "text") -> None:
    """Print findings as a table with remarks, or as a JSON list with one object per line."""
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
    """Write findings as an HTML table and a list of remarks."""
    items = "".join(f"<li>{escape(remark)}</li>" for remark in remarks(findings))
    return f"{html_listing(listed(findings))}\n<ul>{items}</ul>\n"


def listed(findings: Sequence[Finding]) -> Listing:
    """List findings, one row each."""
    header = ("claim", "verdict", "effect", "95 % interval", "n", "p (Holm)")
    return Listing("Claims", header, tuple(map(_row, findings)))


def remarks(findings: Sequence[Finding]) -> list[str]:
    """State each claim with its test and its notes."""
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
    observed = finding.contrast
    value_unit = unit(measured_name(finding.claim))
    low, high = value_unit.text(observed.low), value_unit.text(observed.high)
    return (
        finding.claim.name,
        finding.verdict,
        "—" if observed.n == 0 else value_unit.points(observed.effect),
        "—" if math.isnan(observed.low) else f"{low} to {high}",
        str(observed.n),
        _p(finding.p_holm),
    )


def _statement(finding: Finding) -> str:
    claim = finding.claim
    ((factor, values),) = claim.compare.items()
    first, *rest = map(label, values)
    name = measured_name(claim)
    match claim.expect:
        case "greater" | "less":
            statement = f"{first} {claim.expect} than {rest[0]}"
        case "close":
            statement = f"{first} within {claim.margin:g} of {rest[0]}"
        case "best":
            statement = f"{first} best of {', '.join([first, *rest])}"
        case _:
            statement = f"{claim.expect} over {', '.join([first, *rest])}"
    where = ", ".join(f"{key} {label(value)}" for key, value in claim.where.items())
    return f"{name} by {factor}: {statement}{f' ({where})' if where else ''}"


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
        "seeds_to_decide": finding.seeds_to_decide,
        "notes": list(finding.notes),
    }
