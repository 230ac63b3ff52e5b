"""The store with real files: what readers see, also half-way through and after damage."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator import open_store
from orchestrator.errors import StoreError, StoreLockedError
from orchestrator.plan import PlannedTrial, carried, expand
from orchestrator.store import Store, keeper
from orchestrator.store.checkpoint import Checkpoint, DamagedError
from orchestrator.store.files import Files
from orchestrator.store.lock import locked
from orchestrator.store.schema import PROBE, TABLES, Layout, encode
from orchestrator.store.store import CorruptFileWarning
from orchestrator.sweep import Sweep

METRICS = ("score", "loss")
EPOCHS = 3
SCHEMA = "0-schema.parquet"


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


def epochs_of(trial_id: str, n: int = EPOCHS) -> pa.Table:
    rows = [
        {"epoch": e, "score": score(trial_id, e), "loss": 1 / e, "seconds": 0.1}
        for e in range(1, n + 1)
    ]
    return pa.Table.from_pylist(rows)


def probes_of(trial_id: str, n: int = EPOCHS) -> pa.Table:
    rows = [
        {"epoch": e, "probe": probe, "layer": "conv", "layer_index": 0, "value": score(trial_id, e)}
        for e in range(1, n + 1)
        for probe in ("skewness", "sparsity")
    ]
    return pa.Table.from_pylist(rows, schema=pa.schema(list(PROBE.items())))


def make_checkpoint(trial: PlannedTrial, sweep: Sweep) -> Checkpoint:
    return Checkpoint(
        row=row_of(trial, sweep),
        code_digest="digest",
        state=b"weights",
        epochs=epochs_of(trial.trial_id, 2),
        probes=probes_of(trial.trial_id, 2),
        seconds=0.2,
        attempts=1,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        device="cpu",
        facts={},
    )


@dataclass(frozen=True)
class Lab:
    """A store as a driver and its workers use it."""

    folder: Path

    @property
    def store(self) -> Store:
        return Store(str(self.folder))

    def prepare(self, sweep: Sweep, drop: set[str] = frozenset()) -> Layout:
        """Do what a driver does before the trials run and after the first epoch came."""
        keeper.create(self.store)
        layout = keeper.settle(self.store, sweep, drop)
        if not layout.metrics:
            layout = layout.with_metrics(METRICS)
            keeper.write_schema(self.store, layout)
        return layout

    def commit(self, sweep: Sweep, *trials: PlannedTrial, digest: str = "digest") -> None:
        """Finish trials, as workers do."""
        layout = replace(Layout.of(sweep).widened(self.store.layout()), metrics=METRICS)
        for trial in trials:
            last = epochs_of(trial.trial_id).to_pylist()[-1]
            row = {
                **row_of(trial, sweep),
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
                "code_digest": digest,
                "versions": "{}",
                "params": "{}",
            }
            own = epochs_of(trial.trial_id), probes_of(trial.trial_id)
            self.store.commit(row, *own, layout)

    def fail(self, sweep: Sweep, *trials: PlannedTrial) -> None:
        """Write down that trials failed, as a driver does."""
        layout = self.store.layout()
        assert layout
        nothing = [layout.schema(table).empty_table() for table in ("epochs", "probes")]
        for trial in trials:
            ended = {"status": "failed", "error": "no luck", "attempts": 3}
            self.store.commit({**row_of(trial, sweep), **ended}, *nothing, layout)

    def files(self, table: str) -> list[str]:
        return sorted(path.name for path in (self.folder / table).iterdir())

    def merged(self, table: str) -> str:
        """Name the table's one merged file."""
        (name,) = (name for name in self.files(table) if name.startswith("merged-"))
        return f"{table}/{name}"

    def plain(self, table: str) -> pd.DataFrame:
        """Read a table as people do."""
        return pd.read_parquet(self.folder / table)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "toy")


def assert_shows(store: Store, trials: list[PlannedTrial], failed: set[str] = frozenset()) -> None:
    """Check that readers meet the trials, each row of them once, with the right numbers."""
    ids = {trial.trial_id for trial in trials}
    ran = sorted(ids - failed)
    shown = store.trials()
    assert sorted(shown["trial_id"]) == sorted(ids)
    scores = shown.set_index("trial_id")["score"].to_dict()
    assert {i: scores[i] for i in ran} == {i: score(i, EPOCHS) for i in ran}
    every_epoch = [(i, e, score(i, e)) for i in ran for e in range(1, EPOCHS + 1)]
    columns = ["trial_id", "epoch", "score"]
    assert sorted(store.epochs()[columns].itertuples(index=False, name=None)) == every_epoch
    probes = store.probes("skewness")[["trial_id", "epoch", "value"]]
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


# What plain pandas shows


