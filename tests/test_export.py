"""`orch export`: trackers' own readers find each finished trial once, as the store has it."""

from __future__ import annotations

import itertools
import json
import math
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from support.commands import orch
from support.disks import mounted
from support.sharing import sweep_in

from orchestrator import Results, open_store
from orchestrator.spec import PlannedTrial

pytest.importorskip("tensorboard", reason="tensorboard is not installed")

TRAINABLE = """
def train(params, trial):
    for epoch in range(3):
        for unit in range(2):
            trial.probe("size", "first", epoch + unit / 2, index=0, unit=unit)
        trial.probe("size", "last", 7.0, index=1)
        trial.probe("bins", "first", 1.0, index=0, at=0.5)
        loss = [0.25, float("nan"), None][epoch]
        score = params["x"] + params["seed"] / 10 + (epoch == 1)
        yield {"step": 10 * epoch, "score": score, "loss": loss}
"""
DIVERGING = """
def train(params, trial):
    for epoch in range(2):
        if params["x"] == 2 and params["seed"] == 1:
            raise ValueError("no")
        yield {"score": float("nan") if params["x"] == 1 and epoch else 1.0, "step": 0.5 * epoch}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a sweep of four trials has run."""
    folder = tmp_path_factory.mktemp("made")
    fixed = {"optim.rate": 0.5, "optim.kind": None, "widths": [1, 2]}
    sweep_in(folder, TRAINABLE, seeds=[0, 1], fixed=fixed, claims=[])
    return folder


@pytest.fixture
def swept(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "swept")


def export(folder: Path, to: str) -> Path:
    """Export the sweep, and return the folder with its runs."""
    done = orch(folder, "export", "noise.yaml", "--to", to, "-o", f"runs/{to}")
    assert done.exit_code == 0, done.output
    return folder / "runs" / to


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def ends_of_epochs(results: Results, trial_id: str) -> list[float]:
    """When the epochs of a trial ended, by its start and their durations."""
    (start,) = results.trials["started_at"][results.trials["trial_id"] == trial_id]
    seconds = results.epochs["seconds"][results.epochs["trial_id"] == trial_id]
    return list(itertools.accumulate(seconds, initial=start.timestamp()))[1:]


# TensorBoard


def scalars(folder: Path) -> dict[str, dict[str, list[tuple[float, int, float]]]]:
    """What TensorBoard reads: by run and tag, the time, step and value of each event."""
    from tensorboard.backend.event_processing import event_accumulator

    found = {}
    for path in sorted(path for path in folder.iterdir() if path.is_dir()):
        events = event_accumulator.EventAccumulator(str(path))
        events.Reload()
        found[path.name] = {
            tag: [(event.wall_time, event.step, event.value) for event in events.Scalars(tag)]
            for tag in events.Tags()["scalars"]
        }
    return found


def hparams(folder: Path) -> tuple[Any, dict[str, Any]]:
    """What the HPARAMS tab shows: its columns, and its rows by trial id."""
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.hparams import api_pb2, get_experiment, list_session_groups
    from tensorboard.plugins.hparams.backend_context import Context

    runs = EventMultiplexer().AddRunsFromDirectory(str(folder))
    runs.Reload()
    context = Context(TBContext(data_provider=MultiplexerDataProvider(runs, str(folder))))
    asked = RequestContext(), context, ""
    columns = get_experiment.Handler(*asked, api_pb2.GetExperimentRequest()).run()
    every = [api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE]
    request = api_pb2.ListSessionGroupsRequest(slice_size=100, allowed_statuses=every)
    rows = list_session_groups.Handler(*asked, request).run().session_groups
    return columns, {row.name: row for row in rows}


def test_the_best_value_is_that_of_the_metric_that_selects_now(swept: Path) -> None:
    file = swept / "noise.yaml"
    select = {"metric": "loss", "mode": "min"}
    file.write_text(json.dumps({**json.loads(file.read_text()), "select": select}))
    run = scalars(export(swept, "tensorboard"))["x=1, seed=0"]
    assert [value for _, _, value in run["best_loss"]] == [0.25]
    assert "best_score" not in run


def test_tensorboard_reads_every_value_at_its_step_and_time(swept: Path) -> None:
    found = scalars(export(swept, "tensorboard"))
    results = open_store(swept / "results/noise")
    assert list(found) == ["x=1, seed=0", "x=1, seed=1", "x=2, seed=0", "x=2, seed=1"]
    (trial,) = (t for t in results.wanted.trials if t.values["x"] == 2 and t.seed == 1)
    times = ends_of_epochs(results, trial.trial_id)
    run = found["x=2, seed=1"]
    expected = {
        "score": [2.1, 3.1, 2.1],
        "probe/size/first": [0.25, 1.25, 2.25],
        "probe/size/last": [7.0, 7.0, 7.0],
    }
    single = {
        tag: [float(np.float32(value)) for value in values] for tag, values in expected.items()
    }
    for tag, values in single.items():
        assert run[tag] == list(zip(times, [0, 10, 20], values, strict=True))
    assert run["loss"][0] == (times[0], 0, 0.25)
    assert run["loss"][1][1] == 10
    assert math.isnan(run["loss"][1][2])
    assert [value for _, _, value in run["best_score"]] == [float(np.float32(3.1))]
    assert run.keys() == {*expected, "loss", "best_score"}


