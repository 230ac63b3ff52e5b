"""The two sides of a comparison: stores, one version of a store's code, or a paper's figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from orchestrator.errors import InputError
from orchestrator.labels import PROBE, counted, in_layers, unit
from orchestrator.results import Results, open_store
from orchestrator.results.measures import selected_values
from orchestrator.results.selection import CellSelection
from orchestrator.results.tables import published_cells
from orchestrator.spec import Sweep
from orchestrator.spec.shown import Table
from orchestrator.spec.values import by_value
from orchestrator.store.archives import Archives

PUBLISHED = "published"
"""What the command calls a paper's figures."""
_VERSION = "@"
_ABSENT = object()


def opened(text: str) -> Results:
    """Open a store's folder or URI; behind an @ the digest of the code whose trials count.

    Raises:
        StoreError: there is no store.
        InputError: none of its trials ran such code.
    """
    location, _, version = text.rpartition(_VERSION)
    # As in s3://key@host/bucket, or in the name of a folder.
    if not (location and version) or "/" in version or Path(text).is_dir():
        return open_store(text)
    results = open_store(location)
    trials = results.trials
    digests = trials["code_digest"].astype(str)
    meant = sorted({digest for digest in digests if digest.startswith(version)})
    if len(meant) != 1:
        found = ", ".join(_versions(digests)) or "none"
        which = "no trial" if not meant else "trials of several versions"
        raise InputError(f"{location} holds {which} of the code {version}; it holds {found}")
    alike = _alike(meant[0], set(digests), results.store.archives)
    results.trials = trials[digests.isin(alike)]
    return results


def _versions(digests: pd.Series[str]) -> Iterable[str]:
    for digest, count in digests.value_counts().items():
        yield f"{str(digest)[:12]} ({counted(int(count), 'trial')})"


def _alike(digest: str, others: Iterable[str], archives: Archives) -> set[str]:
    """Find the manifests whose common files mean the same: trials may have loaded more or less."""
    own = archives.read(digest)
    same = {digest}
    for other in others:
        theirs = archives.read(other)
        if own and theirs and own.difference_from(theirs) is None:
            same.add(other)
    return same


def places(results: Results, names: Iterable[str]) -> dict[tuple[Any, ...], CellSelection]:
    """Find each cell by its values of some params, those included that are fixed."""
    return {
        tuple(_value(selection, name) for name in names): selection
        for selection in results.selections
    }


def _value(selection: CellSelection, name: str) -> Any:
    values = {by_value(c.values[name]) for c in selection.cell.configs if name in c.values}
    return values.pop() if len(values) == 1 else _ABSENT


@dataclass(frozen=True)
class Measured:
    """One value of one cell.

    Attributes:
        by_seed: the selected config's values, as stored, by seed; a published figure has no seed.
        figure: the published figure, as stored; None of a store.
        complete: whether every trial of the cell has a result.
    """

    by_seed: Mapping[int, float]
    figure: float | None
    complete: bool

    @property
    def is_finite(self) -> bool:
        """Whether there are seeds, and the value of each is finite."""
        return bool(self.by_seed) and all(map(math.isfinite, self.by_seed.values()))


@dataclass(frozen=True)
class Shown:
    """A value that tables show.

    Attributes:
        name: a metric or ``probe:NAME``.
        layers: of a probe, ``mean`` or ``max`` over its layers, or one of them.
    """

    name: str
    layers: str = "mean"

    def __str__(self) -> str:
        return in_layers(self.name, self.layers)


def shown(sweep: Sweep, table: Table) -> list[Shown]:
    """List the values of a table."""
    return [
        Shown(name, table.layers if name.startswith(PROBE) else "mean")
        for name in sweep.values_of(table)
    ]


def measured(results: Results, selection: CellSelection, value: Shown) -> Measured:
    """Look up a value of a cell.

    Raises:
        ShowError: the store has no such metric, probe or layer.
    """
    values = selected_values(results.measure(value.name, value.layers), selection)
    by_seed = dict(zip(selection.reported, values, strict=False))
    return Measured(by_seed, None, selection.complete)


def published(results: Results) -> dict[Shown, list[tuple[CellSelection, Measured]]]:
    """List the figures that the tables of a sweep publish, by value, with the cell of each.

    Raises:
        InputError: its tables publish none.
    """
    sweep = results.sweep
    found: dict[Shown, list[tuple[CellSelection, Measured]]] = {}
    for table in sweep.tables:
        if table.published is None:
            continue
        for selection, row in published_cells(results, table.published):
            for value in shown(sweep, table):
                if row.get(value.name) is not None:
                    factor = unit(value.name, table.percent).factor
                    figure = Measured({}, float(row[value.name]) / factor, True)
                    found.setdefault(value, []).append((selection, figure))
    if not found:
        raise InputError(f"the tables of {sweep.name} have no `published` figures to compare with")
    return found
