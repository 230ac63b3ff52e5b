"""What a run is, whichever tracker it goes to: a finished trial, step by step."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from orchestrator.columns import BEST, STEP
from orchestrator.labels import assignments
from orchestrator.results import Results
from orchestrator.results.measures import layer_means
from orchestrator.spec.grid import PlannedTrial
from orchestrator.store import Snapshot

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Point:
    """What a trial measured in one epoch.

    Attributes:
        step: the trainable's own counter if each epoch of the trial has a whole one of at least 0
            that grows, else the number of the epoch.
        time: when the epoch ended, in seconds since 1970 UTC, by the durations of the epochs.
        metrics: by name; what the epoch lacks is left out, NaN is not.
        probes: means over the units of a layer, by ``probe/NAME/LAYER``.
    """

    step: int
    time: float
    metrics: Mapping[str, float]
    probes: Mapping[str, float]


@dataclass(frozen=True)
class Run:
    """A finished trial.

    Attributes:
        trial: its config and seed.
        status: ``completed`` or ``diverged``.
        selected: whether its cell's selection chose its config.
        started: in seconds since 1970 UTC.
        ended: likewise.
        points: its epochs.
        best: its best value of the selection metric, by the name of its column.
    """

    trial: PlannedTrial
    status: str
    selected: bool
    started: float
    ended: float
    points: Sequence[Point]
    best: Mapping[str, float]

    @property
    def config(self) -> str:
        """Its config, readable; empty if the sweep has a single one."""
        return assignments(self.trial.config.selectors)

    @property
    def name(self) -> str:
        """Its config and seed, readable."""
        return assignments(self.trial.selectors)


def finished(results: Results) -> list[PlannedTrial]:
    """List the finished trials of those that the sweep asks for, in the order in which they run."""
    return [t for t in results.wanted.trials if t.trial_id in results.snapshot.finished]


def runs_of(results: Results, trials: Sequence[PlannedTrial]) -> Iterator[Run]:
    """Read finished trials, one by one.

    Raises:
        ShowError: the store lacks the selection metric.
        StoreError: the store cannot be read.
    """
    snapshot, select = results.snapshot, results.sweep.select
    ids = {trial.trial_id for trial in trials}
    selected = {s.best.config.config_id for s in results.selections if s.best}
    ended = snapshot.with_best(snapshot.read("trials", ids), select)
    ends = {row["trial_id"]: row for row in ended.to_pylist()}
    epochs, probes = _ByTrial(snapshot.read("epochs", ids)), _Probes(snapshot, ids)
    metrics = snapshot.layout.metrics if snapshot.layout else ()
    best = [f"{BEST}{select.metric}"]
    for trial in trials:
        end = ends[trial.trial_id]
        started = end["started_at"].timestamp()
        rows = epochs.of(trial.trial_id)
        yield Run(
            trial=trial,
            status=end["status"],
            selected=trial.config.config_id in selected,
            started=started,
            ended=end["ended_at"].timestamp(),
            points=list(_points(rows, started, metrics, probes.of(trial.trial_id))),
            best=_present(end, best),
        )


def _points(
    rows: Sequence[Row],
    started: float,
    metrics: Collection[str],
    probes: Mapping[int, Mapping[str, float]],
) -> Iterator[Point]:
    times = itertools.accumulate((row["seconds"] or 0 for row in rows), initial=started)
    for row, step, time in zip(rows, _steps(rows), itertools.islice(times, 1, None), strict=True):
        yield Point(step, time, _present(row, metrics), probes.get(row["epoch"], {}))


def _steps(rows: Sequence[Row]) -> list[int]:
    """Number the epochs as trackers can: by integers that grow."""
    steps = [row[STEP] for row in rows]
    are_whole = all(step is not None and step >= 0 and step.is_integer() for step in steps)
    if are_whole and all(one < other for one, other in itertools.pairwise(steps)):
        return list(map(int, steps))
    return [row["epoch"] for row in rows]


def _present(row: Row, names: Collection[str]) -> dict[str, float]:
    return {name: row[name] for name in names if row[name] is not None}


class _ByTrial:
    """Rows of `epochs`, looked up by trial; as pandas would read them, a null would be NaN."""

    def __init__(self, rows: pa.Table) -> None:
        self._rows = rows
        ids = rows.select(["trial_id"]).to_pandas()
        self._places = ids.groupby("trial_id", observed=True).indices

    def of(self, trial_id: str) -> list[Row]:
        places = self._places.get(trial_id, [])
        rows: list[Row] = self._rows.take(pa.array(places, pa.int64())).to_pylist()
        return sorted(rows, key=lambda row: row["epoch"])


class _Probes:
    """Means of probes over the units of a layer, looked up by trial; bins are left out."""

    def __init__(self, snapshot: Snapshot, trial_ids: Collection[str]) -> None:
        self._means = [
            (name, means, means.groupby("trial_id", observed=True).indices)
            for name in snapshot.probe_names()
            for means in [_means(snapshot.read("probes", trial_ids, name).to_pandas())]
        ]

    def of(self, trial_id: str) -> dict[int, dict[str, float]]:
        """Return the means of a trial, by epoch and ``probe/NAME/LAYER``."""
        found: dict[int, dict[str, float]] = {}
        for name, means, places in self._means:
            own = means.iloc[places.get(trial_id, [])]
            for epoch, layer, value in zip(own["epoch"], own["layer"], own["value"], strict=True):
                found.setdefault(int(epoch), {})[f"probe/{name}/{layer}"] = float(value)
        return found


def _means(rows: pd.DataFrame) -> pd.DataFrame:
    return layer_means(rows[rows["at"].isna()], by=["trial_id", "epoch"]).reset_index()
