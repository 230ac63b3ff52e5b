"""What both runners do alike, and what becomes of trials that fail."""

from __future__ import annotations

import json

import pytest
from support.comparing import assert_same
from support.folder import Folder
from support.waiting import HANG_SECONDS, until

from orchestrator.store import Store


def test_both_runners_write_the_same_store_bit_for_bit(cluster_folder: Folder) -> None:
    sweep = cluster_folder.write()
    cluster_folder.orch("sweep", sweep)
    cluster_folder.orch("sweep", sweep, "--runner", "inline", "--store", "inline")
    assert_same(cluster_folder.numbers(), cluster_folder.numbers(root="inline"))


def test_a_sweep_starts_a_ray_of_its_own_and_stays_silent_about_it(folder: Folder) -> None:
    done = folder.orch("sweep", folder.write())
    assert len(folder.trials()) == 8
    for word in ("ray", "raylet", "tune", "warning", "error", "traceback"):
        assert word not in (done.stdout + done.stderr).lower()
    assert "8 of 8 trials done" in done.stderr


def test_every_trial_is_recorded_with_what_it_ran_on(cluster_folder: Folder) -> None:
    cluster_folder.orch("sweep", cluster_folder.write())
    trials = cluster_folder.trials()
    assert set(trials["status"]) == {"completed"}
    assert set(trials["epochs_run"]) == {3}
    assert set(trials["threads"]) == {1}
    assert set(trials["device"]) == {"cpu"}
    assert trials["started_at"].dt.tz is not None
    assert (trials["ended_at"] >= trials["started_at"]).all()
    assert (trials["seconds"] > 0).all()
    assert json.loads(trials["params"][0])["epochs"] == 3
    assert {"python", "ray", "torch"} <= json.loads(trials["facts"][0]).keys()


def test_a_raising_trial_is_retried_and_then_reported_while_the_others_finish(
    cluster_folder: Folder,
) -> None:
    sweep = cluster_folder.write(factors={"x": [1], "fault": ["raise", None]}, search={}, retries=1)
    done = cluster_folder.orch("sweep", sweep, code=1)
    trials = cluster_folder.trials()
    failed = trials[trials["status"] == "failed"]
    assert len(failed) == 2
    assert (failed["attempts"] == 2).all()
    assert failed["error"].str.contains("this trial always fails").all()
    assert (trials["status"] == "completed").sum() == 2
    log = cluster_folder.path / "results/toy/logs" / f"{failed['trial_id'].iloc[0]}.log"
    assert f"see results/toy/logs/{log.name}" in done.stderr
    assert log.read_text().count("RuntimeError: this trial always fails") == 2

    status = cluster_folder.orch("status", sweep).stdout
    assert "2 failed" in status
    assert f"results/toy/logs/{log.name}" in status


def test_a_retried_trial_goes_on_from_its_checkpoint_with_the_same_numbers(
    cluster_folder: Folder,
) -> None:
    sweep = cluster_folder.write(factors={"fault": ["die once"]}, search={}, seeds=[0])
    cluster_folder.orch("sweep", sweep)
    assert list(cluster_folder.trials()["attempts"]) == [2]
    log = next((cluster_folder.path / "results/toy/logs").iterdir()).read_text()
    assert "from epoch 2" in log
    cluster_folder.orch("sweep", sweep, "--runner", "inline", "--store", "undisturbed")
    assert_same(cluster_folder.numbers(), cluster_folder.numbers(root="undisturbed"))


def test_a_diverging_trial_ends_there_and_is_done(cluster_folder: Folder) -> None:
    sweep = cluster_folder.write(
        factors={"x": [1], "fault": ["diverge", None]}, search={}, diverged_on=["loss"]
    )
    cluster_folder.orch("sweep", sweep)
    trials = cluster_folder.trials()
    diverged = trials[trials["status"] == "diverged"]
    assert list(diverged["epochs_run"]) == [2, 2]
    assert diverged["loss"].isna().all()
    assert diverged["score"].notna().all()
    plan = json.loads(cluster_folder.orch("plan", sweep, "--json").stdout)
    assert plan["missing"] == 0


