"""What becomes of a store when its sweep file is edited, renamed, or its code changes."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import click.testing
import pandas as pd
import pytest
from support import commands
from support.comparing import assert_same
from support.folder import Folder, environment
from support.toys import TRAINABLE

from orchestrator.spec.grid import expand
from orchestrator.spec.loading import load
from orchestrator.store import Store

FIXED = {"epochs": 3}
TABLES = ("trials", "epochs", "probes")


class Bench(Folder):
    """A working folder with the sweep that these tests edit."""

    def write(self, name: str = "toy", **keys: Any) -> Path:
        return super().write(name, **{"fixed": FIXED, **keys})

    def run(self, *arguments: object, code: int = 0) -> click.testing.Result:
        done = commands.orch(self.path, *arguments)
        assert done.exit_code == code, done.output
        return done

    def sweep(self, file: Path, *options: object, code: int = 0) -> click.testing.Result:
        return self.run("sweep", file, "--runner", "inline", *options, code=code)

    def plan(self, file: Path, *options: object) -> dict[str, int]:
        counts: dict[str, int] = json.loads(self.run("plan", file, "--json", *options).stdout)
        assert counts["done"] + counts["missing"] == counts["trials"]
        assert max(counts["reused"], counts["stale"]) <= counts["done"]
        return counts

    def plain(self, table: str, name: str = "toy") -> pd.DataFrame:
        return pd.read_parquet(self.path / "results" / name / table)

    def started(self, name: str = "toy") -> dict[str, pd.Timestamp]:
        return dict(self.trials(name).set_index("trial_id")["started_at"])

    def contents(self, name: str = "toy") -> dict[Path, bytes]:
        root = self.path / "results" / name
        return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}

    def change_code(self) -> None:
        with (self.path / "toy.py").open("a") as file:
            file.write("\nANOTHER = True\n")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Run the default sweep once: x 1, 2 x lr 1.0, 0.5 x seeds 0, 1."""
    bench = Bench(tmp_path_factory.mktemp("finished"), environment())
    (bench.path / "toy.py").write_text(TRAINABLE)
    bench.sweep(bench.write())
    return bench


@pytest.fixture
def bench(finished: Bench, tmp_path: Path) -> Bench:
    """Make a working folder in which the default sweep is finished."""
    shutil.copytree(finished.path, tmp_path, dirs_exist_ok=True)
    return Bench(tmp_path, environment())


def ids_of(file: Path) -> set[str]:
    return {trial.trial_id for trial in expand(load(file))}


def assert_each_once(bench: Bench, name: str = "toy") -> None:
    """Check that every trial has one row, one of every epoch, and one probe row in each."""
    trials, epochs = bench.plain("trials", name), bench.plain("epochs", name)
    assert trials["trial_id"].is_unique
    expected = {
        (i, e)
        for i, n in zip(trials["trial_id"], trials["epochs_run"], strict=True)
        for e in range(1, n + 1)
    }
    for frame in (epochs, bench.plain("probes", name)):
        assert len(frame) == len(expected)
        assert set(zip(frame["trial_id"], frame["epoch"], strict=True)) == expected


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("edit", "trials", "missing"),
    [
        ({"seeds": [0, 1, 2]}, 12, 4),
        ({"seeds": [1]}, 4, 0),
        ({"seeds": [5]}, 4, 4),
        ({"factors": {"x": [3, 2, 1]}}, 12, 4),
        ({"search": {"lr": [0.5, 0.25]}}, 8, 4),
        ({"factors": {"x": [1.0, 2]}, "search": {"lr": [1, 0.5]}}, 8, 6),
        ({"variants": [{"when": {"x": 1}, "seeds": [0, 1, 2]}]}, 10, 2),
        ({"variants": [{"when": {"x": 2}, "search": {"lr": [0.25]}}]}, 6, 2),
        ({"variants": [{"when": {"x": 2}, "fixed": {"epochs": 2}}]}, 8, 4),
        ({"exclude": [{"x": 2, "lr": 1.0}]}, 6, 0),
        ({"retries": 7, "resources": {"cpu": 0.5}, "tables": [{"name": "t", "rows": ["x"]}]}, 8, 0),
    ],
)
def test_an_edit_runs_what_is_missing_and_nothing_twice(
    bench: Bench, edit: dict[str, Any], trials: int, missing: int
) -> None:
    before = bench.started()
    sweep = bench.write(**edit)
    counts = bench.plan(sweep)
    assert (counts["trials"], counts["missing"]) == (trials, missing)
    assert counts["reused"] == counts["stale"] == 0
    bench.sweep(sweep)
    assert bench.plan(sweep)["missing"] == 0
    after = bench.started()
    assert {i: after[i] for i in before} == before
    assert after.keys() == before.keys() | ids_of(sweep)
    assert_each_once(bench)


