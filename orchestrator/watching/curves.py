"""The curves of running trials, from their checkpoints; only new epochs are read."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from orchestrator.labels import unit
from orchestrator.store import Store
from orchestrator.store.checkpoints import read_checkpoint

Point = tuple[int, float | None]
"""An epoch and the metric's value, in its printed unit; None where it has no finite one."""
Curve = list[Point]

_POINTS = 500
"""The largest number of points; of a longer curve every second one is left out, and so on."""


class Curves:
    """The values of a metric in each epoch that a running trial has saved.

    Args:
        store: of the sweep.
        metric: the metric.
    """

    def __init__(self, store: Store, metric: str) -> None:
        self._store, self._metric = store, metric
        self._scale = unit(metric).factor
        self._tables: dict[str, dict[str, pa.Table]] = {}

    def of(self, trial_ids: Collection[str]) -> Mapping[str, Curve]:
        """Read the curves of the trials that run now, by trial id; those of others are dropped."""
        self._tables = {trial_id: self._tables.get(trial_id, {}) for trial_id in trial_ids}
        with ThreadPoolExecutor(self._store.files.threads) as pool:
            return dict(zip(trial_ids, pool.map(self._read, trial_ids), strict=True))

    def _read(self, trial_id: str) -> Curve:
        tables = self._tables[trial_id]
        saved = read_checkpoint(
            self._store.files,
            trial_id,
            lambda error, _: self._store.on_corrupt(error),
            tables=tables,
        )
        if saved is None:
            return []
        listed = saved.head.files()
        for name in tables.keys() - listed:
            del tables[name]
        epochs = saved.rows.epochs
        if self._metric not in epochs.column_names:
            return []
        pairs = zip(epochs["epoch"].to_pylist(), epochs[self._metric].to_pylist(), strict=True)
        return thinned([(epoch, self._shown(value)) for epoch, value in pairs])

    def _shown(self, value: float | None) -> float | None:
        if value is None or not math.isfinite(value):
            return None
        return float(f"{value * self._scale:.12g}")  # shorter than all digits


def thinned(curve: Curve) -> Curve:
    """Leave out all but every n-th point, with n a power of two, and the last one."""
    stride = 1
    while len(curve) > _POINTS * stride:
        stride *= 2
    return curve[::stride] + (curve[-1:] if (len(curve) - 1) % stride else [])
