"""Checks of the params of a sweep file: where each stands, its values, exceptions for some."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from orchestrator.errors import unknown
from orchestrator.labels import quoted
from orchestrator.spec.axes import names_of
from orchestrator.spec.exclusions import Exclusions
from orchestrator.spec.keys import Key
from orchestrator.spec.model import Sweep, Variant
from orchestrator.spec.name_checks import matcher
from orchestrator.spec.problems import Problem
from orchestrator.spec.ranges import MOST_DIMENSIONS, Range
from orchestrator.spec.searched import has_config
from orchestrator.spec.values import Value, by_value, canonical


def check_params(sweep: Sweep) -> Iterator[Problem]:
    """List params that stand twice, and values that do not fit their axes."""
    problems = [*_places(sweep), *_rows(sweep), *_ranges(sweep)]
    yield from problems or [
        *_types(sweep),
        *_variants(sweep),
        *_excludes(sweep),
        *_added(sweep),
    ]


def check_conditions(sweep: Sweep) -> Iterator[Problem]:
    """Refuse a variant, and an entry of ``exclude``, for values that no config has together."""
    text = "never matches: no config has these values together"
    for index, variant in enumerate(sweep.variants):
        if not has_config(sweep, variant.when, sweep.exclusions):
            yield Problem(("variants", index, "when"), text)
    for index, entry in enumerate(sweep.exclude):
        if not has_config(sweep, entry, Exclusions(())):
            yield Problem(("exclude", index), text)


def _places(sweep: Sweep) -> Iterator[Problem]:
    """Refuse a param in two places, and one that is part of another one's name."""
    seen: dict[str, Key] = {}
    sections: dict[str, Mapping[str, object]] = {
        "factors": sweep.factor_axes,
        "search": sweep.search_axes,
        "fixed": sweep.fixed,
    }
    for section, params in sections.items():
        for axis in params:
            for name in names_of(axis):
                if name in seen:
                    other, key = seen[name]
                    where = other if key == name else f"{other}.{key}"
                    text = f"`{name}` is also under `{where}`; keep it in one place"
                    yield Problem((section, axis), text)
                seen.setdefault(name, (section, axis))
    for index, variant in enumerate(sweep.variants):
        for axis in variant.search:
            for name in names_of(axis):
                seen.setdefault(name, ("variants", index, "search", axis))
    for name, other in itertools.combinations(seen, 2):
        outer, inner = sorted((name, other), key=len)
        if inner.startswith(f"{outer}."):
            text = f"`{outer}` is a param, and `{inner}` a param in it; keep one of them"
            yield Problem(seen[other], text)


def _sections(sweep: Sweep) -> Iterator[tuple[Key, Mapping[str, tuple[Value, ...] | Range]]]:
    """List what holds axes: factors, search, and the search of each variant."""
    yield ("factors",), sweep.factor_axes
    yield ("search",), sweep.search_axes
    for index, variant in enumerate(sweep.variants):
        yield ("variants", index, "search"), variant.search


def _rows(sweep: Sweep) -> Iterator[Problem]:
    """Refuse entries of a paired axis that have not one value for each of its params."""
    for section, axes in _sections(sweep):
        for key, values in axes.items():
            names = names_of(key)
            if len(names) == 1 or isinstance(values, Range):
                continue
            for index, row in enumerate(values):
                if not isinstance(row, tuple) or len(row) != len(names):
                    text = (
                        f"expected a list of {len(names)} values, one for each of {quoted(names)}"
                    )
                    yield Problem((*section, key, index), text)


def _ranges(sweep: Sweep) -> Iterator[Problem]:
    """Check that ranges and `samples` go together."""
    ranged = [
        (section, key)
        for section, axes in _sections(sweep)
        for key, values in axes.items()
        if isinstance(values, Range)
    ]
    for section, key in ranged:
        if len(names_of(key)) > 1:
            yield Problem((*section, key), "a range is for one param; list the values of several")
        elif sweep.samples is None:
            text = "a range needs `samples`, the number of points to take from it"
            yield Problem((*section, key), text)
    if sweep.samples is not None and not ranged:
        yield Problem(("samples",), "no param in `search` has a range to take points from")
    if len({key for _, key in ranged}) > MOST_DIMENSIONS:
        section, key = ranged[MOST_DIMENSIONS]
        yield Problem((*section, key), f"is one range too many: {MOST_DIMENSIONS} at most")