def test_the_second_run_of_an_unchanged_file_changes_no_row(bench: Bench) -> None:
    sweep = bench.write()
    before = {table: bench.plain(table) for table in TABLES}
    bench.sweep(sweep)
    for table, frame in before.items():
        pd.testing.assert_frame_equal(bench.plain(table), frame, check_exact=True)


def test_seeds_of_the_command_line_stand_in_for_those_of_the_file(bench: Bench) -> None:
    sweep = bench.write()
    assert bench.plan(sweep, "--seeds", "0-2")["missing"] == 4
    bench.sweep(sweep, "--seeds", "0-2")
    assert len(bench.trials()) == 12
    table = json.loads(bench.run("table", sweep, "--format", "json").stdout)
    assert {row["n"] for row in table} == {3}
    table = json.loads(bench.run("table", sweep, "--format", "json", "--seeds", "2").stdout)
    assert {row["n"] for row in table} == {1}
    counts = bench.plan(sweep)
    assert (counts["trials"], counts["done"]) == (8, 8)


def test_a_column_widens_with_the_values_of_an_edit(bench: Bench) -> None:
    before = bench.numbers()
    assert bench.plain("trials")["x"].dtype == "int64"
    bench.sweep(bench.write(factors={"x": [1, 2, 0.5]}))
    for table, frame in bench.numbers().items():
        assert frame["x"].dtype == "float64"
        old = frame[frame["x"] != 0.5].reset_index(drop=True)
        pd.testing.assert_frame_equal(old, before[table].astype({"x": "float64"}), obj=table)


def test_what_is_no_longer_asked_for_stays_until_it_is_pruned(bench: Bench) -> None:
    before = {table: bench.plain(table) for table in TABLES}
    logs = {path.name: path.read_bytes() for path in (bench.path / "results/toy/logs").iterdir()}
    sweep = bench.write(factors={"x": [1]})
    bench.sweep(sweep)
    assert bench.plan(sweep)["trials"] == 4
    assert len(bench.plain("trials")) == 8
    table = bench.run("table", sweep, "--format", "csv").stdout

    assert "4 trials moved to results/toy/retired" in bench.run("prune", sweep).stdout
    for each, frame in before.items():
        for place, x in ((each, 1), (f"retired/{each}", 2)):
            expected = frame[frame["x"] == x].reset_index(drop=True)
            pd.testing.assert_frame_equal(bench.plain(place), expected, check_exact=True)
    kept = {f"{trial_id}.log" for trial_id in ids_of(sweep)}
    for name, text in logs.items():
        folder = "logs" if name in kept else "retired/logs"
        assert (bench.path / "results/toy" / folder / name).read_bytes() == text
    assert bench.run("table", sweep, "--format", "csv").stdout == table
    assert bench.plan(bench.write())["missing"] == 4


def test_pruning_moves_checkpoints_of_trials_that_are_not_asked_for(bench: Bench) -> None:
    trial_id = next(iter(ids_of(bench.write(factors={"x": [7]}, search={}, seeds=[0]))))
    checkpoint = bench.path / "results/toy/checkpoints" / trial_id
    files = an_unfinished_trial(bench, checkpoint)
    assert "1 trial moved" in bench.run("prune", bench.write()).stdout
    assert not checkpoint.exists()
    retired = bench.path / "results/toy/retired/checkpoints" / trial_id
    assert sorted(path.name for path in retired.iterdir()) == files