def test_the_tab_of_hyperparameters_has_params_and_metrics(swept: Path) -> None:
    columns, rows = hparams(export(swept, "tensorboard"))
    assert {info.name for info in columns.hparam_infos} == {
        *("x", "seed", "optim.rate", "widths", "status", "selected config")
    }
    assert [info.name.tag for info in columns.metric_infos] == ["score", "loss", "best_score"]
    trials = open_store(swept / "results/noise").wanted.trials
    assert rows.keys() == {trial.trial_id for trial in trials}
    for trial in trials:
        row = rows[trial.trial_id]
        assert row.hparams["x"].number_value == trial.values["x"]
        assert row.hparams["seed"].number_value == trial.seed
        assert row.hparams["optim.rate"].number_value == 0.5
        assert row.hparams["widths"].string_value == "[1, 2]"
        assert row.hparams["selected config"].bool_value
        (session,) = row.sessions
        assert session.name == f"x={trial.values['x']}, seed={trial.seed}"
        assert session.metric_values[0].value == pytest.approx(trial.values["x"] + trial.seed / 10)


def test_a_second_export_to_tensorboard_writes_the_same(swept: Path) -> None:
    first = content(export(swept, "tensorboard"))
    assert content(export(swept, "tensorboard")) == first
    # Another writer would put this host's name behind the time.
    named = r"export\.json|(.*/)?events\.out\.tfevents\.\d{10}\.([0-9a-f]{16}|hparams)"
    assert all(re.fullmatch(named, name) for name in first)
    assert not list(swept.glob("runs/.*"))


def test_selected_configs_are_told_from_others(tmp_path: Path) -> None:
    sweep_in(tmp_path, seeds=[0], factors={}, search={"x": [1, 2]}, claims=[])
    _, rows = hparams(export(tmp_path, "tensorboard"))
    selected = {
        row.hparams["x"].number_value: row.hparams["selected config"].bool_value
        for row in rows.values()
    }
    assert selected == {1.0: False, 2.0: True}


def test_only_finished_trials_are_exported(tmp_path: Path) -> None:
    sweep_in(tmp_path, DIVERGING, seeds=[0, 1], retries=0, claims=[])
    done = orch(tmp_path, "export", "noise.yaml", "--to", "tensorboard")
    assert (done.exit_code, done.stderr) == (0, "left out: 1 unfinished or failed trial\n")
    assert done.stdout == "3 runs; next: tensorboard --logdir export/noise-tensorboard\n"
    folder = tmp_path / "export/noise-tensorboard"
    _, rows = hparams(folder)
    ended = [row.hparams["status"].string_value for row in rows.values()]
    assert sorted(ended) == ["completed", "diverged", "diverged"]
    # A step that is no integer is none to a tracker: the number of the epoch is.
    steps = [step for _, step, _ in scalars(folder)["x=2, seed=0"]["score"]]
    assert steps == [1, 2]


def test_names_that_no_folder_can_have_are_told_apart_by_the_id(tmp_path: Path) -> None:
    kinds = ["a/b", "a_b", "ü" * 200]
    trainable = TRAINABLE.replace('params["x"]', "0")
    sweep_in(tmp_path, trainable, seeds=[0], factors={"kind": kinds}, claims=[])
    found = scalars(export(tmp_path, "tensorboard"))
    ids = [trial.trial_id for trial in open_store(tmp_path / "results/noise").wanted.trials]
    assert found.keys() == {
        f"kind=a_b, seed=0 {ids[0]}",
        "kind=a_b, seed=0",
        f"kind={'_' * 175} {ids[2]}",
    }


# W&B


