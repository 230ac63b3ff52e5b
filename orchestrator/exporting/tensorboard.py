"""Runs of TensorBoard: a folder of events per trial, and entries for its HPARAMS tab.

They are written by tensorboard's own definitions and records: its `EventFileWriter` would name this
host and the time of the export, and tensorboardX would import torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, summary_v2
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo
from tensorboard.summary.writer.record_writer import RecordWriter

from orchestrator.columns import Status
from orchestrator.exporting.runs import Run
from orchestrator.labels import label

_LONGEST = 180
"""Characters of a run's name in that of its folder; with its id they fit in any file system."""
_STATUS = {
    Status.COMPLETED: api_pb2.STATUS_SUCCESS,
    Status.DIVERGED: api_pb2.STATUS_FAILURE,
}


def write(_sweep: str, runs: Iterable[Run], folder: Path) -> None:
    """Write the events of each run, and once for all what the HPARAMS tab shows.

    Args:
        runs: at least one; TensorBoard holds values in single precision.
        folder: where to.
    """
    begun = float("inf")
    params: dict[str, set[Any]] = {}
    metrics: dict[str, None] = {}
    for run in runs:
        of_run = _params(run)
        with _events(folder / _place(run), run.trial.trial_id, run.started) as add:
            _write_run(run, of_run, add)
        for name, value in of_run.items():
            params.setdefault(name, set()).add(value)
        for values in (*(point.metrics for point in run.points), run.best):
            metrics.update(dict.fromkeys(values))
        begun = min(begun, run.started)
    with _events(folder, "hparams", begun) as add:
        shown = summary_v2.hparams_config_pb(
            [summary_v2.HParam(name, _domain(values)) for name, values in params.items()],
            [summary_v2.Metric(name) for name in metrics],
            time_created_secs=begun,
        )
        add(wall_time=begun, summary=shown)


def _write_run(run: Run, params: Mapping[str, Any], add: Callable[..., None]) -> None:
    begin = summary_v2.hparams_pb(params, trial_id=run.trial.trial_id, start_time_secs=run.started)
    add(wall_time=run.started, summary=begin)
    for point in run.points:
        values = {**point.metrics, **point.probes}
        add(wall_time=point.time, step=point.step, summary=_scalars(values))
    if run.points:  # none of a trial whose epochs cannot be read
        add(wall_time=run.ended, step=run.points[-1].step, summary=_scalars(run.best))
    end = SessionEndInfo(status=_STATUS[Status(run.status)], end_time_secs=run.ended)
    about = metadata.create_summary_metadata(HParamsPluginData(session_end_info=end))
    tag, nothing = metadata.SESSION_END_INFO_TAG, metadata.NULL_TENSOR
    value = Summary.Value(tag=tag, metadata=about, tensor=nothing)
    add(wall_time=run.ended, summary=Summary(value=[value]))


def _scalars(values: Mapping[str, float]) -> Summary:
    return Summary(value=[Summary.Value(tag=n, simple_value=v) for n, v in values.items()])


@contextmanager
def _events(folder: Path, suffix: str, begun: float) -> Iterator[Callable[..., None]]:
    """Open an event file; what is yielded adds an event of given fields."""
    folder.mkdir(exist_ok=True)
    with (folder / f"events.out.tfevents.{int(begun):010}.{suffix}").open("wb") as file:
        records = RecordWriter(file)

        def add(**fields: Any) -> None:
            records.write(Event(**fields).SerializeToString(deterministic=True))

        add(wall_time=begun, file_version="brain.Event:2")
        yield add


def _place(run: Run) -> str:
    """Name a run's folder as the run, and by its id too if it cannot be named so."""
    name = re.sub(r"[^\w=.,+ \[\]-]", "_", run.name, flags=re.ASCII)[:_LONGEST]
    return name if name == run.name else f"{name} {run.trial.trial_id}"


def _params(run: Run) -> dict[str, bool | float | str]:
    """List what HPARAMS filters by; a null is left out, and a list is text."""
    params = {n: _plain(v) for n, v in run.trial.values.items() if v is not None}
    # A param's name has no space.
    return {**params, "status": run.status, "selected config": run.selected}


def _plain(value: Any) -> bool | float | str:
    if isinstance(value, bool | str):
        return value
    return label(value) if isinstance(value, tuple) else float(value)


def _domain(values: set[Any]) -> Any:
    """List the values, if they are of one type."""
    return summary_v2.Discrete(values) if len(set(map(type, values))) == 1 else None