def test_checkpoints_of_format_1_are_dropped_in_words(bench: Bench) -> None:
    bench.sweep(bench.write(seeds=[0]))
    sweep = bench.write()
    old = bench.path / "results/toy/checkpoints" / next(iter(ids_of(sweep)))
    old.write_bytes(b"PK state and rows")
    assert "1 interrupted" not in bench.run("status", sweep).stdout
    assert "1 trial begins anew, since checkpoints of format 1" in bench.sweep(sweep).output
    assert not old.exists()
    assert bench.plan(sweep)["missing"] == 0


def an_unfinished_trial(bench: Bench, target: Path) -> list[str]:
    """Make a checkpoint in another store, move it to a place, and list its files."""
    sweep = bench.write("other", trainable="early:stop", factors={"x": [1]}, search={}, seeds=[0])
    (bench.path / "early.py").write_text(EARLY)
    bench.sweep(sweep, "--store", "elsewhere", code=130)
    (path,) = (bench.path / "elsewhere/other/checkpoints").iterdir()
    path.rename(target)
    return sorted(path.name for path in target.iterdir())


# Other names


@pytest.mark.parametrize(
    "sections",
    [
        {},
        {"factors": {"lr": [0.5, 1.0], "x": [2, 1]}, "search": {}},
        {"factors": {"lr": [0.5, 1.0]}, "search": {"x": [1, 2]}},
        {"search": {}, "fixed": {**FIXED, "lr": 0.5}},
        {"factors": {"x": [1, 2, "auto"]}, "exclude": [{"x": "auto"}]},
        {
            "search": {},
            "fixed": {**FIXED, "lr": 1.0},
            "variants": [{"when": {"x": 2}, "fixed": {"lr": 0.5}}],
        },
    ],
    ids=["same", "lr is reported", "swapped", "lr is fixed", "x is text", "lr by variant"],
)
def test_a_sweep_of_another_name_reuses_what_its_sibling_ran(
    bench: Bench, sections: dict[str, Any]
) -> None:
    sweep = bench.write("other", **sections)
    planned = {trial.trial_id: trial for trial in expand(load(sweep))}
    counts = bench.plan(sweep)
    assert counts["reused"] == counts["done"] == len(planned) > 0
    bench.sweep(sweep)
    assert bench.plan(sweep) == counts
    assert_each_once(bench, "other")

    own = {"config_id", "cell_id", "x", "lr", "params", "reused_from"}
    for table in TABLES:
        theirs, ours = (
            frame.drop(columns=[name for name in own if name in frame])
            .sort_values([k for k in ("trial_id", "epoch") if k in frame], ignore_index=True)
            .astype(
                {name: str for name in frame if frame[name].dtype == "category" and name not in own}
            )
            for frame in (bench.plain(table), bench.plain(table, "other"))
        )
        theirs = theirs[theirs["trial_id"].isin(planned)].reset_index(drop=True)
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True, obj=table)
        for row in bench.plain(table, "other").to_dict("records"):
            trial = planned[row["trial_id"]]
            assert row["config_id"] == trial.config.config_id
            assert row["cell_id"] == trial.config.cell_id
            for name in {"x", "lr"} & row.keys():
                assert float(row[name]) == trial.params[name]
            if table == "trials":
                assert json.loads(row["params"]) == trial.config.fixed
                assert row["reused_from"] == "toy"


def test_a_new_sweep_runs_what_no_sibling_has(bench: Bench) -> None:
    sweep = bench.write("other", seeds=[0, 1, 2])
    counts = bench.plan(sweep)
    assert (counts["reused"], counts["done"], counts["missing"]) == (8, 8, 4)
    bench.sweep(sweep)
    counts = bench.plan(sweep)
    assert (counts["reused"], counts["done"], counts["missing"]) == (8, 12, 0)
    trials = bench.trials("other")
    assert set(trials["reused_from"][trials["seed"] < 2]) == {"toy"}
    assert trials["reused_from"][trials["seed"] == 2].isna().all()
    bench.sweep(bench.write("undisturbed", seeds=[0, 1, 2]), "--store", "elsewhere")
    ours, theirs = bench.numbers("other"), bench.numbers("undisturbed", "elsewhere")
    for frames in (ours, theirs):
        frames["trials"] = frames["trials"].drop(columns="reused_from")
    assert_same(ours, theirs)


