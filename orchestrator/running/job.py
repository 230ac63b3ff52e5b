"""What a worker needs to know: of the whole job once, of each trial its task."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.code import Code, Trainable, import_trainable
from orchestrator.spec.grid import PlannedTrial, carried
from orchestrator.spec.model import Sweep
from orchestrator.store.schema import Layout

DATA_DIR = "ORCH_DATA_DIR"
"""The environment variable that tells a trainable where data sets lie."""
STORE = "ORCH_STORE"
"""The environment variable that says where stores are, unless ``--store`` does."""


@dataclass(frozen=True)
class Job:
    """What all trials of one run share. It travels to each worker process once."""

    trainable: str
    store: str
    layout: Layout
    checkpoint_every: int
    code_digest: str
    folder: str
    """The working folder, from which the trainable is imported."""
    data_dir: str | None
    smoke: bool
    tasks: Mapping[str, Task]

    def set_environment(self) -> None:
        """Say where data lies, as a user could, to this process and those that it starts."""
        if self.data_dir is not None:
            os.environ[DATA_DIR] = self.data_dir

    def enter(self) -> Trainable:
        """Prepare this process for the job's trials and import the trainable."""
        self.set_environment()
        return import_trainable(self.trainable, self.folder)


@dataclass(frozen=True)
class Task:
    """One trial as a worker sees it."""

    row: Mapping[str, Any]
    """Its ids, seed and the params of which every row has a column."""
    params: Mapping[str, Any]
    """What the trainable is given."""
    fixed: Mapping[str, Any]
    """Those of the params that the sweep file fixes."""
    cpu: float
    gpu: float

    @property
    def trial_id(self) -> str:
        """The trial's id."""
        return str(self.row["trial_id"])

    @property
    def threads(self) -> int:
        """How many threads its CPUs allow; a fraction of one still needs one."""
        return max(1, int(self.cpu))


def make_job(
    sweep: Sweep,
    todo: Sequence[PlannedTrial],
    store: str,
    layout: Layout,
    code: Code,
) -> Job:
    """Put together what the workers need to run some trials of a sweep."""
    names = carried(sweep)
    return Job(
        trainable=sweep.trainable,
        store=store,
        layout=layout,
        checkpoint_every=sweep.checkpoint_every,
        code_digest=code.digest,
        folder=str(Path.cwd()),
        data_dir=_data_dir(),
        smoke=sweep.smoke,
        tasks={trial.trial_id: _task(trial, names) for trial in todo},
    )


def _data_dir() -> str | None:
    folder = os.environ.get(DATA_DIR)
    return None if folder is None else str(Path(folder).absolute())


def _task(trial: PlannedTrial, names: list[str]) -> Task:
    config, params = trial.config, trial.params
    row = {
        "trial_id": trial.trial_id,
        "config_id": config.config_id,
        "cell_id": config.cell_id,
        "seed": trial.seed,
        **{name: params[name] for name in names},
    }
    fixed = {name: params[name] for name in config.fixed}
    return Task(row, params, fixed, config.resources.cpu, config.resources.gpu)
