"""A run whose first trials all fail with the same error stops; any other spends its retries."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import toy
from support.simulation import FakeRunner, Simulation

from orchestrator.errors import (
    AlikeError,
    EditedError,
    GpuMemoryError,
    KilledError,
    MetricError,
    NodeMemoryError,
    TrialFailedError,
    UsageError,
    WorkerDiedError,
)
from orchestrator.running.failures import in_user_code

Params = Mapping[str, Any]


@pytest.fixture
def simulation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Simulation:
    """Make a sweep of four configs and two seeds, whose trials may be retried once."""
    return Simulation(tmp_path, monkeypatch, factors={"x": [1, 2, 3, 4]}, retries=1)


@dataclass
class Failing:
    """A trainable that fails, in the same line, where a test says so.

    Args:
        error_of: the error of a trial; None for one that is well.
        epoch: the epoch in which it fails.
        times: how many attempts at a trial fail.
    """

    error_of: Callable[[Params], BaseException | None] = lambda params: KeyError(params["x"])
    epoch: int = 1
    times: int = 99
    started: list[tuple[int, int]] = field(default_factory=list)
    """Every attempt, in the order of their starts: x and seed."""

    def __call__(self, params: Params, trial: Any) -> Iterator[Mapping[str, Any]]:
        trial_key = (params["x"], params["seed"])
        self.started.append(trial_key)
        fails = self.started.count(trial_key) <= self.times
        error = self.error_of(params) if fails else None
        if error and self.epoch == 1:
            raise error
        for metrics in toy.train(params, trial):
            if error and trial.epoch == self.epoch:
                raise error
            yield metrics


def assert_stopped(simulation: Simulation, train: Failing, attempts: int = 3) -> AlikeError:
    """Run the sweep one trial at a time, and check that it stops after so many first attempts."""
    with pytest.raises(AlikeError) as stopped:
        simulation.run(train=train, hosts=(1,))
    assert len(train.started) == len(set(train.started)) == attempts
    trials = simulation.trials()
    failed = trials[trials["status"] == "failed"]
    assert set(failed.index) == set(train.started)
    assert set(failed["attempts"]) == {1}
    return stopped.value


def assert_all_retried(simulation: Simulation, train: Failing, **how: Any) -> FakeRunner:
    """Run the sweep, and check that all trials that fail do so as often as they may."""
    runner = simulation.run(train=train, **how)
    trials = simulation.trials()
    failed = trials[trials["status"] == "failed"]
    assert set(failed["attempts"]) == {simulation.keys["retries"] + 1}
    assert len(failed) + (trials["status"] == "completed").sum() == simulation.progress.total
    return runner


def test_the_sweep_stops_at_three_and_says_once_what_to_do(simulation: Simulation) -> None:
    train = Failing()
    error = assert_stopped(simulation, train)
    assert train.started == [(1, 0), (2, 0), (3, 0)]
    first, *frames, last = str(error).splitlines()
    assert first == (
        "3 of 8 trials failed with the same error and none has finished, so the sweep stops:"
    )
    assert frames[-2:] == ["    raise error", "KeyError: 1"]
    (trial_id,) = simulation.trials().loc[[(1, 0)], "trial_id"]
    assert last == (
        f"see results/toy/logs/{trial_id}.log; mend it and run the same command again, "
        "or run all trials with --keep-going"
    )
    assert error.exit_code == 1
    assert (simulation.progress.given_up, simulation.progress.failures) == (3, [])
    assert simulation.beat() is None


def test_it_takes_trials_of_three_configs_where_there_are(simulation: Simulation) -> None:
    one_fails = Failing(lambda params: KeyError() if params["x"] == 1 else None)
    simulation.keys |= {"seeds": [0], "retries": 0}
    simulation.run(train=one_fails)
    simulation.keys |= {"seeds": [0, 1, 2]}
    train = Failing()
    assert_stopped(simulation, train, attempts=4)
    assert train.started[:2] == [(1, 0), (1, 1)]
    assert len({x for x, _ in train.started}) == 3


@pytest.mark.parametrize(("configs", "seeds"), [(2, 3), (1, 4)])
def test_of_fewer_configs_three_trials_are_enough(
    simulation: Simulation, configs: int, seeds: int
) -> None:
    simulation.keys |= {"factors": {"x": [*range(configs)]}, "seeds": [*range(seeds)]}
    assert_stopped(simulation, Failing())


def test_fewer_than_three_trials_use_their_retries(simulation: Simulation) -> None:
    simulation.keys |= {"factors": {"x": [1, 2]}, "seeds": [0], "retries": 2}
    assert_all_retried(simulation, Failing())
    assert [failure.retried for failure in simulation.progress.failures] == [True] * 4 + [False] * 2


@pytest.mark.parametrize("epoch", [1, 2, 3])
@pytest.mark.parametrize("hosts", [(1,), (1, 1), (3, 1), (16,)])
def test_many_slots_and_late_epochs_make_no_difference(
    simulation: Simulation, epoch: int, hosts: tuple[int, ...]
) -> None:
    train = Failing(epoch=epoch)
    with pytest.raises(AlikeError, match=r"^3 of 8 trials failed"):
        simulation.run(train=train, hosts=hosts)
    assert len(train.started) == len(set(train.started))
    assert set(simulation.trials()["status"]) <= {"failed", "unfinished"}


def test_trials_that_fail_while_one_before_them_runs_are_held_until_it_gets_further(
    simulation: Simulation,
) -> None:
    def freeze(runner: FakeRunner) -> None:
        runner.live[0].frozen_until = 5

    shown = []

    def look(runner: FakeRunner) -> None:
        shown.append((len(runner.started), len(simulation.progress.failures)))

    simulation.keys |= {"factors": {"x": [1, 2, 3, 4, 5, 6]}, "seeds": [0]}
    train = Failing(lambda params: KeyError() if params["x"] > 1 else None, times=1)
    runner = simulation.run({0: freeze}, train=train, hosts=(1, 1), look=look)
    assert shown[:6] == [(2, 0), (3, 0), (4, 0), (5, 0), (6, 0), (7, 5)]
    ids = simulation.trials().droplevel("seed")["trial_id"]
    first = [f"{ids[x]}-1" for x in (1, 2, 3, 4, 5, 6)]
    assert runner.started == first + [f"{ids[x]}-2" for x in (2, 3, 4, 5, 6)]
    assert set(simulation.trials()["status"]) == {"completed"}
    assert all(failure.retried for failure in simulation.progress.failures)


def test_one_that_has_finished_is_enough_to_go_on(simulation: Simulation) -> None:
    train = Failing(lambda params: KeyError() if params["x"] > 1 else None)
    assert_all_retried(simulation, train, hosts=(1,))


def test_one_that_fails_after_more_epochs_is_enough_to_go_on(simulation: Simulation) -> None:
    train = Failing(lambda _: KeyError())

    def second_gets_further(params: Params, trial: Any) -> Iterator[Mapping[str, Any]]:
        train.epoch = 3 if params["x"] == 2 else 2
        yield from train(params, trial)

    simulation.run(train=second_gets_further, hosts=(1,))
    assert set(simulation.trials()["attempts"]) == {2}


class OtherError(KeyError):
    pass


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (KeyError(), ValueError()),
        (KeyError("lr"), OtherError("lr")),
        (TrialFailedError("it is lost"), TrialFailedError("it is found")),
        (
            TrialFailedError("lost", "", "KeyError at a:1"),
            TrialFailedError("lost", "", "KeyError at a:2"),
        ),
    ],
)
@pytest.mark.parametrize("differs", [1, 2, 3])
def test_two_errors_are_not_the_same(
    simulation: Simulation, first: Exception, second: Exception, differs: int
) -> None:
    train = Failing(lambda params: second if params["x"] == differs else first)
    assert_all_retried(simulation, train)


def test_errors_of_two_lines_are_not_the_same(simulation: Simulation) -> None:
    def train(params: Params, _trial: Any) -> Iterator[Mapping[str, Any]]:
        if params["x"] == 1:
            raise KeyError
        raise KeyError
        yield

    simulation.run(train=train)
    assert set(simulation.trials()["attempts"]) == {2}


@pytest.mark.parametrize(
    "error_of",
    [
        lambda params: KeyError(
            f"x is {params['x']}, which is {'odd' if params['x'] % 2 else 'even'}"
        ),
        lambda params: TrialFailedError(f"line {params['x']}: exit code {params['x'] + 10}"),
        lambda params: TrialFailedError(f"as {params['x']}", "", "KeyError at fit.py:1"),
    ],
)
def test_numbers_and_messages_at_one_place_make_no_difference(
    simulation: Simulation, error_of: Callable[[Params], BaseException]
) -> None:
    assert_stopped(simulation, Failing(error_of))


@pytest.mark.parametrize("kind", [KilledError, GpuMemoryError, WorkerDiedError, NodeMemoryError])
@pytest.mark.parametrize("where", [{1}, {3}, {1, 2, 3, 4}])
def test_a_signal_memory_and_a_lost_worker_are_never_the_same_error(
    simulation: Simulation, kind: type[Exception], where: set[int]
) -> None:
    train = Failing(lambda params: kind("gone") if params["x"] in where else KeyError())
    assert_all_retried(simulation, train, hosts=(1,))


def test_a_trial_that_is_not_run_after_an_edit_says_nothing_about_the_others(
    simulation: Simulation,
) -> None:
    edited = EditedError.of("data.txt")
    train = Failing(lambda params: edited if params["x"] == 1 else KeyError())
    with pytest.raises(AlikeError, match=r"^3 of 8 trials"):
        simulation.run(train=train, hosts=(1,))
    assert train.started == [(1, 0), (2, 0), (3, 0), (4, 0)]


def test_what_is_held_is_retried_when_no_first_attempt_is_left(simulation: Simulation) -> None:
    edited = EditedError.of("data.txt")
    simulation.keys |= {"seeds": [0], "factors": {"x": [1, 2, 3]}}
    train = Failing(lambda params: edited if params["x"] == 3 else KeyError(), times=1)
    simulation.run(train=train, hosts=(1,))
    assert train.started == [(1, 0), (2, 0), (3, 0), (1, 0), (2, 0)]
    assert set(simulation.trials()["status"]) == {"completed"}


def test_keep_going_runs_all_trials_with_their_retries(simulation: Simulation) -> None:
    train = Failing()
    assert_all_retried(simulation, train, keep_going=True)
    assert len(train.started) == 16


def test_the_next_run_runs_all_again(simulation: Simulation) -> None:
    assert_stopped(simulation, Failing())
    runner = simulation.run()
    assert len(runner.started) == 8
    trials = simulation.trials()
    assert set(trials["status"]) == {"completed"}
    assert set(trials["attempts"]) == {1}


@pytest.mark.parametrize("retries", [0, 3])
def test_how_often_a_trial_may_be_retried_makes_no_difference(
    simulation: Simulation, retries: int
) -> None:
    simulation.keys["retries"] = retries
    assert_stopped(simulation, Failing())


@pytest.mark.parametrize("before", [0, 1, 2])
def test_a_first_trial_without_the_metric_is_told_though_others_have_failed(
    simulation: Simulation, before: int
) -> None:
    train = Failing(lambda params: KeyError() if params["x"] <= before else MetricError("unknown"))
    with pytest.raises(MetricError, match=r"`select\.metric`: unknown"):
        simulation.run(train=train, hosts=(1,))


def test_a_program_that_refuses_its_arguments_ends_the_run(simulation: Simulation) -> None:
    words = "fit.py: error: unrecognized arguments: --widht=1"
    with pytest.raises(UsageError, match=f"`command`: {words}") as refused:
        simulation.run(train=Failing(lambda _: UsageError(words)), keep_going=True)
    assert refused.value.exit_code == 2
    assert simulation.store.snapshot().outcomes == {}
    assert simulation.beat() is None


def test_one_that_does_so_after_another_has_finished_fails_alone(simulation: Simulation) -> None:
    train = Failing(lambda params: UsageError("--x: not 4") if params["x"] == 4 else None)
    assert_all_retried(simulation, train, hosts=(1,))
    assert set(simulation.trials().loc[4, "error"]) == {"--x: not 4"}


def test_so_does_one_where_an_earlier_run_has_finished_others(simulation: Simulation) -> None:
    simulation.run()
    simulation.keys["factors"] = {"x": [*simulation.keys["factors"]["x"], 9, 10]}
    train = Failing(lambda params: UsageError("--x: not 9") if params["x"] == 9 else None)
    simulation.run(train=train, hosts=(1,))
    ended = simulation.trials()["status"]
    assert set(ended.loc[9]) == {"failed"}
    assert set(ended.loc[10]) == {"completed"}


def test_a_traceback_begins_in_the_users_code_and_survives_pickling() -> None:
    def read(text: str) -> Any:
        return json.loads(text)

    with pytest.raises(ValueError, match="Expecting value") as raised:
        pd.Series(["one"]).map(read)
    called = raised.value.with_traceback(raised.value.__traceback__.tb_next)  # by pandas
    frames, place = in_user_code(called)
    named = [line.rpartition(", in ")[2] for line in frames.splitlines() if "File" in line]
    assert named == ["read", "loads", "decode", "raw_decode"]
    line = next(line for line in frames.splitlines() if line.endswith(", in read"))
    assert place == f"JSONDecodeError at {__file__}:{line.split(', line ')[1].split(',')[0]}"
    error = pickle.loads(pickle.dumps(TrialFailedError("failed", frames, place)))  # noqa: S301
    assert in_user_code(error) == (frames, place)
    assert str(error) == "failed"


ENDS = ["well", "KeyError", "ValueError", "killed"]


@pytest.mark.no_cover
@settings(max_examples=30)
@given(
    ends=st.lists(st.sampled_from(ENDS), min_size=1, max_size=4),
    seeds=st.integers(1, 2),
    epoch=st.integers(1, 3),
    times=st.integers(1, 3),
    retries=st.integers(0, 2),
    hosts=st.sampled_from([(1,), (1, 1), (4,)]),
)
def test_every_trial_ends_or_the_first_have_failed_alike(
    tmp_path_factory: pytest.TempPathFactory,
    ends: list[str],
    seeds: int,
    epoch: int,
    times: int,
    retries: int,
    hosts: tuple[int, ...],
) -> None:
    errors = {"KeyError": KeyError, "ValueError": ValueError, "killed": lambda: KilledError("9")}
    train = Failing(lambda params: errors.get(ends[params["x"]], lambda: None)(), epoch, times)
    keys = {"factors": {"x": [*range(len(ends))]}, "seeds": [*range(seeds)], "retries": retries}
    stopped = False
    with pytest.MonkeyPatch.context() as patch:
        simulation = Simulation(tmp_path_factory.mktemp("alike"), patch, **keys)
        try:
            simulation.run(train=train, hosts=hosts)
        except AlikeError:
            stopped = True
        trials = simulation.trials()
    first = {ends[x] for x, _ in train.started[:3]}
    alike = len(train.started) >= 3 and len(first) == 1 and first < {"KeyError", "ValueError"}
    assert stopped == (alike and len(ends) * seeds >= 3)
    if stopped:
        assert set(trials["status"]) <= {"failed", "unfinished"}
        assert (trials["status"] == "failed").sum() >= 3
        return
    assert len(trials) == len(ends) * seeds
    for (x, _), trial in trials.iterrows():
        is_well = ends[x] == "well" or times <= retries
        assert trial["status"] == ("completed" if is_well else "failed")
        assert trial["attempts"] == (1 if ends[x] == "well" else min(times, retries) + 1)
