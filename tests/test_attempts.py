"""What becomes of attempts whatever goes wrong, through the real driver on simulated hosts."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import toy
from support.comparing import assert_same
from support.simulation import FakeRunner, Simulation, Trainable

from orchestrator.errors import (
    EditedError,
    GpuMemoryError,
    MetricError,
    NodeMemoryError,
    NotLoadedError,
    RunError,
)
from orchestrator.running.heartbeat import INTERVAL, STALE_AFTER
from orchestrator.store.files import Files

FULL = NodeMemoryError("out of memory: too many trials at once")
SECONDS = range(8)
"""Those of an undisturbed run: four trials of three epochs and a commit, two at a time."""


@pytest.fixture
def simulation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Simulation:
    return Simulation(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    with pytest.MonkeyPatch.context() as patch:
        simulation = Simulation(tmp_path_factory.mktemp("undisturbed"), patch)
        simulation.run()
        return simulation.numbers()


def assert_as(undisturbed: dict[str, pd.DataFrame], simulation: Simulation) -> None:
    """Check that all trials are there, once, with the numbers that they have when all is well."""
    assert_same(undisturbed, simulation.numbers())
    progress = simulation.progress
    assert (progress.done, progress.given_up, progress.running) == (4, 0, {})
    assert simulation.beat() is None


def raising(error: Exception, x: int = 1, times: int = 99) -> Trainable:
    """Raise in the second epoch of trials, so many times in all."""
    raised = Counter[int]()

    def train(params: Mapping[str, Any], trial: Any) -> Iterator[Mapping[str, Any]]:
        for metrics in toy.train(params, trial):
            if params["x"] == x and trial.epoch == 2 and raised[x] < times:
                raised[x] += 1
                raise error
            yield metrics

    return train


def interrupt(_runner: FakeRunner) -> None:
    raise KeyboardInterrupt


def test_progress_and_the_time_left_are_exact(simulation: Simulation) -> None:
    shown = []

    def look(_runner: FakeRunner) -> None:
        progress = simulation.progress
        shown.append((progress.done, len(progress.running), progress.seconds_left()))

    simulation.keys["seeds"] = [0, 1, 2]
    runner = simulation.run(look=look)
    unknown = [(0, 2, None)] * 4
    assert shown == unknown + [(2 if left > 4 else 4, 2, float(left)) for left in range(8, 0, -1)]
    assert simulation.progress.done == 6
    assert simulation.progress.seconds_left() is None
    assert len(runner.started) == 6
    assert len(simulation.trained) == len(set(simulation.trained)) == 18


def test_the_time_left_is_that_of_a_race_to_its_end(simulation: Simulation) -> None:
    shown = []

    def look(_runner: FakeRunner) -> None:
        shown.append(simulation.progress.seconds_left())

    simulation.keys |= {"seeds": [0, 1, 2], "race": {"keep": 0.5}}
    simulation.keys["search"] = {"x": [1, 2, 3, 4]}
    del simulation.keys["factors"]
    simulation.run(look=look)
    assert shown == [None] * 4 + [float(left) for left in range(12, 0, -1)]


def test_the_heart_beats_every_two_seconds_and_no_more_after(simulation: Simulation) -> None:
    beats = []
    simulation.run(look=lambda _: beats.append(simulation.beat()))
    assert [beat.time for beat in beats] == [0, 0, 2, 2, 4, 4, 6, 6]
    assert sorted(beats[2].running.values()) == [1, 1]
    assert beats[4].seconds_left is None
    assert beats[6].seconds_left == 2
    assert simulation.beat() is None


@pytest.mark.parametrize("takes", [1, 4])
def test_a_slow_store_does_not_stop_the_heart(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, takes: float
) -> None:
    writing, ages = Files.writing, []

    def slow(*arguments: Any) -> Any:
        simulation.clock.advance(takes)
        return writing(*arguments)

    def sample() -> None:
        if beat := simulation.beat():
            ages.append(simulation.clock.time() - beat.time)

    monkeypatch.setattr(Files, "writing", slow)
    with simulation.clock.repeating(sample, 0.5, "reader"):
        simulation.run()
    # At worst three writes wait for one another: of a trial, of the cost, and of the heart.
    assert max(ages) <= 3 * takes + INTERVAL < STALE_AFTER


@pytest.mark.parametrize("second", SECONDS)
def test_a_killed_worker_is_replaced_and_its_trial_goes_on(
    simulation: Simulation, undisturbed: dict[str, pd.DataFrame], second: int
) -> None:
    runner = simulation.run({second: lambda r: r.crash(r.live[0])})
    assert len(runner.started) == 5
    assert runner.started[-1].endswith("-2")
    assert len(simulation.trained) == len(set(simulation.trained)) == 12
    assert sorted(simulation.trials()["attempts"]) == [1, 1, 1, 2]
    (failure,) = simulation.progress.failures
    assert failure.text == "the worker process died"
    assert failure.retried
    assert_as(undisturbed, simulation)


@pytest.mark.parametrize("second", SECONDS)
def test_a_worker_that_dies_with_news_untold_loses_nothing(
    simulation: Simulation, undisturbed: dict[str, pd.DataFrame], second: int
) -> None:
    runner = simulation.run({second: lambda r: setattr(r.live[0], "dies", True)})
    assert len(runner.started) == 5
    assert_as(undisturbed, simulation)


def test_a_trial_that_is_committed_has_not_failed_though_its_worker_died(
    simulation: Simulation, undisturbed: dict[str, pd.DataFrame]
) -> None:
    simulation.keys["retries"] = 0
    simulation.run({3: lambda r: setattr(r.live[0], "dies", True)})
    assert simulation.progress.failures == []
    assert_as(undisturbed, simulation)


@pytest.mark.parametrize("second", SECONDS)
def test_the_trials_of_a_lost_host_run_elsewhere(
    simulation: Simulation, undisturbed: dict[str, pd.DataFrame], second: int
) -> None:
    simulation.run({second: lambda r: r.lose(1)})
    assert len(simulation.trained) == len(set(simulation.trained)) == 12
    assert_as(undisturbed, simulation)


def test_half_the_hosts_may_be_lost_at_once(
    simulation: Simulation, undisturbed: dict[str, pd.DataFrame]
) -> None:
    runner = simulation.run({2: lambda r: [r.lose(0), r.lose(1)]}, hosts=(1, 1, 1, 1))
    assert len(runner.started) == 6
    assert len(simulation.trained) == len(set(simulation.trained)) == 12
    assert_as(undisturbed, simulation)


@pytest.mark.parametrize("stands_still", range(12))
@pytest.mark.parametrize("dies", [False, True])
def test_what_a_host_that_was_cut_off_says_later_is_ignored(
    simulation: Simulation,
    undisturbed: dict[str, pd.DataFrame],
    stands_still: int,
    dies: bool,
) -> None:
    """It says it before its trial runs elsewhere, while it does, and after it has."""

    def cut(runner: FakeRunner) -> None:
        runner.cut(1, stands_still)
        runner.cut_off[0].dies = dies

    runner = simulation.run({2: cut})
    assert runner.cut_off == [] or stands_still > 9
    assert len(runner.started) == 5
    assert len(simulation.progress.failures) == 1
    assert_as(undisturbed, simulation)


@pytest.mark.parametrize("second", SECONDS)
def test_the_run_after_ctrl_c_completes_the_rest_and_runs_nothing_twice(
    simulation: Simulation, undisturbed: dict[str, pd.DataFrame], second: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        simulation.run({second: interrupt})
    assert simulation.beat() is None
    finished = set(simulation.store.snapshot().outcomes)
    assert len(finished) == 2 * (second // 4)
    runner = simulation.run()
    assert not finished & {text.partition("-")[0] for text in runner.started}
    assert len(simulation.trained) == len(set(simulation.trained)) == 12
    assert_as(undisturbed, simulation)


def test_a_full_memory_fails_what_had_started_and_nothing_else(
    simulation: Simulation, undisturbed: dict[str, pd.DataFrame]
) -> None:
    runner = simulation.run({2: lambda r: r.end(FULL)})
    one, two, three, four, *again = (text.partition("-") for text in runner.started)
    assert {number for _, _, number in (one, two, three, four)} == {"1"}
    assert again == [(one[0], "-", "2"), (two[0], "-", "2")]
    assert [(f.trial.trial_id, f.text, f.retried) for f in simulation.progress.failures] == [
        (trial_id, str(FULL), True) for trial_id, _, _ in (one, two)
    ]
    assert len(simulation.trained) == len(set(simulation.trained)) == 12
    assert_as(undisturbed, simulation)


def test_a_memory_that_is_always_full_is_a_failure_in_its_own_words(
    simulation: Simulation,
) -> None:
    simulation.keys["retries"] = 1
    simulation.run(dict.fromkeys(range(100), lambda r: r.end(FULL)))
    trials = simulation.trials()
    assert set(trials["status"]) == {"failed"}
    assert set(trials["error"]) == {str(FULL)}
    assert set(trials["attempts"]) == {2}


@pytest.mark.parametrize(
    ("error", "words"),
    [(RuntimeError("no luck"), "RuntimeError: no luck"), (None, "it does not say why")],
)
def test_any_other_early_end_is_told_and_the_next_run_completes_the_rest(
    simulation: Simulation,
    undisturbed: dict[str, pd.DataFrame],
    error: Exception | None,
    words: str,
) -> None:
    told = f"the runner ended early: {words}; finished trials are kept; run the same command again"
    with pytest.raises(RunError, match=told):
        simulation.run({5: lambda r: r.end(error)})
    assert len(simulation.store.snapshot().outcomes) == 2
    simulation.run()
    assert len(simulation.trained) == len(set(simulation.trained)) == 12
    assert_as(undisturbed, simulation)


def test_a_runner_that_can_start_nothing_ends_the_run(simulation: Simulation) -> None:
    with pytest.raises(RunError, match="the runner ended early"):
        simulation.run(hosts=(0,))


@pytest.mark.parametrize(("portion", "calls"), [(1, 5), (2, 3), (4, 2), (5, 1)])
def test_a_runner_that_takes_portions_is_called_until_there_are_no_more(
    simulation: Simulation, undisturbed: dict[str, pd.DataFrame], portion: int, calls: int
) -> None:
    runner = simulation.run({1: lambda r: r.crash(r.live[0])}, portion=portion)
    assert runner.calls == calls
    assert len(runner.started) == 5
    assert_as(undisturbed, simulation)


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_a_raising_trial_is_retried_after_the_others_and_then_given_up(
    simulation: Simulation, retries: int
) -> None:
    simulation.keys |= {"seeds": [0], "retries": retries}
    runner = simulation.run(train=raising(ValueError("no luck")), hosts=(1,))
    numbers = [text.rpartition("-")[2] for text in runner.started]
    assert numbers == ["1", "1", "2", "3"][: 2 + retries]
    assert len({text.partition("-")[0] for text in runner.started[2:]}) <= 1
    failed = simulation.trials().loc[(1, 0)]
    assert (failed["status"], failed["error"]) == ("failed", "ValueError: no luck")
    assert failed["attempts"] == retries + 1
    assert [f.retried for f in simulation.progress.failures] == [True] * retries + [False]
    assert (simulation.progress.done, simulation.progress.given_up) == (1, 1)


def test_a_trial_that_raises_once_goes_on_from_its_checkpoint(
    simulation: Simulation, undisturbed: dict[str, pd.DataFrame]
) -> None:
    simulation.run(train=raising(ValueError("no luck"), times=1))
    assert sorted(simulation.trials()["attempts"]) == [1, 1, 1, 2]
    assert len(simulation.trained) == len(set(simulation.trained)) == 12
    assert_as(undisturbed, simulation)


def test_a_failed_trial_runs_again_in_the_next_run(
    simulation: Simulation, undisturbed: dict[str, pd.DataFrame]
) -> None:
    simulation.keys["retries"] = 0
    simulation.run(train=raising(ValueError("no luck")))
    assert simulation.progress.given_up == 2
    runner = simulation.run()
    assert len(runner.started) == 2
    assert_as(undisturbed, simulation)


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (GpuMemoryError("out of GPU memory"), 2),
        (NotLoadedError("the trial resumes, but did not load"), 1),
        (MetricError("unknown metric"), 1),
    ],
)
def test_some_failures_are_not_retried_as_often_as_the_sweep_says(
    simulation: Simulation, error: Exception, attempts: int
) -> None:
    simulation.keys |= {"factors": {"x": [2, 1]}, "seeds": [0], "retries": 5}
    simulation.run(train=raising(error), hosts=(1,))
    failed = simulation.trials().loc[(1, 0)]
    assert failed["attempts"] == attempts
    assert failed["error"].endswith(str(error))


def test_a_first_trial_without_the_metric_ends_the_run(simulation: Simulation) -> None:
    with pytest.raises(MetricError, match=r"`select\.metric`: unknown metric"):
        simulation.run(train=raising(MetricError("unknown metric")))
    assert simulation.store.snapshot().outcomes == {}
    assert simulation.beat() is None


def test_an_edited_trial_is_not_run_and_stays_missing(
    simulation: Simulation, undisturbed: dict[str, pd.DataFrame]
) -> None:
    runner = simulation.run(train=raising(EditedError.of("data.txt")))
    assert len(runner.started) == 4
    assert simulation.progress.not_run == {"data.txt was edited while the sweep ran": 2}
    assert len(simulation.store.snapshot().outcomes) == 2
    simulation.run()
    assert_as(undisturbed, simulation)


def _crash(runner: FakeRunner) -> None:
    runner.crash(runner.live[0])


def _die(runner: FakeRunner) -> None:
    runner.live[-1].dies = True


FAULTS: list[Callable[[FakeRunner], object]] = [
    _crash,
    _die,
    lambda runner: runner.lose(1),
    lambda runner: runner.cut(2),
    lambda runner: runner.cut(3, 4),
    lambda runner: runner.end(FULL),
    interrupt,
]


@pytest.mark.no_cover
@settings(max_examples=10)
@given(plan=st.dictionaries(st.integers(0, 12), st.sampled_from(FAULTS), max_size=6))
def test_no_plan_of_faults_changes_a_number(
    undisturbed: dict[str, pd.DataFrame],
    tmp_path_factory: pytest.TempPathFactory,
    plan: dict[int, Callable[[FakeRunner], object]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        simulation = Simulation(tmp_path_factory.mktemp("faults"), patch, retries=20)
        with contextlib.suppress(KeyboardInterrupt):
            simulation.run(plan, hosts=(1, 1, 1, 1))
        simulation.run()
        assert_same(undisturbed, simulation.numbers())
        assert simulation.beat() is None
