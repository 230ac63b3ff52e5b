"""A store as a driver and its workers use it, without either, and what readers must find."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from orchestrator.columns import columns_of
from orchestrator.spec.grid import PlannedTrial, carried
from orchestrator.spec.model import Sweep
from orchestrator.store import Store, Writer, settle
from orchestrator.store.checkpoint import About, Rows
from orchestrator.store.files import Files
from orchestrator.store.saving import Saving
from orchestrator.store.schema import PROBE_SCHEMA, Layout
from orchestrator.store.trial_folder import TrialFolder

METRICS = ("score", "loss")
EPOCHS = 3
SCHEMA = "0-schema.parquet"


UNKNOWN = {column.name: None for column in columns_of("trials") if column.role != "id"}
"""What a row must have at least."""


def make_sweep(**changes: Any) -> Sweep:
    keys: dict[str, Any] = {
        "name": "toy",
        "trainable": "toy:train",
        "seeds": (0,),
        "factors": {"x": (1, 2), "kind": ("a", "b")},
        "select": {"metric": "score"},
    }
    return Sweep.model_validate(keys | changes)


def score(trial_id: str, epoch: int) -> float:
    """Make up a number that only this epoch of this trial has; the second epoch's is best."""
    return int(trial_id[:8], 16) + (0.25, 0.75, 0.5)[epoch - 1]


def row_of(trial: PlannedTrial, sweep: Sweep) -> dict[str, Any]:
    return {
        "trial_id": trial.trial_id,
        "config_id": trial.config.config_id,
        "cell_id": trial.config.cell_id,
        "seed": trial.seed,
        **{name: trial.params[name] for name in carried(sweep)},
    }


def complete_row(trial: PlannedTrial, sweep: Sweep) -> dict[str, Any]:
    """Make the row in `trials` of a trial that is completed."""
    last = epochs_of(trial.trial_id).to_pylist()[-1]
    return {
        **row_of(trial, sweep),
        **UNKNOWN,
        **{name: last[name] for name in METRICS},
        f"best_{sweep.select.metric}": score(trial.trial_id, 2),
        "status": "completed",
        "attempts": 1,
        "epochs_run": EPOCHS,
        "seconds": 0.3,
        "threads": 1,
        "started_at": datetime(2026, 1, 1, tzinfo=UTC),
        "ended_at": datetime(2026, 1, 2, tzinfo=UTC),
        "host": "here",
        "device": "cpu",
        "code_digest": "digest",
        "facts": "{}",
        "params": "{}",
    }


def epochs_of(trial_id: str, n: int = EPOCHS) -> pa.Table:
    rows = [
        {"epoch": e, "step": None, "score": score(trial_id, e), "loss": 1 / e, "seconds": 0.1}
        for e in range(1, n + 1)
    ]
    return pa.Table.from_pylist(rows)


def probes_of(trial_id: str, n: int = EPOCHS) -> pa.Table:
    rows = [
        {"epoch": e, "probe": probe, "layer": "conv", "layer_index": 0, "value": score(trial_id, e)}
        for e in range(1, n + 1)
        for probe in ("skewness", "sparsity")
    ]
    return pa.Table.from_pylist(rows, schema=PROBE_SCHEMA)


def about(trial: PlannedTrial, sweep: Sweep) -> About:
    """Say of a trial what its checkpoints say."""
    return About(
        row=row_of(trial, sweep),
        code_digest="digest",
        seconds=0.2,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        resumed_at=(),
        device="cpu",
        facts={},
    )