@pytest.mark.parametrize("runner", ["tune", "inline"])
def test_a_metric_that_is_never_yielded_is_told_when_the_first_trial_ends(
    cluster_folder: Folder, runner: str
) -> None:
    sweep = cluster_folder.write(select={"metric": "scroe", "mode": "max"})
    done = cluster_folder.orch("sweep", sweep, "--runner", runner, code=2)
    assert f"{sweep}: line 7: `select.metric`: unknown metric `scroe`" in done.stderr
    assert "did you mean `score`?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_failure_is_told_by_status_while_other_trials_still_run(cluster_folder: Folder) -> None:
    fixed = {"epochs": 3, "marks": str(cluster_folder.path)}
    sweep = cluster_folder.write(
        factors={"fault": ["raise", "wait"]}, search={}, seeds=[0], retries=0, fixed=fixed
    )
    driver = cluster_folder.start("sweep", sweep)
    store = Store(str(cluster_folder.path / "results/toy"))
    until(lambda: store.snapshot().outcomes, driver)
    assert "1 failed" in cluster_folder.orch("status", sweep).stdout
    (cluster_folder.path / "gate").touch()
    assert driver.wait(HANG_SECONDS) == 1


def test_a_store_that_lost_its_empty_folders_goes_on(folder: Folder) -> None:
    folder.orch("sweep", folder.write(), "--runner", "inline")
    (folder.path / "results/toy/checkpoints").rmdir()
    folder.orch("sweep", folder.write(seeds=[0, 1, 2]), "--runner", "inline")
    assert len(folder.trials()) == 12


def test_words_that_look_like_markup_are_printed_as_they_are(folder: Folder) -> None:
    sweep = folder.write(factors={"x": [1], "kind": ["[/relu]", "[bold]"]}, description="see [/1]")
    folder.orch("sweep", sweep, "--runner", "inline")
    assert "see [/1]" in folder.orch("plan", sweep).stdout
    status = folder.orch("status", sweep).stdout
    assert "[/relu]" in status
    assert "[bold]" in status


def test_seeds_on_the_command_line_do_not_mend_a_file_without_any(folder: Folder) -> None:
    sweep = folder.write(seeds=None)
    done = folder.orch("sweep", sweep, "--seeds", "0-1", code=2)
    assert "`seeds`: this key is required" in done.stderr


def test_a_trial_that_fits_no_node_is_refused_before_the_start(cluster_folder: Folder) -> None:
    sweep = cluster_folder.write(resources={"cpu": 1, "gpu": 0.5})
    done = cluster_folder.orch("sweep", sweep, code=2)
    assert "1 CPUs and 0.5 GPUs" in done.stderr
    assert "2 CPUs and 0 GPUs" in done.stderr
    assert Store(str(cluster_folder.path / "results/toy")).snapshot().outcomes == {}


def test_a_cluster_that_is_not_there_is_told_in_words(folder: Folder) -> None:
    away = Folder(folder.path, folder.environment | {"RAY_ADDRESS": "127.0.0.1:1"})
    done = away.orch("sweep", folder.write(), code=2)
    assert "no Ray cluster at RAY_ADDRESS=127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


def test_print_in_a_trainable_does_not_spoil_the_output(cluster_folder: Folder) -> None:
    (cluster_folder.path / "loud.py").write_text(
        "def train(params, trial):\n    print('NOISE')\n    yield {'score': 1.0}\n"
    )
    sweep = cluster_folder.write(trainable="loud:train")
    done = cluster_folder.orch("sweep", sweep)
    assert "NOISE" not in done.stdout + done.stderr
    log = next((cluster_folder.path / "results/toy/logs").iterdir()).read_text()
    assert "NOISE" in log