def _types(sweep: Sweep) -> Iterator[Problem]:
    """Refuse 1 and 1.0 on one param's axis, which a trainable may tell apart."""
    seen: dict[tuple[str, str], str] = {}
    for section, axes in _sections(sweep):
        for key, values in axes.items():
            names = names_of(key)
            for row in () if isinstance(values, Range) else values:
                for name, value in zip(names, row if len(names) > 1 else (row,), strict=True):
                    text, before = canonical(value), seen.get((name, by_value(value)))
                    seen.setdefault((name, by_value(value)), text)
                    if before not in {None, text}:
                        yield Problem(
                            (*section, key),
                            f"{before} and {text} are the same number in two types, which a "
                            "trainable may tell apart; keep one of them",
                        )


def _variants(sweep: Sweep) -> Iterator[Problem]:
    for index, variant in enumerate(sweep.variants):
        key: Key = ("variants", index)
        yield from matcher(variant.when, sweep.axes, "factor or search param", (*key, "when"))
        for name in variant.fixed:
            if name not in sweep.fixed:
                what = "top-level `fixed` param"
                yield Problem((*key, "fixed", name), unknown(what, name, sweep.fixed))
        yield from _own_axes(sweep, variant.search, (*key, "search"))
        matched = [name for name in variant.when if name in sweep.search]
        if matched:
            yield from _exception(sweep, variant, matched, key)


def _own_axes(
    sweep: Sweep, search: Mapping[str, tuple[Value, ...] | Range], key: Key
) -> Iterator[Problem]:
    """Refuse an axis that is neither one of the top-level ones nor of new params alone."""
    axes = [*sweep.search_axes, *(a for v in sweep.variants for a in v.search)]
    known: dict[str, str] = {}
    for of in axes:
        for name in names_of(of):
            known.setdefault(name, of)
    for axis in search:
        for name in names_of(axis):
            if name in sweep.factors or name in sweep.fixed:
                where = "factors" if name in sweep.factors else "fixed"
                yield Problem((*key, axis), f"`{name}` is under `{where}`; only a search param may")
            elif known[name] != axis:
                text = f"`{name}` is part of the axis `{known[name]}`, which changes as a whole"
                yield Problem((*key, axis), text)


def _exception(sweep: Sweep, variant: Variant, matched: list[str], key: Key) -> Iterator[Problem]:
    """Check a variant for values of search params."""
    sections = [sweep.search_axes, *(other.search for other in sweep.variants)]
    ranged = {n for each in sections for n, value in each.items() if isinstance(value, Range)}
    exceptions = [v for v in sweep.variants if not v.when.keys() <= sweep.factors.keys()]
    of_cells = [v.search for v in sweep.variants if v.when.keys() <= sweep.factors.keys()]
    known = {n for each in [sweep.search_axes, *of_cells] for axis in each for n in names_of(axis)}
    for name in matched:
        if name not in known:
            text = f"only exceptions add `{name}`, and none may depend on another one"
            yield Problem((*key, "when", name), text)
        if name in ranged:
            text = "has a range; match params whose values are listed"
            yield Problem((*key, "when", name), text)
    for section in ("seeds", "confirm", "fixed"):
        if getattr(variant, section) not in (None, {}):
            text = f"may not depend on {quoted(matched)}, which is searched within a cell"
            yield Problem((*key, section), text)
    others = {name for other in exceptions for name in other.when}
    for axis in variant.search:
        if not set(names_of(axis)).isdisjoint(matched):
            yield Problem((*key, "search", axis), "is what `when` matches; it cannot change too")
        elif not set(names_of(axis)).isdisjoint(others):
            text = "is what another exception matches; none may depend on another one"
            yield Problem((*key, "search", axis), text)


def _added(sweep: Sweep) -> Iterator[Problem]:
    """Refuse an added value of no param, or one spelt unlike that of the param."""
    known = {**sweep.axes, **{name: (value,) for name, value in sweep.fixed.items()}}
    for variant in sweep.variants:
        for name, value in variant.fixed.items():
            known[name] = (*known.get(name, ()), value)
    for name, value in sweep.added.items():
        if name not in known:
            yield Problem(("added", name), unknown("param", name, known))
            continue
        for other in known[name]:
            if by_value(other) == by_value(value) and canonical(other) != canonical(value):
                text = f"{canonical(value)} is {canonical(other)} in another type; write the latter"
                yield Problem(("added", name), text)


def _excludes(sweep: Sweep) -> Iterator[Problem]:
    for index, entry in enumerate(sweep.exclude):
        if not entry:
            yield Problem(("exclude", index), "an empty entry would exclude every cell")
        yield from matcher(entry, sweep.axes, "factor or search param", ("exclude", index))