@pytest.mark.parametrize("settled", [False, True], ids=["while it runs", "at rest"])
def test_pandas_shows_every_table_with_ids_seed_and_params(lab: Lab, settled: bool) -> None:
    sweep = make_sweep(
        factors={"order": ("swap", "convention"), "drops": ((1, 2), (3,))},
        search={"lr": (0.1, 1), "mixed": (1, "auto"), "nesterov": (True, False)},
        seeds=(0, 1),
        fixed={"epochs": 3, "noise": None},
        variants=({"when": {"order": "swap"}, "fixed": {"noise": 0.5}},),
    )
    layout = lab.prepare(sweep)
    lab.commit(sweep, *expand(sweep)[:20])
    if settled:
        keeper.settle(lab.store, sweep)
    own = {
        "trials": [
            *("status", "error", "attempts", "score", "loss", "best_score", "epochs_run"),
            *("seconds", "threads", "started_at", "ended_at", "host", "device", "code_digest"),
            *("versions", "params", "reused_from"),
        ],
        "epochs": ["epoch", "score", "loss", "seconds"],
        "probes": ["epoch", "probe", "layer", "layer_index", "unit", "at", "value"],
    }
    params = ["order", "drops", "lr", "mixed", "nesterov", "noise"]
    for table, rows in {"trials": 20, "epochs": 60, "probes": 120}.items():
        frame = lab.plain(table)
        assert len(frame) == rows
        expected = ["trial_id", "config_id", "cell_id", "seed", *params, *own[table]]
        assert list(frame.columns) == expected == layout.schema(table).names
        types = {name: str(frame[name].dtype) for name in params}
        assert types["order"] == "category"
        assert types["lr"] == types["noise"] == "float64"
        assert types["nesterov"] == "bool"
        assert set(frame["drops"]) == {"[1,2]", "[3]"}
        assert set(frame["mixed"]) == {"1", '"auto"'}
        assert frame["noise"].isna().equals(frame["order"] == "convention")
    trials = lab.plain("trials")
    assert trials["seed"].dtype == "int64"
    assert str(trials["started_at"].dtype) == "datetime64[us, UTC]"
    assert (trials["best_score"] == trials["score"] + 0.25).all()


@pytest.mark.parametrize("settled", [False, True], ids=["while it runs", "at rest"])
@pytest.mark.parametrize(
    ("before", "after", "dtype", "shown"),
    [
        ((1, 2), (1, 2, 0.5), "float64", [0.5, 1.0, 2.0]),
        ((1, 2), (1, 2, "auto"), None, ['"auto"', "1", "2"]),
        (("a", "b"), ("a", "b", 3), None, ['"a"', '"b"', "3"]),
        (("a",), ("a", (1, 2)), None, ['"a"', "[1,2]"]),
        ((True,), (True, "auto"), None, ['"auto"', "true"]),
        ((0.5, 2), (0.5, 2, "auto"), None, ['"auto"', "0.5", "2"]),
        ((None,), (None, 0.5), "float64", [0.5]),
        ((None,), (None, "a"), "category", ["a"]),
        ((None,), (None, (1, 2)), None, ["[1,2]"]),
        ((2**60 + 1,), (2**60 + 1, 0.5), "float64", [0.5, 2.0**60]),
    ],
)
def test_a_column_widens_when_an_edit_adds_a_value_of_another_type(
    lab: Lab,
    before: tuple[Any, ...],
    after: tuple[Any, ...],
    dtype: str | None,
    shown: list[Any],
    settled: bool,
) -> None:
    one = {"factors": {"x": (1,)}}
    old, new = make_sweep(search={"odd": before}, **one), make_sweep(search={"odd": after}, **one)
    lab.prepare(old)
    lab.commit(old, *expand(old))
    lab.prepare(new)
    lab.commit(new, *expand(new)[len(before) :])
    if settled:
        keeper.settle(lab.store, new)
    assert_shows(lab.store, expand(new))
    for table in TABLES:
        column = lab.plain(table)["odd"]
        assert dtype is None or column.dtype == dtype
        assert sorted(column.dropna().unique()) == shown
        assert column.isna().any() == (None in after)


def test_equal_values_stand_in_equal_text_whichever_edit_wrote_them(lab: Lab) -> None:
    for values in [(1,), (1, 0.5), (1, 0.5, "auto"), (1.0, "auto")]:
        sweep = make_sweep(factors={"x": (1,)}, search={"odd": values}, seeds=(0, len(values)))
        lab.prepare(sweep)
        done = lab.store.outcomes()
        lab.commit(sweep, *(t for t in expand(sweep) if t.trial_id not in done))
    keeper.settle(lab.store, sweep)
    assert set(lab.plain("trials")["odd"]) == {"1", "0.5", '"auto"'}


