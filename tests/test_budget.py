"""Runs that end after some hours, and attempts that may not take longer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.commands import orch
from support.simulation import FakeRunner, Simulation

from orchestrator import SpecError, load
from orchestrator.errors import TimeUpError
from orchestrator.spec.model import Sweep

SECOND = 1 / 3600


def timed(**keys: Any) -> Sweep:
    return load(
        {
            "name": "toy",
            "trainable": "toy:train",
            "seeds": [0],
            "select": {"metric": "score", "mode": "max"},
            **keys,
        }
    )


def slow(params: Mapping[str, Any], trial: Any) -> Any:
    """Ten epochs, of which each is saved if that is due."""
    done = int(trial.load() or 0)
    for epoch in range(done + 1, 11):
        if trial.checkpoint_due:
            trial.save(str(epoch).encode())
        yield {"score": float(epoch + params["x"])}


def test_a_run_ends_when_its_time_is_up_and_the_next_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim = Simulation(tmp_path, monkeypatch, seeds=[0], fixed={}, checkpoint_every=5)
    with pytest.raises(TimeUpError, match="time is up: 0 of 2 trials done") as error:
        sim.run(train=slow, hours=7 * SECOND)
    assert error.value.exit_code == 75
    unfinished = sim.store.snapshot().checkpoint_ids
    assert len(unfinished) == 2
    before = len(sim.trained)
    sim.run(train=slow)
    assert list(sim.trials()["score"]) == [11.0, 12.0]
    assert len(sim.trained) - before < 20, "both have gone on"


def test_no_trial_starts_that_gets_nowhere_in_the_time_that_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"seeds": [0, 1, 2], "factors": {"x": [1]}, "fixed": {}, "checkpoint_every": 10}
    sim = Simulation(tmp_path, monkeypatch, **keys)
    with pytest.raises(TimeUpError, match="time is up: 2 of 3 trials done"):
        sim.run(train=slow, hosts=(1,), ahead=0, hours=27 * SECOND)
    assert sim.clock.now < 26, "it does not wait for the end of its time"
    assert len(sim.trained) == 20, "a third trial would have been cut short"
    sim.keys["checkpoint_every"] = 2
    with pytest.raises(TimeUpError):
        sim.run(train=slow, hosts=(1,), ahead=0, hours=5 * SECOND)
    assert len(sim.trained) > 20, "it reaches a checkpoint"
    sim.run(train=slow)
    assert len(sim.trials()) == 3


def test_trials_are_asked_to_save_shortly_before_the_end_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    due: list[int] = []

    def train(_params: Mapping[str, Any], trial: Any) -> Any:
        for epoch in range(1, 101):
            if trial.checkpoint_due:
                due.append(epoch)
                trial.save(b"state")
            yield {"score": float(epoch)}

    keys = {"seeds": [0], "factors": {"x": [1]}, "fixed": {}, "checkpoint_every": 1000}
    sim = Simulation(tmp_path, monkeypatch, **keys)
    with pytest.raises(TimeUpError):
        sim.run(train=train, hosts=(1,), hours=50 * SECOND)
    assert due == [49, 50]


def test_what_a_checkpoint_holds_need_not_fit_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"seeds": [0, 1], "factors": {"x": [1]}, "fixed": {}, "checkpoint_every": 8}
    sim = Simulation(tmp_path, monkeypatch, **keys)
    with pytest.raises(TimeUpError, match="1 of 2 trials done"):
        sim.run(train=slow, hosts=(1,), ahead=0, hours=20 * SECOND)
    assert list(sim.store.snapshot().saved_epochs.values()) == [9]
    sim.keys["seeds"] = [2, 1]
    sim.run(train=slow, hosts=(1,), ahead=0, hours=15 * SECOND)
    assert len(sim.trials()) == 3, "its last epoch fits after the ten of another"


def test_a_trial_that_takes_longer_than_any_run_starts_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"seeds": [0, 1], "factors": {"x": [1]}, "fixed": {}, "checkpoint_every": 10}
    sim = Simulation(tmp_path, monkeypatch, **keys)
    for _ in range(8):
        try:
            sim.run(train=slow, hosts=(1,), ahead=0, hours=7 * SECOND)
        except TimeUpError:
            continue
        break
    assert len(sim.trials()) == 2


def test_what_is_committed_while_the_runner_closes_counts_as_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"seeds": [0, 1, 2], "factors": {"x": [1]}, "fixed": {}}
    sim = Simulation(tmp_path, monkeypatch, **keys)
    with pytest.raises(TimeUpError, match="time is up: 2 of 3 trials done"):
        sim.run(train=slow, ahead=0, hours=7 * SECOND, lingers=True)
    assert sim.run(train=slow, hours=7 * SECOND, lingers=True).closing
    assert len(sim.trials()) == 3, "all is done, and so the run has not ended early"


def test_a_trial_that_failed_is_not_left_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(params: Mapping[str, Any], _trial: Any) -> Any:
        for epoch in range(3 if params["x"] == 1 else 9):
            yield {"score": float(epoch)}
        if params["x"] == 1:
            raise ValueError("no luck")

    keys = {"seeds": [0], "fixed": {}, "retries": 0}
    sim = Simulation(tmp_path, monkeypatch, **keys)
    sim.run(train=train, hours=7 * SECOND, lingers=True, keep_going=True)
    assert sorted(sim.trials()["status"]) == ["completed", "failed"]


def test_failures_that_are_held_back_are_told_when_the_time_is_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(params: Mapping[str, Any], _trial: Any) -> Any:
        for epoch in range(3):
            yield {"score": float(epoch)}
        raise ValueError(f"no luck with {params['x']}")

    keys = {"seeds": [0], "factors": {"x": [*range(8)]}, "fixed": {}, "retries": 0}
    sim = Simulation(tmp_path, monkeypatch, **keys)
    with pytest.raises(TimeUpError):
        sim.run(train=failing, hosts=(1,), ahead=0, hours=8 * SECOND)
    assert len(sim.progress.failures) >= 1
    assert "failed" in set(sim.trials()["status"])


def test_a_run_that_is_done_in_time_says_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim = Simulation(tmp_path, monkeypatch)
    sim.run(hours=1)
    assert len(sim.trials()) == 4


def test_a_command_says_what_is_left_and_exits_with_75(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "naps.py").write_text(
        "import time\n\n\ndef train(params, trial):\n"
        "    for _ in range(100):\n        time.sleep(0.05)\n        yield {'score': 1.0}\n"
    )
    sim = timed(trainable="naps:train", seeds=[0, 1])
    assert sim.source is not None
    (tmp_path / "naps.yaml").write_text(sim.source.text)
    done = orch(tmp_path, "sweep", "naps.yaml", "--runner", "inline", "--hours", "0.0001")
    assert done.exit_code == 75
    assert "error: time is up: 0 of 2 trials done" in done.stderr
    assert "run the same command again to go on" in done.stderr


@pytest.mark.parametrize("hours", ["nan", "inf", "0", "-1", "eight"])
def test_hours_are_a_number_above_0(tmp_path: Path, hours: str) -> None:
    refused = orch(tmp_path, "sweep", "toy.yaml", "--hours", hours)
    assert refused.exit_code == 2
    assert "Invalid value for '--hours'" in refused.stderr


def warn(runner: FakeRunner) -> None:
    """Do what the driver does for SIGUSR1."""
    runner.attempts.wind_down()


def unsaving(params: Mapping[str, Any], _trial: Any) -> Any:
    for epoch in range(params["epochs"]):
        yield {"score": float(epoch)}


def test_a_warned_run_ends_once_its_trials_have_saved_and_the_next_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim = Simulation(tmp_path, monkeypatch, seeds=[0, 1], fixed={}, checkpoint_every=1000)
    with pytest.raises(TimeUpError, match="time is up: 0 of 4 trials done") as error:
        sim.run({3: warn}, train=slow)
    assert error.value.exit_code == 75
    assert list(sim.store.snapshot().saved_epochs.values()) == [4, 4], "the epoch under way"
    assert len(sim.trained) == 8, "no other trial has started"
    sim.run(train=slow)
    assert len(sim.trials()) == 4
    assert len(sim.trained) == 40, "no epoch twice"


def test_a_warned_run_waits_for_trials_that_do_not_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"seeds": [0, 1], "factors": {"x": [1]}, "fixed": {"epochs": 6}}
    sim = Simulation(tmp_path, monkeypatch, **keys)
    with pytest.raises(TimeUpError, match="1 of 2 trials done"):
        sim.run({2: warn}, train=unsaving, hosts=(1,))
    assert len(sim.trained) == 6
    sim.run({2: warn}, train=unsaving, hosts=(1,))
    assert len(sim.trials()) == 2, "with nothing left to start, it is done"


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("1.5m", 90), ("2h", 7200), ("1d", 86400), (30, 30)]
)
def test_times_have_units(text: str | int, seconds: float) -> None:
    assert timed(timeout=text).timeout == seconds


@pytest.mark.parametrize("text", ["2 weeks", "", "h", "-1s", 0, True, "0s", [1]])
def test_what_is_no_time_is_refused(text: Any) -> None:
    with pytest.raises(SpecError, match="`timeout`: expected a time"):
        timed(timeout=text)


def test_a_trial_that_never_saves_does_not_start_where_it_cannot_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"seeds": [0, 1, 2], "factors": {"x": [1]}, "fixed": {"epochs": 10}}
    sim = Simulation(tmp_path, monkeypatch, **keys)
    with pytest.raises(TimeUpError, match="time is up: 2 of 3 trials done"):
        sim.run(train=unsaving, hosts=(1,), ahead=0, hours=27 * SECOND)
    assert len(sim.trained) == 20, "a third trial would have been cut short, and begun anew"
