"""Compares two runs of a trial to the bit: its epochs, its row in ``trials`` and its probes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow.compute as pc

from orchestrator.columns import BEST, TABLES
from orchestrator.results import Results
from orchestrator.results.origins import other_versions
from orchestrator.results.selection import metric_columns
from orchestrator.spec.model import Select
from orchestrator.store import Snapshot

_PLACE = ["epoch", "probe", "layer_index", "layer", "unit", "at"]
"""Columns that tell one measurement of a trial from the others."""


@dataclass(frozen=True)
class Rows:
    """The rows of one trial in each table, and the packages that it had loaded, if known."""

    trial: pd.Series[Any]
    epochs: pd.DataFrame
    probes: pd.DataFrame
    environment: Mapping[str, Any] | None


class RowsOf:
    """The rows of some trials; each table is read once.

    Args:
        snapshot: of their store, which has tables.
        trial_ids: the trials.
        select: how their sweep selects.
    """

    def __init__(self, snapshot: Snapshot, trial_ids: Collection[str], select: Select) -> None:
        self._archives = snapshot.store.archives
        self._tables = {table: snapshot.read(table, trial_ids) for table in TABLES}
        self._tables["trials"] = snapshot.with_best(self._tables["trials"], select)

    def __getitem__(self, trial_id: str) -> Rows:
        own = (
            self._tables[table].filter(pc.field("trial_id") == trial_id).to_pandas()
            for table in TABLES
        )
        trials, epochs, probes = own
        trial = trials.iloc[0]
        digest = trial["environment_digest"]
        environment = self._archives.environment(digest) if isinstance(digest, str) else None
        return Rows(trial, epochs, probes, environment)


@dataclass(frozen=True)
class Comparison:
    """A trial that ran twice.

    Attributes:
        stored: the rows that the store holds.
        now: those of the second run.
        differs_from: the first epoch whose numbers are not the same; None without one.
        differing: the metrics, columns of ``trials`` and probes that differ.
        conditions: what was not the same among that on which the last digits depend.
    """

    stored: Rows
    now: Rows
    differs_from: int | None
    differing: tuple[str, ...]
    conditions: tuple[str, ...]

    @property
    def is_equal(self) -> bool:
        """Whether all numbers are equal to the bit."""
        return self.differs_from is None

    @property
    def may_differ(self) -> bool:
        """Whether honest runs may differ: not all is the same, or a GPU computes the trial."""
        return bool(self.conditions or self.stored.trial["gpus"])

    @property
    def went_on_after(self) -> str | None:
        """The epochs after which the stored run went on, as a JSON list; None if it never did."""
        resumed = self.stored.trial["resumed_at"]
        return str(resumed) if went_on(resumed) else None


def went_on(resumed_at: object) -> bool:
    """Tell from ``resumed_at`` whether a trial went on from a checkpoint; old rows have none."""
    return isinstance(resumed_at, str) and resumed_at != "[]"


def compare(results: Results, stored: Rows, now: Rows) -> Comparison:
    """Compare two runs of a trial of a sweep."""
    metrics = _metrics(results, stored, now)
    found = [
        *_of_epochs(stored.epochs, now.epochs, metrics),
        *_of_probes(stored.probes, now.probes),
        *_of_trials(results, stored, now, metrics),
    ]
    return Comparison(
        stored=stored,
        now=now,
        differs_from=min((epoch for epoch, _ in found), default=None),
        differing=tuple(dict.fromkeys(name for _, name in found if name)),
        conditions=tuple(_conditions(stored, now)),
    )


def _metrics(results: Results, stored: Rows, now: Rows) -> list[str]:
    """List the metrics to compare, those of the stored run first."""
    columns = metric_columns(results.sweep, stored.trial.to_frame().T)
    known = [name for name in columns if name in stored.epochs]
    has_values = (name for name in known if stored.epochs[name].notna().any())
    more = (name for name in known if name in now.epochs and now.epochs[name].notna().any())
    return [*dict.fromkeys([*has_values, *more])]


Found = Iterator[tuple[int, str]]
"""Epochs at which something differs, and its name; no name for an epoch that one run lacks."""


def _of_epochs(before: pd.DataFrame, now: pd.DataFrame, metrics: list[str]) -> Found:
    one, other = (frame.set_index("epoch").reindex(columns=metrics) for frame in (before, now))
    for epoch in sorted({*one.index} ^ {*other.index}):
        yield int(epoch), ""
    epochs = sorted({*one.index} | {*other.index})
    one, other = one.reindex(epochs), other.reindex(epochs)
    same = (one == other) | (one.isna() & other.isna())
    for name in metrics:
        for epoch in same.index[~same[name]][:1]:
            yield int(epoch), name


def _of_probes(before: pd.DataFrame, now: pd.DataFrame) -> Found:
    one, other = (
        frame[[*_PLACE, "value"]].astype({"layer": str, "probe": str}) for frame in (before, now)
    )
    both = one.merge(other, on=_PLACE, how="outer", suffixes=("", "_now"), indicator=True)
    is_same = (both["value"] == both["value_now"]) | (
        both["value"].isna() & both["value_now"].isna()
    )
    differing = both[~is_same | (both["_merge"] != "both")]
    for probe, epochs in differing.groupby("probe", observed=True)["epoch"]:
        yield int(epochs.min()), f"probe:{probe}"


def _of_trials(results: Results, stored: Rows, now: Rows, metrics: list[str]) -> Found:
    """Compare what tables and claims read of ``trials``."""
    axes = [name for name in results.sweep.axes if name in now.trial]
    names = ["config_id", "cell_id", "seed", *axes, "status", "epochs_run", *metrics]
    for name in (*names, f"{BEST}{results.sweep.select.metric}"):
        before, after = stored.trial.get(name), now.trial.get(name)  # None of what none reported
        if not (before == after or (pd.isna(before) and pd.isna(after))):
            yield len(now.epochs), name


def _conditions(before: Rows, now: Rows) -> Iterator[str]:
    for name in ("processor", "device", "threads"):
        was, is_now = before.trial[name], now.trial[name]
        if str(was) != str(is_now):
            yield f"{name} was {was}, is {is_now}"
    if str(before.trial["data_digest"]) != str(now.trial["data_digest"]):
        yield "data is not the same"
    if before.environment is None or now.environment is None:
        yield "packages of the stored run are not known"
    elif others := other_versions(before.environment, now.environment):
        yield f"other versions of {', '.join(others)}"