def test_a_new_variant_adds_its_column_to_what_is_done(lab: Lab) -> None:
    old = make_sweep(fixed={"width": 1, "depth": 2})
    lab.prepare(old)
    lab.commit(old, *expand(old))
    variant = {"when": {"x": 2}, "fixed": {"width": 0.5}}
    new = make_sweep(fixed={"width": 1, "depth": 2}, variants=(variant,))
    lab.prepare(new)
    lab.commit(new, *(trial for trial in expand(new) if trial.params["x"] == 2))
    for table in TABLES:
        frame = lab.plain(table)
        assert "depth" not in frame.columns
        assert frame["width"].dtype == "float64"
        wide = frame[frame["width"].notna()]
        assert set(wide["x"]) == {2}
        assert set(wide["width"]) == {0.5}


def test_the_best_epoch_is_found_anew_when_the_selection_changes(lab: Lab) -> None:
    sweep = make_sweep()
    lab.prepare(sweep)
    lab.commit(sweep, *expand(sweep))
    for select, at in [
        ({"metric": "score", "mode": "max"}, 2),
        ({"metric": "score", "mode": "min"}, 1),
    ]:
        keeper.settle(lab.store, make_sweep(select=select))
        trials = lab.plain("trials")
        assert list(trials["best_score"]) == [score(i, at) for i in trials["trial_id"]]
    keeper.settle(lab.store, make_sweep(select={"metric": "loss", "mode": "min"}))
    trials = lab.plain("trials")
    assert "best_score" not in trials.columns
    assert set(trials["best_loss"]) == {1 / 3}


@pytest.mark.parametrize(("mode", "last", "best"), [("max", "inf", 2.0), ("min", "-inf", 0.5)])
def test_a_best_epoch_is_among_the_finite_ones(lab: Lab, mode: str, last: str, best: float) -> None:
    sweep = make_sweep(factors={"x": (1,)}, select={"metric": "score", "mode": mode})
    (trial,) = expand(sweep)
    layout = lab.prepare(sweep)
    values = [0.5, 2.0, float(last)]
    rows = [{"epoch": e, "score": v, "loss": 0.0} for e, v in enumerate(values, 1)]
    ended = {**row_of(trial, sweep), "status": "diverged", "score": values[-1]}
    lab.store.commit(ended, pa.Table.from_pylist(rows), probes_of(trial.trial_id), layout)
    keeper.settle(lab.store, sweep)
    assert list(lab.plain("trials")["best_score"]) == [best]


def test_a_store_without_results_says_so(lab: Lab) -> None:
    keeper.create(lab.store)
    assert lab.store.outcomes() == {}
    with pytest.raises(StoreError, match="holds no results yet"):
        lab.store.trials()


def test_a_store_whose_trials_have_not_begun_has_empty_tables(lab: Lab) -> None:
    lab.prepare(make_sweep())
    for table in TABLES:
        assert lab.plain(table).empty
    assert_shows(lab.store, [])


# Several files at once


def test_a_trial_shows_in_all_tables_or_in_none(lab: Lab) -> None:
    sweep = make_sweep()
    done, under_way = expand(sweep)[:3], expand(sweep)[3]
    lab.prepare(sweep)
    lab.commit(sweep, *done, under_way)
    for table in TABLES:
        path = lab.folder / table / f"{under_way.trial_id}.parquet"
        data = path.read_bytes()
        path.unlink()
        assert_shows(lab.store, done)
        path.write_bytes(data)
    assert_shows(lab.store, [*done, under_way])


def test_what_a_killed_worker_left_half_written_does_not_show_and_goes(lab: Lab) -> None:
    sweep = make_sweep()
    lab.prepare(sweep)
    lab.commit(sweep, *expand(sweep)[:2])
    half = [lab.folder / table / ".0123.parquet.7-abc" for table in (*TABLES, "checkpoints")]
    for path in half:
        path.write_bytes(b"PAR1 half a fi")
    assert_shows(lab.store, expand(sweep)[:2])
    assert len(lab.plain("trials")) == 2
    keeper.settle(lab.store, sweep)
    assert not any(path.exists() for path in half)


def test_settling_leaves_one_merged_file_and_the_failed_trials(lab: Lab) -> None:
    sweep = make_sweep()
    trials = expand(sweep)
    failed = {trials[0].trial_id, trials[2].trial_id}
    lab.prepare(sweep)
    lab.commit(sweep, *(trial for trial in trials if trial.trial_id not in failed))
    lab.fail(sweep, trials[0], trials[2])
    keeper.settle(lab.store, sweep)
    assert_tidy(lab, trials, failed)
    for table in TABLES:
        assert failed.isdisjoint(pd.read_parquet(lab.folder / lab.merged(table))["trial_id"])
    assert lab.store.outcomes()[trials[0].trial_id].error == "no luck"


