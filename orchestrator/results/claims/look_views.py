"""The looks at claims that are decided seed by seed: as listings, as a figure, as plain data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.results.claims.statements import unit_of
from orchestrator.results.tables import Listing

if TYPE_CHECKING:  # they import scipy.stats and matplotlib
    from orchestrator.results.claims.judge import Finding
    from orchestrator.results.figures import Panel, Plot

PANELS_ACROSS = 3
"""The most panels beside each other."""

_UNREACHED = 1e-4
"""Looks that need a smaller p have intervals that are too wide to read, unless they decide."""


def looks_listed(finding: Finding) -> Listing:
    """List the looks at one claim."""
    level = f"{100 * finding.level:.4g} % interval"
    header = ("seeds", "effect", level, "p", "needed", "error spent")
    value_unit = unit_of(finding.claim)
    rows = []
    for look in finding.looks:
        is_wide = look.needed < min(_UNREACHED, look.p)
        effect, ends = value_unit.estimate(look.effect, look.low, look.high)
        rows.append(
            (
                str(look.seeds),
                "—" if math.isnan(look.effect) else effect,
                "—" if math.isnan(look.low) or is_wide else ends,
                "—" if math.isnan(look.p) else f"{look.p:.2g}",
                f"{look.needed:.2g}",
                f"{look.spent:.2g}",
            )
        )
    return Listing(f"Looks at {finding.claim.name}", header, tuple(rows))


def plain_looks(finding: Finding) -> list[dict[str, Any]]:
    """List the looks at one claim for programs."""
    return [
        {
            "seeds": look.seeds,
            "effect": None if math.isnan(look.effect) else look.effect,
            "interval": [look.low, look.high] if math.isfinite(look.high) else None,
            "p": None if math.isnan(look.p) else look.p,
            "needed": look.needed,
            "spent": look.spent,
        }
        for look in finding.looks
    ]


def looks_figure(findings: Sequence[Finding]) -> Plot:
    """Draw the looks at claims, a panel each."""
    from orchestrator.results.figures import Plot

    panels = [_panel(finding) for finding in findings if finding.looks]
    starts = range(0, len(panels), PANELS_ACROSS)
    return Plot(
        name="looks",
        kind="looks",
        title="Claims, seed by seed",
        panels=tuple(tuple(panels[start : start + PANELS_ACROSS]) for start in starts),
        notes=(
            "Means over seeds; bands are sequential intervals at the level of each claim: a claim "
            "is decided where its band first leaves, or lies within, the dotted lines.",
        ),
    )


def _panel(finding: Finding) -> Panel:
    from orchestrator.results.figures import Panel, Point, Series

    claim = finding.claim
    value_unit = unit_of(claim)
    factor = value_unit.factor
    points = tuple(
        Point(
            look.seeds,
            factor * look.effect,
            math.nan,
            look.seeds,
            (factor * look.low, factor * look.high),
        )
        for look in finding.looks
    )
    sign = -1 if claim.expect == "less" else 1
    bound = claim.margin or 0.0
    around = claim.smallest or (bound if claim.expect == "close" else 0.0)
    lines = {-around, around} if around else {sign * bound}
    if claim.expect != "close":
        lines.add(sign * bound)
    shown = sorted(factor * line for line in lines)
    at = f" at seed {finding.contrast.n}" if finding.verdict != "undecided" else ""
    return Panel(
        title=f"{claim.name}: {finding.verdict}{at}",
        x_label="confirm seeds",
        y_label=f"effect on {value_unit.heading(claim.measured[0])}"
        if claim.relate is None
        else "correlation",
        series=(Series("", points),),
        y_range=_range(points, shown),
        lines=tuple(shown),
    )


def _range(points: Sequence[Any], lines: Sequence[float]) -> tuple[float, float] | None:
    """Choose the part of the y axis to show: all effects, and the intervals of the second half.

    Those of the first looks are so wide that nothing else could be seen.
    """
    late = [end for point in points[len(points) // 2 :] for end in point.band]
    shown = [y for y in (*lines, *(point.y for point in points), *late) if math.isfinite(y)]
    low, high = min(shown), max(shown)
    room = 0.05 * (high - low)
    return (low - room, high + room) if room else None
