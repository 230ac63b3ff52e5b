"""Claims of a sweep file, and the cells that they compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from orchestrator.labels import PROBE
from orchestrator.spec.part import Part
from orchestrator.spec.values import Name, ParamValue, Value, by_value, matches

if TYPE_CHECKING:  # it is made of this module's classes
    from orchestrator.spec.model import Sweep

Factors = Mapping[str, Value]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
OneFactor = Annotated[
    dict[str, tuple[ParamValue, ...]], Field(min_length=1, max_length=1), Tag("factor")
]
Cells = Annotated[tuple[dict[str, ParamValue], ...], Tag("cells")]


def _form(compare: Any) -> str:
    return "cells" if isinstance(compare, tuple | list) else "factor"


Compared = Annotated[OneFactor | Cells, Discriminator(_form)]

PAIR = ("greater", "less", "close")
"""What can be expected of two values."""
LEAST_AXIS = 4
"""The fewest values over which a correlation is computed."""
FARTHEST = 0.9999
"""Correlations beyond this are cut: Fisher's z of 1 is infinite."""


class Claim(Part):
    """A statement about the factors that the store can support or refute."""

    name: Name
    """Printed with the verdict; each claim has its own."""
    compare: Compared | None = None
    """One factor and its values to compare, or a list of two mappings that differ in several
    factors; cells are matched on the other factors. Either this or ``relate``."""
    between: dict[str, tuple[ParamValue, ...]] = {}
    """A second factor and two of its values: how much the difference under the first exceeds that
    under the second (an interaction)."""
    relate: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """Two values, metrics or ``probe:NAME``, whose correlation is claimed."""
    along: str | None = None
    """The factor over whose values they are correlated, four at least; for ``relate``."""
    where: dict[str, ParamValue] = {}
    """Values of other factors, each one value or a list of them, to which the claim is limited."""
    metric: str | None = None
    """The metric to compare, from the selected configs. Either this or ``probe``."""
    probe: str | None = None
    """The probe to compare."""
    layers: str = "mean"
    """Of a probe: ``mean`` or ``max`` over its layers, or the name of one."""
    epoch: Annotated[int, Field(ge=1)] | None = None
    """The epoch whose values count, instead of the last."""
    expect: Literal["greater", "less", "close", "increasing", "decreasing", "best"]
    """``greater``, ``less``, ``close``: the first of two values against the second; of ``relate``,
    a positive or negative correlation. ``increasing``, ``decreasing``: over the list. ``best``:
    the first against each other."""
    margin: Positive | None = None
    """What counts as ``close``, in the unit that the trainable yields; of ``relate``, the
    correlation to be exceeded."""
    over: Literal["mean", "each"] = "mean"
    """Whether the ``mean`` over the matched cells must show it, or ``each`` of them."""
    test: Literal["paired", "pooled"] = "paired"
    """``paired`` by seed, or with the spread ``pooled`` over all cells of the sweep."""
    smallest: Positive | None = None
    """The smallest effect that would matter, in the effect's unit."""

    @property
    def measured(self) -> tuple[str, ...]:
        """The values that it is about: one metric or ``probe:NAME``, or the two it relates."""
        if self.relate is not None:
            return self.relate
        return (self.metric if self.metric is not None else f"{PROBE}{self.probe}",)

    @property
    def factors(self) -> tuple[str, ...]:
        """The factors whose values it compares; cells are matched on the others."""
        if self.relate is not None:
            return () if self.along is None else (self.along,)
        compare = self.compare or {}
        named = compare if isinstance(compare, dict) else {name: 0 for m in compare for name in m}
        return (*named, *self.between)

    def positions(self, factors: Mapping[str, Sequence[Value]]) -> list[dict[str, Value]]:
        """List the factor values of the cells that one match consists of, in the claim's order.

        Args:
            factors: the sweep's factors with their values.
        """
        if self.relate is not None and self.along is not None:
            return [{self.along: value} for value in factors[self.along]]
        compare = self.compare or {}
        if not isinstance(compare, dict):
            return list(compare)
        firsts = [{name: value} for name, values in compare.items() for value in values]
        seconds = [{name: value} for name, values in self.between.items() for value in values]
        return [{**first, **second} for second in seconds or [{}] for first in firsts]


def match(claim: Claim, sweep: Sweep, cells: Sequence[Factors]) -> list[tuple[int, ...]]:
    """Match cells on the factors that a claim does not compare, nor pairs with one that it does.

    Args:
        claim: the claim.
        sweep: the sweep that makes it.
        cells: the factor values of each cell.

    Returns:
        Per match, the indices of its cells in the order of the claim's positions; a match
        counts if it has a cell for each of them.
    """
    aside = sweep.paired_with(claim.factors)
    keys = [by_value(position) for position in claim.positions(sweep.factors)]
    groups: dict[str, dict[str, int]] = {}
    for index, cell in enumerate(cells):
        others = {name: value for name, value in cell.items() if name not in claim.factors}
        if matches(claim.where, others):
            rest = {name: value for name, value in others.items() if name not in aside}
            compared = {name: cell[name] for name in claim.factors}
            groups.setdefault(by_value(rest), {})[by_value(compared)] = index
    complete = [group for group in groups.values() if group.keys() >= set(keys)]
    return [tuple(group[key] for key in keys) for group in complete]