def test_settling_what_is_settled_changes_no_file(lab: Lab) -> None:
    sweep = make_sweep()
    lab.prepare(sweep)
    lab.commit(sweep, *expand(sweep)[1:])
    lab.fail(sweep, expand(sweep)[0])
    keeper.settle(lab.store, sweep)
    before = contents(lab.folder)
    keeper.settle(lab.store, sweep)
    assert contents(lab.folder) == before


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_trial_that_is_to_run_again_is_gone_before_it_starts(lab: Lab) -> None:
    sweep = make_sweep()
    trials = expand(sweep)
    lab.prepare(sweep)
    lab.commit(sweep, *trials[1:])
    lab.fail(sweep, trials[0])
    keeper.settle(lab.store, sweep)
    again = {trials[0].trial_id, trials[3].trial_id}
    lab.prepare(sweep, drop=again)
    left = [trial for trial in trials if trial.trial_id not in again]
    assert_tidy(lab, left)
    lab.commit(sweep, trials[3])
    assert_shows(lab.store, [*left, trials[3]])


def test_a_reader_is_not_disturbed_by_a_driver_that_merges_files_under_it(lab: Lab) -> None:
    sweep = make_sweep()
    lab.prepare(sweep)
    lab.commit(sweep, *expand(sweep))

    class Overtaken(Store):
        """Looks what files there are; then a driver replaces them before they are read."""

        def ask(self, question: Callable[[Any], Any]) -> Any:
            def later(index: Any) -> Any:
                if len(lab.files("trials")) > 2:
                    keeper.settle(lab.store, sweep)
                return question(index)

            return super().ask(later)

    assert_shows(Overtaken(str(lab.folder)), expand(sweep))


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


NUMBERED = make_sweep(factors={"x": (1, 2)}, search={"odd": (1, 2)}, fixed={"text": "a"})
WIDER = make_sweep(
    factors={"x": (1, 2, 3)},
    search={"odd": (1, 2, "auto")},
    fixed={"text": "a"},
    variants=({"when": {"x": 3}, "fixed": {"text": (1, 2)}},),
    select={"metric": "loss", "mode": "min"},
)
NAMED = make_sweep(search={"odd": ("a",)}, fixed={"text": None})
MIXED = make_sweep(
    search={"odd": ("a", 1)},
    fixed={"text": None},
    variants=({"when": {"x": 2}, "search": {"odd": ("a", 2)}},),
)


@pytest.mark.parametrize(
    ("old", "new"),
    [(NUMBERED, NUMBERED), (NUMBERED, WIDER), (NAMED, MIXED)],
    ids=["same file", "wider columns and another metric", "text becomes JSON"],
)
def test_a_crash_at_any_instant_of_settling_loses_and_doubles_nothing(
    tmp_path: Path, old: Sweep, new: Sweep
) -> None:
    """Two trials are in merged files, of which one is to run again; one not yet; one failed."""
    trials = merged, single, failed, again = expand(old)
    origin = Lab(tmp_path / "origin")
    origin.prepare(old)
    origin.commit(old, merged, again)
    origin.prepare(old)
    origin.commit(old, single)
    origin.fail(old, failed)
    for instant in itertools.count():
        lab = Lab(tmp_path / str(instant))
        shutil.copytree(origin.folder, lab.folder)
        try:
            with crash_at(instant):
                keeper.settle(lab.store, new, drop={again.trial_id})
            break
        except CrashError:
            here = lab.store.outcomes()
            kept = [trial for trial in trials if trial is not again or trial.trial_id in here]
            assert_shows(lab.store, kept, {failed.trial_id})
            assert_plain_trials_are_whole(lab, {failed.trial_id})
            kind = pq.read_schema(lab.folder / "trials" / SCHEMA).field("odd").type
            odd = lab.store.trials().set_index("trial_id")["odd"]
            assert odd[single.trial_id] == encode(single.params["odd"], kind)
            keeper.settle(lab.store, new, drop={again.trial_id})
            assert_settled(lab, [merged, single, failed], failed, new)
    assert_settled(lab, [merged, single, failed], failed, new)
    assert instant >= 9, "settling was expected to change more files than that"


def assert_plain_trials_are_whole(lab: Lab, failed: set[str] = frozenset()) -> None:
    """Check that whoever finds a trial with plain pandas finds its epochs and probes, too."""
    finished = set(lab.plain("trials")["trial_id"]) - failed
    assert finished <= set(lab.plain("epochs")["trial_id"])
    assert finished <= set(lab.plain("probes")["trial_id"])


def assert_settled(
    lab: Lab, trials: list[PlannedTrial], failed: PlannedTrial, sweep: Sweep
) -> None:
    """Check that every file has the columns that the sweep is to have."""
    assert_tidy(lab, trials, {failed.trial_id})
    for table in TABLES:
        schema, *others = (pq.read_schema(lab.folder / table / name) for name in lab.files(table))
        assert set(Layout.of(sweep).schema(table).names) <= set(schema.names)
        assert all(other.equals(schema) for other in others)
    best = lab.plain("trials").set_index("trial_id")[f"best_{sweep.select.metric}"]
    expected = {t.trial_id: score(t.trial_id, 2) for t in trials}
    if sweep.select.metric == "loss":
        expected = dict.fromkeys(expected, 1 / 3)
    assert best.dropna().to_dict() == {i: v for i, v in expected.items() if i != failed.trial_id}