@dataclass(frozen=True)
class Lab:
    """A store as a driver and its workers use it."""

    location: str

    @property
    def folder(self) -> Path:
        return Path(self.location)

    @property
    def store(self) -> Store:
        return Store(self.location)

    @property
    def writer(self) -> Writer:
        return Writer(self.store)

    def prepare(self, sweep: Sweep, drop: set[str] = frozenset()) -> Layout:
        """Do what a driver does before the trials run and after the first epoch came."""
        settle.create(self.store)
        layout = settle.settle(self.store, sweep, drop).layout
        assert layout
        if not layout.metrics:
            layout = layout.with_metrics(METRICS)
            settle.write_schema(self.store, layout)
        return layout

    def commit(self, sweep: Sweep, *trials: PlannedTrial, digest: str = "digest") -> None:
        """Finish trials, as workers do."""
        layout = replace(Layout.of(sweep).widened(self.store.layout()), metrics=METRICS)
        for trial in trials:
            row = complete_row(trial, sweep) | {"code_digest": digest}
            own = epochs_of(trial.trial_id), probes_of(trial.trial_id)
            self.writer.commit(row, *own, layout)

    def save(self, sweep: Sweep, trial: PlannedTrial) -> None:
        """Save a trial after its second epoch."""
        rows = Rows(epochs_of(trial.trial_id, 2), probes_of(trial.trial_id, 2))
        files = self.store.files
        with contextlib.closing(TrialFolder(files, trial.trial_id)) as folder:
            saving = Saving(files, trial.trial_id, 1, folder)
            saving.save(rows, b"weights", about(trial, sweep))

    def checkpoint_files(self, trial: PlannedTrial, kind: str = "") -> list[Path]:
        """List the files of a trial's checkpoints, or those of one kind."""
        return sorted((self.folder / "checkpoints" / trial.trial_id).glob(f"{kind}*"))

    def fail(self, sweep: Sweep, *trials: PlannedTrial, error: str | None = "no luck") -> None:
        """Write down that trials failed, as a driver does."""
        layout = self.store.layout()
        assert layout
        nothing = [layout.schema(table).empty_table() for table in ("epochs", "probes")]
        for trial in trials:
            ended = {**UNKNOWN, "status": "failed", "error": error, "attempts": 3}
            self.writer.commit({**row_of(trial, sweep), **ended}, *nothing, layout)

    def files(self, table: str) -> list[str]:
        return sorted(path.name for path in (self.folder / table).iterdir())

    def merged(self, table: str) -> str:
        """Name the table's one merged file."""
        (name,) = (name for name in self.files(table) if name.startswith("merged-"))
        return f"{table}/{name}"

    def plain(self, table: str) -> pd.DataFrame:
        """Read a table as people do."""
        return pd.read_parquet(self.folder / table)


def assert_shows(store: Store, trials: list[PlannedTrial], failed: set[str] = frozenset()) -> None:
    """Check that readers meet the trials, each row of them once, with the right numbers."""
    ids = {trial.trial_id for trial in trials}
    ran = sorted(ids - failed)
    snapshot = store.snapshot()
    shown = snapshot.trials()
    assert sorted(shown["trial_id"]) == sorted(ids)
    scores = shown.set_index("trial_id")["score"].to_dict()
    assert {i: scores[i] for i in ran} == {i: score(i, EPOCHS) for i in ran}
    every_epoch = [(i, e, score(i, e)) for i in ran for e in range(1, EPOCHS + 1)]
    columns = ["trial_id", "epoch", "score"]
    assert sorted(snapshot.epochs()[columns].itertuples(index=False, name=None)) == every_epoch
    probes = snapshot.probes("skewness")[["trial_id", "epoch", "value"]]
    assert sorted(probes.itertuples(index=False, name=None)) == every_epoch
    seeds = {trial.trial_id: trial.seed for trial in trials}
    assert shown.set_index("trial_id")["seed"].to_dict() == seeds


def assert_tidy(lab: Lab, trials: list[PlannedTrial], failed: set[str] = frozenset()) -> None:
    """Check that a store has just the files that it should have at rest."""
    assert_shows(lab.store, trials, failed)
    epochs = EPOCHS * (len(trials) - len(failed))
    for table, rows in {"trials": len(trials), "epochs": epochs, "probes": 2 * epochs}.items():
        first, *others = lab.files(table)
        assert first == SCHEMA
        assert [name for name in others if not name.startswith("merged-")] == sorted(
            f"{trial_id}.parquet" for trial_id in failed
        )
        assert sum(name.startswith("merged-") for name in others) == (len(trials) > len(failed))
        assert len(lab.plain(table)) == rows


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def assert_plain_trials_are_whole(lab: Lab, failed: set[str] = frozenset()) -> None:
    """Check that whoever finds a trial with plain pandas finds its epochs and probes, too."""
    finished = set(lab.plain("trials")["trial_id"]) - failed
    assert finished <= set(lab.plain("epochs")["trial_id"])
    assert finished <= set(lab.plain("probes")["trial_id"])


class CrashError(Exception):
    """Stands for a SIGKILL."""


@contextlib.contextmanager
def crash_at(instant: int) -> Iterator[None]:
    """End whatever changes files just before its change of this number, writes half done."""
    changes = itertools.count()
    originals = {name: getattr(Files, name) for name in ("writing", "delete", "move")}

    def guarded(name: str) -> Callable[..., Any]:
        def change(files: Files, target: str, *rest: str) -> Any:
            if next(changes) == instant:
                if name == "writing":
                    path = Path(files.root) / target
                    path.with_name(f".{path.name}.1-dead").write_bytes(b"PAR1 half a fi")
                raise CrashError(f"{name} {target}")
            return originals[name](files, target, *rest)

        return change

    with pytest.MonkeyPatch.context() as patch:
        for name in originals:
            patch.setattr(Files, name, guarded(name))
        yield
