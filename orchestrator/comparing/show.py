"""Shows a comparison, to people and to programs."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from rich.console import Console

from orchestrator.comparing.changes import Change, Comparison
from orchestrator.comparing.sides import Measured
from orchestrator.labels import Unit, assignments, counted, label, unit
from orchestrator.results.statistics import statistics
from orchestrator.results.tables import Listing, markdown_listing, print_listing
from orchestrator.spec.values import by_value

VERSION = 1
"""Of what `as_dict` returns: it grows if a key goes or changes its meaning."""
_NOTHING = "—"


def show(found: Comparison, console: Console, format_: str) -> None:
    """Print a comparison."""
    if format_ == "json":
        console.file.write(json.dumps(as_dict(found), allow_nan=False) + "\n")
        return
    listings, notes = list(_listings(found)), list(_notes(found))
    if format_ == "markdown":
        bullets = "\n".join(f"- {note}" for note in notes)
        console.file.write("\n\n".join([*map(markdown_listing, listings), bullets]) + "\n")
        return
    for listing in listings:
        print_listing(listing, console)
    for note in notes:
        console.print(f"• {note}", markup=False, highlight=False)


def _listings(found: Comparison) -> Iterator[Listing]:
    """List the changes of each value."""
    factors = _varying(found)
    header = (*factors, "before", "after", "change", "95 % interval", "p", "")
    for value, changes in groupby(found.changes, lambda change: change.value):
        rows = tuple(_row(change, factors) for change in changes)
        yield Listing(unit(value.name).heading(str(value)), header, rows)


def _varying(found: Comparison) -> list[str]:
    """List the factors that tell the compared cells apart."""
    names = found.changes[0].factors
    return [n for n in names if len({by_value(c.factors[n]) for c in found.changes}) > 1]


def _row(change: Change, factors: list[str]) -> tuple[str, ...]:
    value = unit(change.value.name)
    shown = value.estimate(change.difference, change.low, change.high)
    is_known = not math.isnan(change.difference)
    return (
        *(label(change.factors[name]) for name in factors),
        _mean(change.before, value),
        _mean(change.after, value),
        shown[0].removesuffix(" points") if is_known else _NOTHING,
        _NOTHING if math.isnan(change.low) else shown[1],
        _NOTHING if math.isnan(change.p_holm) else f"{change.p_holm:.2g}",
        change.verdict,
    )


def _mean(side: Measured, value: Unit) -> str:
    if side.figure is not None:
        return value.text(side.figure)
    found = statistics([*side.by_seed.values()])
    if math.isnan(found.mean):
        return _NOTHING
    mean, deviation = value.pair(found.mean, found.std)
    spread = "" if math.isnan(found.std) else f" ± {deviation}"
    return f"{mean}{spread} ({found.n}){'' if side.complete else '*'}"


def _notes(found: Comparison) -> Iterator[str]:
    counts = Counter(change.verdict for change in found.changes)
    yield "; ".join(f"{count:,} {verdict}" for verdict, count in counts.items())
    yield f"before is {found.names[0]}, after is {found.names[1]}"
    fixed = {n: v for n, v in found.changes[0].factors.items() if n not in _varying(found)}
    if fixed:
        yield f"in all cells {assignments(fixed)}"
    yield (
        "t tests, paired where both have the same seeds; p is corrected over all "
        f"{counted(len(found.changes), 'value')} by Holm's method, and moved means below 0.05"
    )
    if any(not side.complete for c in found.changes for side in (c.before, c.after)):
        yield "* incomplete: trials are missing or failed"
    if counts["lost"]:
        yield "lost: seeds had finite values, and now have none, or one that is not finite"
    if counts["unknown"]:
        yield (
            "unknown: no seed, a single one, or a value that is not finite has no spread to "
            "compare with"
        )
    for name, cells in zip(found.names, found.only, strict=True):
        if cells:
            yield f"only in {name}: {'; '.join(cells)}"
    yield from found.notes


def as_dict(found: Comparison) -> dict[str, Any]:
    """Return a comparison as plain data, whose keys docs/json.md describes."""
    before, after = found.names
    return {
        "version": VERSION,
        "before": before,
        "after": after,
        "has_moved": found.has_moved,
        "changes": list(map(_plain, found.changes)),
        "only_before": list(found.only[0]),
        "only_after": list(found.only[1]),
        "notes": list(found.notes),
    }


def _plain(change: Change) -> dict[str, Any]:
    return {
        "factors": dict(change.factors),
        "value": str(change.value),
        "before": _plain_side(change.before),
        "after": _plain_side(change.after),
        "difference": _finite(change.difference),
        "interval": None if math.isnan(change.low) else [change.low, change.high],
        "p": _finite(change.p),
        "p_holm": _finite(change.p_holm),
        "verdict": change.verdict,
    }


def _plain_side(side: Measured) -> dict[str, Any]:
    found = statistics([*side.by_seed.values()])
    return {
        "mean": _finite(found.mean if side.figure is None else side.figure),
        "std": _finite(found.std),
        "n": found.n,
        "complete": side.complete,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