def test_a_crash_at_any_instant_of_finishing_leaves_all_of_a_trial_or_none(lab: Lab) -> None:
    sweep = make_sweep(factors={"x": (1, 2)})
    done, under_way = expand(sweep)
    lab.prepare(sweep)
    lab.commit(sweep, done)
    for instant in range(3):
        with pytest.raises(CrashError), crash_at(instant):
            lab.commit(sweep, under_way)
        assert_shows(lab.store, [done])
        assert_plain_trials_are_whole(lab)
    lab.commit(sweep, under_way)
    assert_shows(lab.store, [done, under_way])


def test_a_crash_at_any_instant_of_retiring_loses_nothing(tmp_path: Path) -> None:
    sweep = make_sweep(factors={"x": (1, 2)})
    trials = expand(sweep)
    wanted = [trial for trial in trials if trial.params["x"] == 1]
    going = [trial for trial in trials if trial.params["x"] == 2]
    origin = Lab(tmp_path / "origin")
    origin.prepare(sweep)
    origin.commit(sweep, *trials)
    keeper.settle(origin.store, sweep)
    for instant in itertools.count():
        lab = Lab(tmp_path / str(instant))
        shutil.copytree(origin.folder, lab.folder)
        retired = Store(str(lab.folder / "retired"))
        try:
            with crash_at(instant):
                keeper.retire(lab.store, sweep, {trial.trial_id for trial in wanted})
            break
        except CrashError:
            here = set(lab.store.trials()["trial_id"])
            there = set(retired.trials()["trial_id"]) if retired.layout() else set()
            assert here >= {trial.trial_id for trial in wanted}
            assert here | there == {trial.trial_id for trial in trials}
            keeper.retire(lab.store, sweep, {trial.trial_id for trial in wanted})
            assert_tidy(lab, wanted)
            assert_shows(retired, going)
    assert instant > 5


# Retiring


def test_retiring_moves_rows_logs_and_checkpoints_and_leaves_the_others_alone(lab: Lab) -> None:
    sweep = make_sweep()
    trials = expand(sweep)
    wanted = {trial.trial_id for trial in trials if trial.params["x"] == 1}
    done, begun = trials[::2], trials[1::2]
    lab.prepare(sweep)
    lab.commit(sweep, *done)
    for trial in begun:
        lab.store.save_checkpoint(trial.trial_id, make_checkpoint(trial, sweep))
    for trial in trials:
        lab.store.log(trial.trial_id, f"log of {trial.trial_id}")
    before = {table: lab.plain(table) for table in TABLES}
    gone = keeper.retire(lab.store, sweep, wanted)
    assert set(gone) == {trial.trial_id for trial in trials} - wanted
    for table, frame in before.items():
        for folder, stays in {"": True, "retired/": False}.items():
            expected = frame[frame["trial_id"].isin(wanted) == stays]
            keys = ["trial_id", *(k for k in ("epoch", "probe") if k in frame)]
            pd.testing.assert_frame_equal(
                *(
                    f.astype({k: str for k in f if f[k].dtype == "category"})
                    .sort_values(keys)
                    .reset_index(drop=True)
                    for f in (lab.plain(f"{folder}{table}"), expected)
                )
            )
    for trial in trials:
        place = lab.folder if trial.trial_id in wanted else lab.folder / "retired"
        log = place / f"logs/{trial.trial_id}.log"
        assert log.read_text() == f"log of {trial.trial_id}\n"
        if trial in begun:
            assert (place / f"checkpoints/{trial.trial_id}").exists()
    assert len(list((lab.folder / "logs").iterdir())) == len(wanted)


def test_a_trial_can_be_retired_twice(lab: Lab) -> None:
    sweep = make_sweep()
    trials = expand(sweep)
    wanted = {trial.trial_id for trial in trials[1:]}
    for digest in ("old", "new"):
        lab.prepare(sweep)
        done = lab.store.outcomes()
        lab.commit(sweep, *(t for t in trials if t.trial_id not in done), digest=digest)
        assert keeper.retire(lab.store, sweep, wanted) == [trials[0].trial_id]
    assert sorted(lab.plain("retired/trials")["code_digest"]) == ["new", "old"]
    assert keeper.retire(lab.store, sweep, wanted) == []
    assert_tidy(lab, trials[1:])


# Damage


