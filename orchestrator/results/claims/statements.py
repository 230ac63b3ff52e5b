"""Claims in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestrator.labels import Unit, label, unit
from orchestrator.spec.claim import Claim
from orchestrator.spec.values import Value


def statement(claim: Claim) -> str:
    """State a claim in one sentence, without its name."""
    about = " and ".join(claim.measured)
    details = ", ".join(_details(claim))
    where = ", ".join(f"{key} {label(value)}" for key, value in claim.where.items())
    each = ", in each cell" if claim.over == "each" else ""
    return (
        f"{about}{f' ({details})' if details else ''} {_factors(claim)}: {_expected(claim)}{each}"
        f"{f' ({where})' if where else ''}"
    )


def unit_of(claim: Claim) -> Unit:
    """Return the unit of a claim's effect."""
    return unit("correlation" if claim.relate else claim.measured[0])


def _details(claim: Claim) -> Iterator[str]:
    if claim.layers == "max":
        yield "largest layer"
    elif claim.layers != "mean":
        yield f"layer {claim.layers}"
    if claim.epoch is not None:
        yield f"epoch {claim.epoch}"


def _factors(claim: Claim) -> str:
    return f"{'along' if claim.along is not None else 'by'} {' and '.join(claim.factors)}"


def _expected(claim: Claim) -> str:
    if claim.relate is not None:
        return _correlation(claim)
    compare = claim.compare or {}
    if not isinstance(compare, dict):
        first, second = map(_cell, compare)
        return _pair(claim, first, second)
    (values,) = compare.values()
    first, *rest = map(label, values)
    if claim.between:
        ((one, other),) = claim.between.values()
        difference = f"{first} minus {rest[0]}"
        return _pair(claim, f"{difference} in {label(one)}", f"in {label(other)}")
    if claim.expect == "best":
        return f"{first} best of {', '.join([first, *rest])}"
    if claim.expect in {"increasing", "decreasing"}:
        return f"{claim.expect} over {', '.join([first, *rest])}"
    return _pair(claim, first, rest[0])


def _pair(claim: Claim, first: str, second: str) -> str:
    if claim.margin is not None:  # `close`
        return f"{first} within {unit_of(claim).bound(claim.margin)} of {second}"
    return f"{first} {claim.expect} than {second}"


def _correlation(claim: Claim) -> str:
    if claim.margin is not None:
        sign = "" if claim.expect == "greater" else "-"
        return f"correlation {claim.expect} than {sign}{claim.margin:g}"
    return f"{'positive' if claim.expect == 'greater' else 'negative'} correlation"


def _cell(values: Mapping[str, Value]) -> str:
    return ", ".join(map(label, values.values()))