def test_a_chain_of_reuse_names_the_store_where_a_trial_ran(bench: Bench) -> None:
    bench.sweep(bench.write("second"))
    shutil.rmtree(bench.path / "results/toy")
    bench.sweep(bench.write("third"))
    assert set(bench.trials("third")["reused_from"]) == {"toy"}
    assert bench.started("third") == bench.started("second")


@pytest.mark.parametrize("reason", ["other code", "smoke run", "failed there", "other root"])
def test_some_trials_of_siblings_are_not_reused(bench: Bench, reason: str) -> None:
    results, options = bench.path / "results", []
    if reason == "other code":
        bench.change_code()
    elif reason == "smoke run":
        (results / "toy").rename(results / "toy--smoke")
    elif reason == "other root":
        options = ["--store", "elsewhere"]
    else:
        shutil.rmtree(results)
        fault = {"search": {}, "seeds": [0], "factors": {"x": [1], "fault": ["raise"]}}
        bench.sweep(bench.write(**fault), code=1)
        assert bench.plan(bench.write("other", **fault))["missing"] == 1
    counts = bench.plan(bench.write("other"), *options)
    assert (counts["reused"], counts["missing"]) == (0, 8)


def test_a_damaged_sibling_gives_no_trial_without_its_epochs(bench: Bench) -> None:
    (merged,) = (bench.path / "results/toy/epochs").glob("merged-*")
    data = bytearray(merged.read_bytes())
    data[40:60] = bytes(20)
    merged.write_bytes(data)
    commands.orch(bench.path, "sweep", bench.write("other"), "--runner", "inline")
    assert_each_once_in_readers(bench, "other")


def assert_each_once_in_readers(bench: Bench, name: str) -> None:
    store = Store(str(bench.path / "results" / name))
    if store.snapshot().outcomes:
        counted = store.snapshot().epochs().groupby("trial_id", observed=True)["epoch"].count()
        assert (
            counted.to_dict()
            == store.snapshot().trials().set_index("trial_id")["epochs_run"].to_dict()
        )


# Other code


def test_trials_of_other_code_are_kept_and_reported_until_they_are_run_again(
    bench: Bench,
) -> None:
    sweep, before = bench.write(), bench.trials()
    bench.change_code()
    counts = bench.plan(sweep)
    assert (counts["done"], counts["stale"], counts["missing"]) == (8, 8, 0)
    bench.sweep(sweep)
    pd.testing.assert_frame_equal(bench.trials(), before, check_exact=True)

    bench.sweep(sweep, "--rerun-stale")
    counts = bench.plan(sweep)
    assert (counts["done"], counts["stale"]) == (8, 0)
    after = bench.trials()
    assert set(after["code_digest"]).isdisjoint(before["code_digest"])
    assert (after["started_at"] > before["ended_at"].max()).all()
    assert list(after["score"]) == list(before["score"])
    assert_each_once(bench)
    archives = {path.stem for path in (bench.path / "results/toy/code").glob("*.zip")}
    assert archives == {*after["code_digest"], *before["code_digest"]}


def test_only_stale_trials_run_again(bench: Bench) -> None:
    bench.change_code()
    sweep = bench.write(seeds=[0, 1, 2])
    bench.sweep(sweep)
    before = bench.started()
    assert bench.plan(sweep)["stale"] == 8
    bench.sweep(sweep, "--rerun-stale")
    changed = {i for i, time in bench.started().items() if time != before[i]}
    assert changed == ids_of(bench.write())


# Edits that are refused