def truncate(data: bytes) -> bytes:
    return data[: len(data) // 2]


def flip_in_a_page(data: bytes) -> bytes:
    """Change bytes of the pages, which come first in a Parquet file, but not its footer."""
    damaged = bytearray(data)
    for place in range(40, 60):
        damaged[place] ^= 0xFF
    return bytes(damaged)


def empty(_data: bytes) -> bytes:
    return b""


def be_other_text(_data: bytes) -> bytes:
    return b"<html>this is no Parquet file</html>" * 20


ANY_DAMAGE = pytest.mark.parametrize("damage", [truncate, flip_in_a_page, empty, be_other_text])
ANY_TABLE = pytest.mark.parametrize("table", TABLES)


def harm(path: Path, damage: Callable[[bytes], bytes]) -> bytes:
    """Damage a file; return its damaged bytes."""
    path.write_bytes(damage(path.read_bytes()))
    return path.read_bytes()


def quietly(function: Callable[[], Any]) -> tuple[Any, list[str]]:
    """Call a function; return its answer and the warnings of corrupt files."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CorruptFileWarning)
        answer = function()
    return answer, [str(warning.message) for warning in caught]


@ANY_DAMAGE
@ANY_TABLE
def test_a_damaged_file_of_one_trial_costs_that_trial_only(
    lab: Lab, table: str, damage: Callable[[bytes], bytes]
) -> None:
    sweep = make_sweep()
    trials = expand(sweep)
    lab.prepare(sweep)
    lab.commit(sweep, *trials[:2])
    keeper.settle(lab.store, sweep)
    lab.commit(sweep, *trials[2:])
    hit = trials[3].trial_id
    name = f"{table}/{hit}.parquet"
    damaged = harm(lab.folder / name, damage)

    frame, told = quietly(lambda: lab.store._frame(table))
    assert set(frame["trial_id"]) == {trial.trial_id for trial in trials} - {hit}
    assert len(told) == 1
    assert name in told[0]
    assert "count as missing" in told[0]

    _, told = quietly(lambda: keeper.settle(lab.store, sweep))
    assert any(name in text for text in told)
    assert (lab.folder / "corrupt" / name).read_bytes() == damaged
    assert_tidy(lab, [trial for trial in trials if trial.trial_id != hit])
    assert hit not in lab.store.outcomes()
    assert list(contents(lab.folder / "corrupt")) == [name]


@ANY_DAMAGE
@ANY_TABLE
def test_a_damaged_merged_file_is_kept_aside_with_its_partners(
    lab: Lab, table: str, damage: Callable[[bytes], bytes]
) -> None:
    sweep = make_sweep()
    trials = expand(sweep)
    lab.prepare(sweep)
    lab.commit(sweep, *trials[:2])
    keeper.settle(lab.store, sweep)
    merged = {each: lab.merged(each) for each in TABLES}
    lab.commit(sweep, trials[2])
    lab.fail(sweep, trials[3])
    expected = {name: (lab.folder / name).read_bytes() for name in merged.values()}
    expected[merged[table]] = harm(lab.folder / merged[table], damage)

    _, told = quietly(lambda: keeper.settle(lab.store, sweep))
    assert len(told) == 1
    assert merged[table] in told[0]
    assert_tidy(lab, trials[2:], {trials[3].trial_id})
    assert contents(lab.folder / "corrupt") == expected


@ANY_TABLE
def test_damage_is_found_where_nothing_else_is_to_be_done(lab: Lab, table: str) -> None:
    sweep = make_sweep()
    lab.prepare(sweep)
    lab.commit(sweep, *expand(sweep))
    keeper.settle(lab.store, sweep)
    name = lab.merged(table)
    harm(lab.folder / name, flip_in_a_page)
    _, told = quietly(lambda: keeper.settle(lab.store, sweep))
    assert any(name in text for text in told)
    assert lab.store.outcomes() == {}
    assert (lab.folder / "corrupt" / name).exists()


@pytest.mark.parametrize("damage", [truncate, empty])
@ANY_TABLE
@pytest.mark.parametrize("settled", [False, True], ids=["while it runs", "at rest"])
def test_a_damaged_schema_file_is_made_anew(
    lab: Lab, table: str, damage: Callable[[bytes], bytes], settled: bool
) -> None:
    sweep = make_sweep(factors={"x": (1, 2)})
    trials = expand(sweep)
    lab.prepare(sweep)
    lab.commit(sweep, *trials)
    if settled:
        keeper.settle(lab.store, sweep)
    before = pq.read_schema(lab.folder / table / SCHEMA)
    damaged = harm(lab.folder / table / SCHEMA, damage)
    quietly(lambda: assert_shows(lab.store, trials))
    _, told = quietly(lambda: keeper.settle(lab.store, sweep))
    assert len(told) == 1
    assert f"{table}/{SCHEMA}" in told[0]
    assert_tidy(lab, trials)
    assert pq.read_schema(lab.folder / table / SCHEMA).equals(before)
    assert (lab.folder / "corrupt" / table / SCHEMA).read_bytes() == damaged


@ANY_DAMAGE
def test_a_damaged_checkpoint_is_kept_aside_and_its_trial_starts_anew(
    lab: Lab, damage: Callable[[bytes], bytes]
) -> None:
    sweep = make_sweep()
    done, begun, hit = expand(sweep)[:3]
    lab.prepare(sweep)
    lab.commit(sweep, done)
    for trial in (begun, hit):
        lab.store.save_checkpoint(trial.trial_id, make_checkpoint(trial, sweep))
    damaged = harm(lab.folder / "checkpoints" / hit.trial_id, damage)
    frame, told = quietly(lab.store.trials)
    assert set(frame["trial_id"]) == {done.trial_id, begun.trial_id}
    assert len(told) == 1
    assert f"checkpoints/{hit.trial_id}" in told[0]
    quietly(lambda: keeper.settle(lab.store, sweep))
    assert lab.store.checkpoint_ids() == [begun.trial_id]
    assert (lab.folder / "corrupt/checkpoints" / hit.trial_id).read_bytes() == damaged


def test_several_damaged_files_at_once_are_all_kept(lab: Lab) -> None:
    sweep = make_sweep()
    trials = expand(sweep)
    lab.prepare(sweep)
    lab.commit(sweep, *trials)
    hit = {
        f"trials/{trials[0].trial_id}.parquet": truncate,
        f"epochs/{trials[1].trial_id}.parquet": flip_in_a_page,
        f"probes/{trials[2].trial_id}.parquet": empty,
        f"trials/{SCHEMA}": empty,
    }
    damaged = {name: harm(lab.folder / name, damage) for name, damage in hit.items()}
    _, told = quietly(lambda: keeper.settle(lab.store, sweep))
    assert len(told) == len(hit)
    assert_tidy(lab, trials[3:])
    assert contents(lab.folder / "corrupt") == damaged


def test_a_file_that_breaks_twice_is_kept_twice(lab: Lab) -> None:
    sweep = make_sweep(factors={"x": (1,)})
    (trial,) = expand(sweep)
    for damage in (empty, truncate):
        lab.prepare(sweep)
        lab.commit(sweep, trial)
        harm(lab.folder / f"trials/{trial.trial_id}.parquet", damage)
        quietly(lambda: keeper.settle(lab.store, sweep))
    assert len(contents(lab.folder / "corrupt/trials")) == 2


def test_damage_anywhere_in_a_checkpoint_is_noticed() -> None:
    sweep = make_sweep(factors={"x": (1,)})
    whole = make_checkpoint(expand(sweep)[0], sweep)
    data = whole.to_bytes()
    noticed = 0
    for place in range(0, len(data), 3):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        try:
            assert Checkpoint.from_bytes(bytes(damaged)) == whole, f"byte {place}"
        except DamagedError:
            noticed += 1
    assert noticed > len(data) / 4


@pytest.mark.parametrize("name", ["schema", "single", "merged"])
def test_damage_in_a_footer_never_ends_a_reader(lab: Lab, name: str) -> None:
    """Footers have no checksums: some damage shows as wrong text, none as another error."""
    sweep = make_sweep(factors={"x": (1, 2)})
    first, second = expand(sweep)
    lab.prepare(sweep)
    lab.commit(sweep, first)
    keeper.settle(lab.store, sweep)
    lab.commit(sweep, second)
    path = (
        lab.folder
        / {
            "schema": f"trials/{SCHEMA}",
            "single": f"trials/{second.trial_id}.parquet",
            "merged": lab.merged("trials"),
        }[name]
    )
    data = path.read_bytes()
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    told = 0
    for place in range(footer, len(data), 41):
        damaged = bytearray(data)
        damaged[place] ^= 0x80
        path.write_bytes(damaged)
        told += bool(quietly(lab.store.outcomes)[1])
    assert told


# The lock

HOLD = """
import sys
from pathlib import Path
from orchestrator.store.lock import locked

with locked(Path(sys.argv[1]), str):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    first = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with first:
        assert first.stdout
        assert first.stdout.readline() == "held\n"
        with (
            pytest.raises(StoreLockedError, match="in use: process 7 on thishost runs a sweep"),
            locked(tmp_path, lambda: "process 7 on thishost"),
        ):
            pass
        first.send_signal(signal.SIGKILL)
    with locked(tmp_path, str):
        pass


def test_a_store_that_cannot_be_locked_is_told_in_words(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match="gone cannot be written"),
        locked(tmp_path / "gone", str),
    ):
        pass