def records(log: Path) -> list[dict[str, Any]]:
    """What wandb reads in a log of its own."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(log)]
    quiet = {**os.environ, "WANDB_MODE": "offline", "WANDB_ERROR_REPORTING": "false"}
    done = subprocess.run(
        command, env=quiet, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    assert not re.search(rf"\b{re.escape(socket.gethostname())}\b", done.stdout)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_wandb_reads_each_run_once_and_nothing_leaves_this_machine(
    swept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_SWEEP_ID", "of-something-else")
    monkeypatch.setenv("WANDB_MODE", "online")
    folder = export(swept, "wandb")
    assert os.environ["WANDB_MODE"] == "online"
    started = psutil.Process().children(recursive=True)
    assert not [process for process in started if "wandb" in process.name()]
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        # In a process of its own, since what wandb sends of itself it sends when that ends.
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        command = [sys.executable, "-m", "orchestrator", "export", "noise.yaml", "--to", "wandb"]
        subprocess.run([*command, "-o", folder], cwd=swept, check=True, capture_output=True)
        proxy.setblocking(False)
        with pytest.raises(BlockingIOError):
            proxy.accept()
    for name, stored in content(folder).items():
        assert str(swept).encode() not in stored, name
    logs = {log.stem.removeprefix("run-"): log for log in folder.glob("offline-run-*/*.wandb")}
    results = open_store(swept / "results/noise")
    trials = results.wanted.trials
    assert logs.keys() == {trial.trial_id for trial in trials}
    for trial in (trials[0], trials[-1]):
        check_run(records(logs[trial.trial_id]), results, trial)


def check_run(lines: list[dict[str, Any]], results: Results, trial: PlannedTrial) -> None:
    x, seed = trial.values["x"], trial.seed
    (run,) = (line["run"] for line in lines if line["type"] == "run")
    config = run["config"]["update"]
    assert {name: value for name, value in config.items() if name != "_wandb"} == trial.params
    assert (run["project"], run["run_id"]) == ("noise", trial.trial_id)
    assert run["display_name"] == f"x={x}, seed={seed}"
    assert run["run_group"] == f"x={x}"
    assert run["tags"] == ["completed", "selected"]
    history = [line["history"] for line in lines if line["type"] == "history"]
    assert [row["step"]["num"] for row in history] == [0, 10, 20]
    items = [row["item"] for row in history]
    assert [item["_timestamp"] for item in items] == ends_of_epochs(results, trial.trial_id)
    assert [item["score"] for item in items] == [x + seed / 10 + e for e in (0, 1, 0)]
    assert [item["probe/size/first"] for item in items] == [0.25, 1.25, 2.25]
    assert [item.get("loss", "absent") for item in items] == [0.25, "NaN", "absent"]
    assert not any("probe/bins/first" in item for item in items)
    summary = {}
    for line in lines:
        summary |= line["summary"]["update"] if line["type"] == "summary" else {}
    assert summary["status"] == "completed"
    assert summary["selected"] is True
    assert summary["best_score"] == x + seed / 10 + 1
    assert summary["score"] == x + seed / 10
    assert lines[-1]["exit"]["exit_code"] == 0


def test_a_log_that_wandb_cuts_on_a_full_disk_is_no_export(tmp_path: Path) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    long = TRAINABLE.replace("range(3)", "range(500)").replace("[epoch]", "[epoch % 3]")
    sweep_in(tmp_path, long, factors={"x": [1]}, seeds=[0], claims=[])
    assert len(records(next(export(tmp_path, "wandb").rglob("*.wandb")))) > 500
    with mounted(tmp_path / "small", "128k") as disk:
        done = orch(tmp_path, "export", "noise.yaml", "--to", "wandb", "-o", "small/runs")
        assert (done.exit_code, [*disk.iterdir()]) == (2, [])
    assert "small/runs cannot be written: " in done.stderr
    assert "wandb has cut the log of a run; is the disk full?" in done.stderr


# Folders, and what is refused


def test_a_store_is_exported_by_its_own_sweep_file(swept: Path) -> None:
    own = content(export(swept, "tensorboard"))
    done = orch(swept, "export", "results/noise/sweep.yaml", "--to", "tensorboard")
    assert done.exit_code == 0
    assert content(swept / "export/noise-tensorboard") == own


def test_nothing_but_an_earlier_export_is_replaced(swept: Path) -> None:
    mine = swept / "mine"
    mine.mkdir()
    (mine / "thesis.txt").touch()
    export(swept, "tensorboard")
    refused = "exists, and is no export of noise to"
    for to, folder in (
        ("tensorboard", "mine"),
        ("tensorboard", "noise.yaml"),
        ("tensorboard", "results/noise"),
        ("wandb", "runs/tensorboard"),
    ):
        done = orch(swept, "export", "noise.yaml", "--to", to, "-o", folder)
        assert done.exit_code == 2
        assert refused in done.stderr or "is a file" in done.stderr, done.stderr
    other = orch(
        swept, "export", "noise.yaml", "--name", "other", "--to", "wandb", "-o", "runs/tensorboard"
    )
    assert other.exit_code == 2
    assert [path.name for path in mine.iterdir()] == ["thesis.txt"]
    (swept / "runs/tensorboard/x=1, seed=0").rename(swept / "runs/tensorboard/renamed")
    assert not (export(swept, "tensorboard") / "renamed").exists()


def test_a_missing_package_is_named(swept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "orchestrator.exporting.wandb", raising=False)
    monkeypatch.setitem(sys.modules, "wandb", None)
    done = orch(swept, "export", "noise.yaml", "--to", "wandb")
    assert (done.exit_code, done.stderr) == (
        2,
        "error: --to wandb needs wandb: pip install 'orch-sweeps[wandb]'\n",
    )


def test_a_sweep_of_which_nothing_has_finished_is_refused(tmp_path: Path) -> None:
    sweep_in(tmp_path, "def train(params, trial):\n    raise ValueError\n    yield {}\n", retries=0)
    done = orch(tmp_path, "export", "noise.yaml", "--to", "tensorboard")
    assert (done.exit_code, done.stderr) == (
        2,
        "error: no trial of noise has finished: there is nothing to export\n",
    )
    assert not (tmp_path / "export").exists()