@pytest.mark.parametrize("command", [("sweep", "--runner", "inline"), ("prune",)])
@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ({"trainable": "toy:other"}, "`trainable` was toy:train, is toy:other"),
        ({"fixed": {"epochs": 4}}, "`fixed.epochs` was 3, is 4"),
        ({"fixed": {**FIXED, "width": 1}}, "`fixed.width` is new"),
        ({"fixed": {}}, "`fixed.epochs` is gone"),
        ({"diverged_on": ["loss"]}, "`diverged_on` was [], is [loss]"),
        ({"factors": {"x": [1, 2], "y": [1]}}, "`factors.y` is new"),
        ({"search": {}}, "`search.lr` is gone"),
        ({"search": {}, "fixed": {**FIXED, "lr": 9.0}}, "`search.lr` was [1.0,0.5], is 9.0"),
    ],
)
def test_an_edit_of_what_identifies_a_sweep_is_refused_saying_what_differs(
    bench: Bench, command: tuple[str, ...], edit: dict[str, Any], words: str
) -> None:
    before = bench.contents()
    name, *options = command
    done = bench.run(name, bench.write(**edit), *options, code=2)
    assert words in done.stderr
    assert "another `name`" in done.stderr
    assert bench.contents() == before


def test_a_selection_metric_that_no_trial_has_is_refused(bench: Bench) -> None:
    before = bench.contents()
    done = bench.sweep(bench.write(select={"metric": "scroe", "mode": "max"}), code=2)
    assert "did you mean `score`?" in done.stderr
    assert bench.contents() == before


@pytest.mark.parametrize(
    ("metric", "mode", "at"),
    [("score", "max", 3), ("score", "min", 1), ("loss", "min", 3), ("loss", "max", 1)],
)
def test_a_new_selection_needs_no_trial_to_run_again(
    bench: Bench, metric: str, mode: str, at: int
) -> None:
    started, epochs = bench.started(), bench.plain("epochs")
    bench.sweep(bench.write(select={"metric": metric, "mode": mode, "at": "best"}))
    assert bench.started() == started
    trials = bench.plain("trials").set_index("trial_id")
    assert [name for name in trials if name.startswith("best_")] == [f"best_{metric}"]
    expected = epochs[epochs["epoch"] == at].set_index("trial_id")[metric]
    assert trials[f"best_{metric}"].to_dict() == expected.to_dict()


@pytest.mark.parametrize(
    ("metric", "mode", "at"), [("score", "min", 1), ("loss", "min", 3), ("loss", "max", 1)]
)
def test_a_new_selection_is_shown_before_the_next_run(
    bench: Bench, metric: str, mode: str, at: int
) -> None:
    file = bench.write(select={"metric": metric, "mode": mode, "at": "best"})
    epochs = bench.plain("epochs").pipe(lambda rows: rows[(rows["epoch"] == at) & (rows["x"] == 1)])
    means = epochs.groupby("lr")[metric].mean()
    (row, _) = json.loads(bench.run("table", file, "--format", "json").stdout)
    assert row["mean"] == pytest.approx(getattr(means, mode)())
    assert "equal to the bit" in bench.run("again", file, "x=1,lr=0.5,seed=0").stdout


# Unfinished stores

EARLY = '''
"""Trainables that are interrupted, as by Ctrl-C, always at the same place."""

import signal

import toy


def stop(params, trial):
    """Stop in the second epoch, unless it goes on from the first."""
    begun = trial.load() is not None
    for metrics in toy.train(params, trial):
        yield metrics
        if not begun:
            signal.raise_signal(signal.SIGINT)  # as Ctrl-C does


def at_once(params, trial):
    signal.raise_signal(signal.SIGINT)
    yield
'''


@pytest.fixture
def interrupted(tmp_path: Path) -> tuple[Bench, Path]:
    """Interrupt a sweep in the second epoch of its first trial."""
    bench = Bench(tmp_path, environment())
    (tmp_path / "toy.py").write_text(TRAINABLE)
    (tmp_path / "early.py").write_text(EARLY)
    sweep = bench.write(trainable="early:stop", factors={"x": [1, 2]}, search={}, seeds=[0])
    bench.sweep(sweep, code=130)
    return bench, sweep