# Any values

TEXTS_ANY = st.text(max_size=8)
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS_ANY
VALUES = SCALARS | st.lists(SCALARS, max_size=3).map(tuple)


def same(shown: Any, value: Any, column: pd.Series) -> bool:
    """Tell whether a cell of a frame shows a param's value."""
    if value is None:
        return bool(pd.isna(shown))
    if pd.api.types.is_numeric_dtype(column.dtype) and not isinstance(value, bool):
        return float(shown) == float(value)
    if isinstance(shown, str) and not isinstance(value, str):
        return json.loads(shown) == (list(value) if isinstance(value, tuple) else value)
    if isinstance(value, str):
        return shown == value or json.loads(shown) == value
    return bool(shown == value)


def assert_params_survive(lab: Lab, values: Mapping[str, Any]) -> None:
    for table in TABLES:
        frame = lab.plain(table)
        assert set(frame["trial_id"]) == set(values)
        for trial_id, shown in zip(frame["trial_id"], frame["odd"], strict=True):
            assert same(shown, values[trial_id], frame["odd"]), (shown, values[trial_id])


@contextlib.contextmanager
def a_lab() -> Iterator[Lab]:
    with tempfile.TemporaryDirectory() as folder:
        yield Lab(Path(folder) / "toy")


@given(st.lists(VALUES, min_size=1, max_size=4), st.lists(VALUES, max_size=3))
@settings(max_examples=12, deadline=None)
def test_any_values_come_back_as_they_were_through_edits_and_merges(
    first: list[Any], more: list[Any]
) -> None:
    """Values as in a sweep file, then the same file with more of them."""
    with a_lab() as lab:
        committed: dict[str, Any] = {}
        for values in (first, [*first, *more]):
            sweep = make_sweep(factors={"odd": distinct(values)})
            lab.prepare(sweep)
            new = [trial for trial in expand(sweep) if trial.trial_id not in committed]
            lab.commit(sweep, *new)
            committed.update({t.trial_id: t.config.factors["odd"] for t in new})
            assert_params_survive(lab, committed)
            keeper.settle(lab.store, sweep)
            assert_params_survive(lab, committed)
        assert_shows(lab.store, expand(sweep))


