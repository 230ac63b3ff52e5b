"""Checks of a sweep file's claims."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.errors import unknown
from orchestrator.labels import PROBE, quoted
from orchestrator.spec.axes import product
from orchestrator.spec.claim import FARTHEST, LEAST_AXIS, PAIR, Claim, Factors, match
from orchestrator.spec.grid import factors_of_cells
from orchestrator.spec.keys import Key
from orchestrator.spec.model import Sweep
from orchestrator.spec.name_checks import free, matcher, on_axis
from orchestrator.spec.problems import Problem
from orchestrator.spec.values import by_value, matches


def check_claim(sweep: Sweep, claim: Claim, key: Key) -> Iterator[Problem]:
    """List names that a claim has wrong, and keys that do not go together."""
    if (claim.compare is None) == (claim.relate is None):
        yield Problem(key, "expected one of `compare` and `relate`")
    elif claim.relate is not None:
        yield from _correlation(sweep, claim, key)
    else:
        yield from _comparison(sweep, claim, key)
        yield from _measure(sweep, claim, key)
    if claim.layers != "mean" and not any(name.startswith(PROBE) for name in claim.measured):
        yield Problem((*key, "layers"), "only a probe has layers")
    for name in claim.where.keys() & set(claim.factors):
        text = "is the compared factor; `where` takes the other factors"
        yield Problem((*key, "where", name), text)
    others = {name: axis for name, axis in sweep.factors.items() if name not in claim.factors}
    where = {name: value for name, value in claim.where.items() if name not in claim.factors}
    yield from matcher(where, others, "factor", (*key, "where"))


def check_cells(sweep: Sweep) -> Iterator[Problem]:
    """Refuse a claim that nothing can decide, or one about one of several cells for a value.

    A claim about each cell needs one. One about their mean stays undecided where all are excluded,
    and is refused where factors that are paired never have its values together.

    The sweep has no other problem.
    """
    is_paired = any(len(axis.names) > 1 for axis in sweep.factor_grid)
    needed = any(claim.over == "each" for claim in sweep.claims) or (is_paired and sweep.claims)
    cells = list(factors_of_cells(sweep)) if needed else []
    combinations = list(product(sweep.factor_grid)) if is_paired and needed else []
    for index, claim in enumerate(sweep.claims if needed else ()):
        aside = sweep.paired_with(claim.factors)
        among = cells if claim.over == "each" else combinations
        if (among is cells or is_paired) and not match(claim, sweep, among):
            text = "no cells to compare: `where` and `exclude` leave none with all these values"
            yield Problem(("claims", index), text)
        if aside and _is_ambiguous(claim, cells, aside):
            text = (
                f"several cells have one value of {quoted(claim.factors)}, whose axis also sets "
                f"{quoted(sorted(aside))}; compare two mappings, or choose one by `where`"
            )
            yield Problem(("claims", index), text)


def _is_ambiguous(claim: Claim, cells: Sequence[Factors], aside: set[str]) -> bool:
    """Tell whether cells that a claim compares differ in nothing but what it leaves aside."""
    positions = [by_value(position) for position in claim.positions({})] if claim.compare else []
    seen: set[str] = set()
    for cell in cells:
        others = {name: value for name, value in cell.items() if name not in claim.factors}
        compared = by_value({name: cell[name] for name in claim.factors})
        is_asked = matches(claim.where, others) and (not positions or compared in positions)
        told = by_value({name: value for name, value in cell.items() if name not in aside})
        if is_asked and told in seen:
            return True
        seen |= {told} if is_asked else set()
    return False


def _measure(sweep: Sweep, claim: Claim, key: Key) -> Iterator[Problem]:
    if (claim.metric is None) == (claim.probe is None):
        yield Problem(key, "expected one of `metric` and `probe`")
    if claim.metric is not None:
        yield from free(sweep, claim.metric, (*key, "metric"))
    if claim.along is not None:
        yield Problem((*key, "along"), "is only allowed with `relate`")
    if (claim.expect == "close") != (claim.margin is not None):
        yield Problem(key, "`margin` is required for `expect: close`, and only allowed there")
    if claim.expect == "close" and claim.smallest is not None:
        yield Problem((*key, "smallest"), "`margin` already says what matters for `expect: close`")


def _comparison(sweep: Sweep, claim: Claim, key: Key) -> Iterator[Problem]:
    if not isinstance(claim.compare, dict):
        yield from _two_cells(sweep, claim, key)
        return
    ((factor, values),) = claim.compare.items()
    yield from _axis(sweep, factor, values, (*key, "compare", factor))
    pair = claim.expect in PAIR
    if pair and len(values) != 2:
        yield Problem((*key, "compare"), f"`expect: {claim.expect}` compares two values")
    if not pair and len(values) < 2:
        yield Problem((*key, "compare"), f"`expect: {claim.expect}` needs two values or more")
    if claim.between:
        yield from _interaction(sweep, claim, factor, key)


def _interaction(sweep: Sweep, claim: Claim, compared: str, key: Key) -> Iterator[Problem]:
    if claim.expect not in PAIR:
        yield Problem((*key, "expect"), "with `between`: expected 'greater', 'less' or 'close'")
    if len(claim.between) > 1:
        yield Problem((*key, "between"), "expected exactly one factor")
    for factor, values in claim.between.items():
        yield from _axis(sweep, factor, values, (*key, "between", factor))
        if factor == compared:
            yield Problem((*key, "between", factor), "is the compared factor; name another one")
        if len(values) != 2:
            yield Problem((*key, "between", factor), "expected two values")


def _two_cells(sweep: Sweep, claim: Claim, key: Key) -> Iterator[Problem]:
    cells = claim.compare if isinstance(claim.compare, tuple) else ()
    if len(cells) != 2 or len({frozenset(cell) for cell in cells}) != 1 or not cells[0]:
        text = "expected two mappings that name the same factors"
        yield Problem((*key, "compare"), text)
    elif by_value(cells[0]) == by_value(cells[1]):
        yield Problem((*key, "compare"), "the two mappings are equal")
    for index, cell in enumerate(cells):
        for name, value in cell.items():
            yield from _axis(sweep, name, (value,), (*key, "compare", index, name))
    if claim.expect not in PAIR:
        text = "of two mappings: expected 'greater', 'less' or 'close'"
        yield Problem((*key, "expect"), text)
    if claim.between:
        text = "is only allowed where `compare` is one factor with two values"
        yield Problem((*key, "between"), text)


def _axis(sweep: Sweep, factor: str, values: tuple[object, ...], key: Key) -> Iterator[Problem]:
    if factor not in sweep.factors:
        yield Problem(key, unknown("factor", factor, sweep.factors))
        return
    yield from on_axis(values, sweep.factors[factor], key)
    if len({by_value(value) for value in values}) < len(values):
        yield Problem(key, "a value is repeated")


def _correlation(sweep: Sweep, claim: Claim, key: Key) -> Iterator[Problem]:
    names = claim.relate or ()
    if len(set(names)) != 2 or len(names) != 2:
        text = "expected two different values: metrics, or `probe:NAME`"
        yield Problem((*key, "relate"), text)
    for index, name in enumerate(names):
        yield from free(sweep, name, (*key, "relate", index))
    yield from _along(sweep, claim, key)
    if claim.expect not in {"greater", "less"}:
        yield Problem((*key, "expect"), "with `relate`: expected 'greater' or 'less'")
    if claim.test == "pooled":
        text = "a correlation has a spread of its own; leave out `test: pooled`"
        yield Problem((*key, "test"), text)
    for name in ("metric", "probe", "between"):
        if getattr(claim, name):
            yield Problem((*key, name), "does not go together with `relate`")
    if claim.margin and claim.smallest:
        text = "does not go together with `margin`, beyond which the correlation is to be"
        yield Problem((*key, "smallest"), text)
    for name in ("margin", "smallest"):
        if (getattr(claim, name) or 0) >= FARTHEST:
            text = f"expected a correlation, less than {FARTHEST}, beyond which all count as one"
            yield Problem((*key, name), text)


def _along(sweep: Sweep, claim: Claim, key: Key) -> Iterator[Problem]:
    if claim.along is None:
        yield Problem(key, "`relate` needs `along`, the factor to correlate over")
    elif claim.along not in sweep.factors:
        yield Problem((*key, "along"), unknown("factor", claim.along, sweep.factors))
    elif (values := len(sweep.factors[claim.along])) < LEAST_AXIS:
        text = f"`{claim.along}` has {values} values; a correlation needs {LEAST_AXIS}"
        yield Problem((*key, "along"), text)