def test_an_unfinished_trial_shows_and_goes_on(interrupted: tuple[Bench, Path]) -> None:
    bench, sweep = interrupted
    (unfinished,) = bench.trials().to_dict("records")
    assert unfinished["status"] == "unfinished"
    assert unfinished["epochs_run"] == 1
    assert unfinished["score"] > 0
    store = Store(str(bench.path / "results/toy"))
    assert list(store.snapshot().epochs()["epoch"]) == [1]
    assert list(store.snapshot().probes("chance")["epoch"]) == [1]
    assert bench.plan(sweep)["missing"] == 2

    bench.sweep(sweep, code=130)  # stops in the second trial, which begins now
    bench.sweep(sweep)
    assert bench.plan(sweep)["missing"] == 0
    assert_each_once(bench)
    log = (bench.path / f"results/toy/logs/{unfinished['trial_id']}.log").read_text()
    assert log.count("from the start") == 1
    assert log.count("from epoch 2") == 1
    assert bench.started()[unfinished["trial_id"]] == unfinished["started_at"]
    assert not list((bench.path / "results/toy/checkpoints").iterdir())


def test_an_unfinished_trial_of_other_code_starts_anew(interrupted: tuple[Bench, Path]) -> None:
    bench, sweep = interrupted
    (begun,) = bench.trials()["trial_id"]
    with (bench.path / "early.py").open("a") as file:
        file.write("\nANOTHER = True\n")
    bench.sweep(sweep, code=130)
    log = (bench.path / f"results/toy/logs/{begun}.log").read_text()
    assert "the checkpoint of an earlier attempt is dropped, since early.py differs" in log
    assert log.count("from the start") == 2
    assert "from epoch" not in log


def test_status_and_table_of_a_half_finished_store(interrupted: tuple[Bench, Path]) -> None:
    bench, sweep = interrupted
    bench.sweep(sweep, code=130)
    status = bench.run("status", sweep).stdout
    assert "1 of 2 trials done, 0 running, 0 failed, 1 interrupted" in status
    assert "no driver is running" in status
    assert "1 of 1" in status
    assert "0 of 1" in status
    rows = json.loads(bench.run("table", sweep, "--format", "json").stdout)
    assert {row["x"]: row["complete"] for row in rows} == {1: True, 2: False}
    assert {row["x"]: row["n"] for row in rows} == {1: 1, 2: 0}


def test_status_and_table_of_a_store_in_which_nothing_has_finished(tmp_path: Path) -> None:
    bench = Bench(tmp_path, environment())
    (tmp_path / "toy.py").write_text(TRAINABLE)
    (tmp_path / "early.py").write_text(EARLY)
    sweep = bench.write(trainable="early:at_once")
    for command in ("status", "table"):
        done = bench.run(command, sweep, code=2)
        assert f"results has no store of `toy`; run `orch sweep {sweep}`" in done.stderr
    bench.sweep(sweep, code=130)
    assert "0 of 8 trials done, 0 running, 0 failed" in bench.run("status", sweep).stdout
    rows = json.loads(bench.run("table", sweep, "--format", "json").stdout)
    assert [(row["n"], row["complete"]) for row in rows] == [(0, False), (0, False)]
    assert "x" in bench.run("table", sweep).stdout


def test_a_driver_that_is_killed_leaves_a_store_that_goes_on(folder: Folder) -> None:
    """The one test here that kills."""
    sweep = folder.write(factors={"fault": [None, "die once"]}, search={}, seeds=[0])
    folder.process("sweep", sweep, "--runner", "inline", code=-signal.SIGKILL)
    assert sorted(folder.trials()["status"]) == ["completed", "unfinished"]
    bench = Bench(folder.path, folder.environment)
    status = bench.run("status", sweep).stdout
    assert "1 of 2 trials done, 0 running, 0 failed, 1 interrupted" in status
    folder.orch("sweep", sweep, "--runner", "inline")
    bench.sweep(sweep, "--store", "undisturbed")
    assert_same(folder.numbers(), folder.numbers(root="undisturbed"))