def distinct(values: list[Any]) -> tuple[Any, ...]:
    """Leave out values that a sweep file may not hold beside each other, as they are equal."""
    kept: dict[str, Any] = {}
    for value in values:
        try:
            make_sweep(factors={"odd": (*kept.values(), value)})
        except ValueError:
            continue
        kept[repr(value)] = value
    return tuple(kept.values())


@given(
    row=st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), SCALARS, max_size=3),
    state=st.binary(max_size=200),
    metrics=st.lists(st.floats(allow_nan=False), min_size=1, max_size=4),
    probes=st.lists(st.tuples(TEXTS_ANY, st.none() | st.integers(0, 9), st.floats()), max_size=3),
    started=st.datetimes(timezones=st.just(UTC)),
    facts=st.dictionaries(TEXTS_ANY, TEXTS_ANY, max_size=2),
    device=st.none() | TEXTS_ANY,
)
@settings(max_examples=40, deadline=timedelta(seconds=5))
def test_a_checkpoint_comes_back_as_it_was_saved(
    row: dict[str, Any],
    state: bytes,
    metrics: list[float],
    probes: list[tuple[str, int | None, float]],
    started: datetime,
    facts: dict[str, str],
    device: str | None,
) -> None:
    rows = [
        {"epoch": 1, "probe": probe, "layer": probe, "layer_index": 0, "unit": unit, "value": value}
        for probe, unit, value in probes
    ]
    saved = Checkpoint(
        row=row,
        code_digest="digest",
        state=state,
        epochs=pa.Table.from_pylist([{"epoch": e, "m": m} for e, m in enumerate(metrics, 1)]),
        probes=pa.Table.from_pylist(rows, schema=pa.schema(list(PROBE.items()))),
        seconds=1.5,
        attempts=2,
        started_at=started,
        device=device,
        facts=facts,
    )
    found = Checkpoint.from_bytes(saved.to_bytes())
    for name in ("row", "state", "seconds", "attempts", "started_at", "device", "facts"):
        assert getattr(found, name) == getattr(saved, name)
    assert found.epochs.equals(saved.epochs)
    assert repr(found.probes.to_pylist()) == repr(saved.probes.to_pylist())


# Unfinished trials


def test_unfinished_trials_show_with_their_epochs_so_far(lab: Lab) -> None:
    sweep = make_sweep()
    done, begun, committed_just_now = expand(sweep)[:3]
    lab.prepare(sweep)
    lab.commit(sweep, done, committed_just_now)
    for trial in (begun, committed_just_now):
        lab.store.save_checkpoint(trial.trial_id, make_checkpoint(trial, sweep))
    trials = open_store(str(lab.folder)).trials().set_index("trial_id")
    assert trials["status"].to_dict() == {
        done.trial_id: "completed",
        committed_just_now.trial_id: "completed",
        begun.trial_id: "unfinished",
    }
    row = trials.loc[begun.trial_id]
    assert row["epochs_run"] == 2
    assert row["score"] == score(begun.trial_id, 2)
    assert row["kind"] == begun.params["kind"]
    assert begun.trial_id not in lab.store.outcomes()
    epochs = lab.store.epochs()
    assert list(epochs["epoch"][epochs["trial_id"] == begun.trial_id]) == [1, 2]
    probes = lab.store.probes("skewness")
    assert set(probes["probe"]) == {"skewness"}
    assert list(probes["epoch"][probes["trial_id"] == begun.trial_id]) == [1, 2]
    assert begun.trial_id not in set(lab.plain("trials")["trial_id"])
