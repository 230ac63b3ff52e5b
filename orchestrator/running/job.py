"""What a worker needs to run trials: the job once, and one task per trial."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.code import Archive, Scope, Trainable
from orchestrator.code.recorder import Recorder
from orchestrator.nesting import flat
from orchestrator.running.runnable import is_program, runnable
from orchestrator.spec.grid import PlannedTrial, carried
from orchestrator.spec.model import Sweep
from orchestrator.store.schema import Layout

DATA_DIR = "ORCH_DATA_DIR"
"""The environment variable with the folder of the data sets, which trainables read."""
STORE = "ORCH_STORE"
"""The environment variable with the folder or URI of the stores; ``--store`` overrides it."""


@dataclass(frozen=True)
class Job:
    """What all trials of a run share; sent to each worker process once."""

    runs: str
    """The trainable as ``module:name``, or a command and its metrics as JSON."""
    store: str
    layout: Layout
    checkpoint_every: int
    code_digest: str
    watched: frozenset[str]
    """Metrics that end a trial as diverged when they are not finite."""
    folder: str
    """The folder from which the trainable is imported."""
    excluded: tuple[str, ...]
    """Files and folders that no glob of `code` matches."""
    data_dir: str | None
    smoke: bool
    tasks: Mapping[str, Task]
    timeout: float | None = None
    """Seconds that one attempt may take."""
    stops_at: float | None = None
    """When the run ends, in seconds since 1970."""
    keeps_artifacts: bool = False
    """Whether what trials leave in their ``keep`` goes to the store."""

    @property
    def scope(self) -> Scope:
        """Where the trials' code is looked for."""
        return Scope(self.folder, self.excluded)

    @property
    def is_program(self) -> bool:
        """Whether a command runs, rather than a trainable."""
        return is_program(self.runs)

    def set_environment(self) -> None:
        """Say where data lies, as a user could, to this process and those that it starts."""
        if self.data_dir is not None:
            os.environ[DATA_DIR] = self.data_dir

    def enter(self, recorder: Recorder) -> Trainable:
        """Prepare this process for the job's trials, and import the trainable if there is one."""
        self.set_environment()
        return runnable(self.runs, self.folder, recorder)


@dataclass(frozen=True)
class Task:
    """What a worker needs to run one trial."""

    row: Mapping[str, Any]
    """The trial's ids, seed, and the params that are columns of every table."""
    params: Mapping[str, Any]
    """The trainable's params."""
    fixed: Mapping[str, Any]
    """The params that are in the sweep file's ``fixed``."""
    cpu: float
    gpu: float

    @property
    def trial_id(self) -> str:
        """The trial's id."""
        return str(self.row["trial_id"])

    @property
    def threads(self) -> int:
        """One thread per CPU, and at least one."""
        return max(1, int(self.cpu))


def make_job(
    sweep: Sweep,
    todo: Sequence[PlannedTrial],
    store: str,
    layout: Layout,
    code: Archive,
    scope: Scope,
    stops_at: float | None = None,
) -> Job:
    """Make the job for some trials of a sweep."""
    names = [*dict.fromkeys([*carried(sweep), *layout.params])]
    return Job(
        runs=sweep.trainable or json.dumps(sweep.runs),
        store=store,
        layout=layout,
        checkpoint_every=sweep.checkpoint_every,
        code_digest=code.digest,
        watched=sweep.watched,
        folder=scope.folder,
        excluded=scope.excluded,
        data_dir=_data_dir(),
        smoke=sweep.smoke,
        timeout=sweep.timeout,
        stops_at=stops_at,
        keeps_artifacts=sweep.artifacts != "none",
        tasks={trial.trial_id: _task(trial, names) for trial in todo},
    )


def _data_dir() -> str | None:
    folder = os.environ.get(DATA_DIR)
    return None if folder is None else str(Path(folder).absolute())


def _task(trial: PlannedTrial, names: list[str]) -> Task:
    config, params = trial.config, trial.params
    values = flat(params)
    row = {
        "trial_id": trial.trial_id,
        "config_id": config.config_id,
        "cell_id": config.cell_id,
        "seed": trial.seed,
        **{name: values[name] for name in names if name in values},
    }
    fixed = {name: values[name] for name in config.fixed}
    return Task(row, params, fixed, config.resources.cpu, config.resources.gpu)
