"""Race and confirm: which trials the results ask for, and that a run comes to the same end."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.commands import orch
from support.simulation import FakeRunner, Simulation
from support.synthetic import make_trials, results_of

from orchestrator import SpecError, load
from orchestrator.results.observed import Observed
from orchestrator.results.race import planned, rounds
from orchestrator.results.wanted import possible, standing, wanted
from orchestrator.spec import Sweep, cells
from orchestrator.spec.model import Race
from orchestrator.spec.seed_checks import going_on

LRS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]


def sweep_of(**keys: Any) -> Sweep:
    return load(
        {
            "name": "toy",
            "trainable": "toy:train",
            "seeds": [0, 1, 2],
            "race": {"keep": 0.5, "at_least": 2},
            "confirm": 2,
            "factors": {"x": [1, 2]},
            "search": {"lr": LRS},
            "select": {"metric": "score"},
            **keys,
        }
    )


# The rule


@given(st.floats(0.01, 0.99), st.integers(1, 5), st.integers(1, 60))
def test_a_share_of_the_configs_goes_on_rounded_up_and_never_too_few(
    keep: float, at_least: int, configs: int
) -> None:
    left = going_on(Race(keep=keep, at_least=at_least), configs)
    assert min(at_least, configs) <= left <= configs
    assert left >= keep * configs - 1e-6
    assert left <= max(at_least, keep * configs + 1)


@pytest.mark.parametrize(
    ("keep", "configs", "left"), [(0.5, 8, 4), (0.5, 3, 2), (0.1, 30, 3), (0.7, 10, 7), (0.5, 2, 2)]
)
def test_how_many_go_on(keep: float, configs: int, left: int) -> None:
    assert going_on(Race(keep=keep), configs) == left


def test_after_each_seed_the_best_by_the_mean_so_far_go_on() -> None:
    (cell,) = cells(sweep_of(factors={"x": [1]}))
    race = Race(keep=0.5, at_least=2)
    best = [0.9, 0.1, 0.8, 0.2, 0.7, 0.3, 0.6, None]  # the last one failed
    first = {c.trial_id(0): v for c, v in zip(cell.configs, best, strict=True)}
    found = rounds(cell, first, race, "max")
    assert [[config.search["lr"] for config in configs] for configs in found] == [
        LRS,
        [0.1, 0.3, 0.5, 0.7],
    ]
    second = {c.trial_id(1): v for c, v in zip(found[1], [0.1, 0.8, 0.9, math.nan], strict=True)}
    found = rounds(cell, {**first, **second}, race, "max")
    assert [config.search["lr"] for config in found[2]] == [0.3, 0.5]
    del first[cell.configs[7].trial_id(0)]
    assert len(rounds(cell, first, race, "max")) == 1  # one of them is not done


values = st.one_of(st.none(), st.just(math.nan), st.floats(0, 1))


@settings(deadline=None)
@given(st.data())
def test_more_results_only_ask_for_more(data: st.DataObject) -> None:
    sweep = sweep_of(search={"lr": LRS[:4]})
    ids = [trial.trial_id for trial in possible(sweep)]
    outcomes: dict[str, float | None] = {}
    asked = {trial.trial_id for trial in wanted(sweep, Observed(outcomes)).trials}
    assert len(asked) == 8
    for _ in range(40):
        if not (left := sorted(asked - outcomes.keys())):
            break
        outcomes[data.draw(st.sampled_from(left))] = data.draw(values)
        now = {trial.trial_id for trial in wanted(sweep, Observed(outcomes)).trials}
        assert asked <= now <= set(ids)
        asked = now
    else:
        raise AssertionError("it asks for ever more")
    assert len(asked) <= wanted(sweep, Observed(outcomes)).in_all


def test_the_numbers_of_trials_are_known_before_anything_runs() -> None:
    found = wanted(sweep_of(), Observed())
    assert found.in_all == 2 * (8 + 4 + 2 + 2)
    assert found.full_grid == 2 * 8 * (3 + 2)
    (cell, _) = cells(sweep_of())
    assert planned(cell, None) == 24


def test_cells_lack_the_trials_that_the_race_still_takes() -> None:
    sweep = sweep_of()
    first, second = cells(sweep)
    outcomes: dict[str, float | None] = {c.trial_id(0): 0.5 for c in first.configs}
    lacking = [standing(cell, sweep, outcomes).selection.missing for cell in (first, second)]
    assert lacking == [4 + 2 + 2, 8 + 4 + 2 + 2]


def test_a_cell_whose_configs_all_diverged_asks_for_no_confirm_seed() -> None:
    sweep = sweep_of(factors={"x": [1]}, race=None)
    (cell,) = cells(sweep)
    outcomes = {c.trial_id(seed): math.nan for c in cell.configs for seed in cell.seeds}
    found, selection = wanted(sweep, Observed(outcomes)), standing(cell, sweep, outcomes).selection
    assert (found.in_all, len(found.trials)) == (24, 24)
    assert (selection.best, selection.missing, selection.complete) == (None, 0, True)
    outcomes[cell.configs[0].trial_id(0)] = None  # it failed, and may do better in a later run
    assert wanted(sweep, Observed(outcomes)).in_all == 26
    assert standing(cell, sweep, outcomes).selection.missing == 2


def test_a_config_whose_confirm_seeds_are_to_come_does_not_lack_the_metric() -> None:
    sweep = sweep_of(factors={"x": [1]}, race=None, search={"lr": [0.1]})
    trials = make_trials(sweep, lambda t: {"score": 0.5} if t.seed < 1000 else None)
    shown = repr(results_of(sweep, trials).tables())
    assert "2 trials missing" in shown
    assert "no value of the metric" not in shown


# Runs


def learn(params: Mapping[str, Any], _trial: Any) -> Any:
    """Take longer with a larger x, and come to what rate and chance say."""
    chance = random.Random(f"{params['x']} {params['lr']} {params['seed']}").random()
    for _ in range(2 + params["x"] + int(10 * params["lr"]) % 3):
        yield {"score": params["lr"] + 0.1 * chance}


KEYS: dict[str, Any] = {
    "seeds": [0, 1, 2],
    "race": {"keep": 0.5, "at_least": 2},
    "confirm": 2,
    "factors": {"x": [1, 2, 3, 4]},
    "search": {"lr": LRS},
    "fixed": {},
}


@pytest.mark.parametrize("slots", [2, 8])
def test_a_race_keeps_the_slots_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slots: int
) -> None:
    simulation = Simulation(tmp_path, monkeypatch, **KEYS)
    busy: list[int] = []
    started: list[int] = []

    def look(runner: FakeRunner) -> None:
        busy.append(len(runner.live))
        started.append(len(runner.started))

    simulation.run(train=learn, hosts=(slots,), look=look)
    trials = simulation.trials().reset_index()
    assert len(trials) == 4 * (8 + 4 + 2 + 2)
    until = started.index(4 * (8 + 4))  # from here on, cells wait for the ends of their rounds
    assert sum(busy[:until]) >= 0.97 * slots * until
    for _, cell in trials.groupby("x"):
        by_seed = cell.groupby("seed")["lr"].apply(set)
        assert [len(by_seed[seed]) for seed in (0, 1, 2, 1000, 1001)] == [8, 4, 2, 1, 1]
        means = cell[cell["seed"].isin([0, 1, 2]) & cell["lr"].isin(by_seed[2])]
        best = means.groupby("lr")["score"].mean().idxmax()
        assert by_seed[1000] == by_seed[1001] == {best}


def test_a_run_that_is_interrupted_at_any_second_comes_to_the_same_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {**KEYS, "factors": {"x": [1, 2]}, "search": {"lr": LRS[:4]}}
    (tmp_path / "calm").mkdir()
    calm = Simulation(tmp_path / "calm", monkeypatch, **keys)
    calm.run(train=learn)
    expected = sorted(calm.trials()["trial_id"])
    assert len(expected) == 2 * (4 + 2 + 2 + 2)
    (tmp_path / "other").mkdir()
    other = Simulation(tmp_path / "other", monkeypatch, **keys)

    def interrupt(_runner: FakeRunner) -> None:
        raise KeyboardInterrupt

    for second in itertools.cycle([7, 5, 11, 3]):
        try:
            other.run({second: interrupt}, train=learn)
        except KeyboardInterrupt:
            continue
        break
    assert sorted(other.trials()["trial_id"]) == expected


def test_a_config_that_fails_is_out_and_the_next_best_is_confirmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(params: Mapping[str, Any], trial: Any) -> Any:
        if params["lr"] == 0.8:
            raise ValueError("too high")
        yield from learn(params, trial)

    keys = {**KEYS, "factors": {"x": [1]}, "retries": 0}
    simulation = Simulation(tmp_path, monkeypatch, **keys)
    simulation.run(train=failing)
    trials = simulation.trials().reset_index()
    confirmed = trials[trials["seed"] >= 1000]
    assert set(confirmed["lr"]) == {0.7}
    assert list(trials["lr"][trials["status"] == "failed"]) == [0.8]


def test_an_edit_of_the_race_runs_what_it_asks_for_and_keeps_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulation = Simulation(tmp_path, monkeypatch, **{**KEYS, "factors": {"x": [1]}})
    simulation.run(train=learn)
    before = set(simulation.trials()["trial_id"])
    assert len(before) == 8 + 4 + 2 + 2
    del simulation.keys["race"]
    simulation.keys["confirm"] = 3
    runner = simulation.run(train=learn)
    assert len(runner.started) == 24 - 14 + 1
    assert before < set(simulation.trials()["trial_id"])
    (tmp_path / "toy.yaml").write_text(json.dumps(simulation.keys))
    table = orch(tmp_path, "table", "toy.yaml", "--format", "json").stdout
    (row,) = json.loads(table)
    assert (row["n"], row["complete"]) == (3, True)
    assert row["selecting_seeds"] == "[0, 1, 2]"
    assert row["reported_seeds"] == "[1000, 1001, 1002]"


def test_trials_done_before_an_edit_count_as_done_once_they_are_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulation = Simulation(tmp_path, monkeypatch, **{**KEYS, "factors": {"x": [1]}})
    simulation.run(train=learn)
    simulation.keys["search"] = {"lr": [0.05, *LRS]}
    left: list[tuple[int, int]] = []

    def look(runner: FakeRunner) -> None:
        progress = simulation.progress
        left.append((progress.total - progress.done, len(runner.live)))

    runner = simulation.run(train=learn, look=look)
    assert len(runner.started) == 1 + 1 + 1  # one more config in each of the three rounds
    assert left[-1] == (1 + 2, 1)  # its end asks for the two confirm seeds, which are done


def early(params: Mapping[str, Any], _trial: Any) -> Any:
    """Come to what the rate says, then to nothing; not at all with the smallest rate."""
    yield {"score": math.nan if params["lr"] == LRS[0] else params["lr"]}
    yield {"score": 0.0}


def test_the_best_epoch_races_where_it_selects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {**KEYS, "factors": {"x": [1]}, "select": {"metric": "score", "at": "best"}}
    simulation = Simulation(tmp_path, monkeypatch, **keys)
    simulation.run(train=early)
    trials = simulation.trials().reset_index()
    assert set(trials["lr"][trials["seed"] == 2]) == {0.7, 0.8}
    assert set(trials["lr"][trials["seed"] >= 1000]) == {0.8}


@pytest.mark.parametrize("at", ["last", "best"])
def test_a_run_expects_no_confirm_seed_of_a_cell_whose_trials_all_diverged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    select = {"metric": "score", "at": at}
    keys = {**KEYS, "factors": {"x": [1]}, "search": {"lr": LRS[:1]}, "select": select}
    simulation = Simulation(tmp_path, monkeypatch, **{**keys, "race": None})
    simulation.run(train=early)
    assert (simulation.progress.done, simulation.progress.total) == (3, 3)


def test_trials_of_a_sibling_store_that_selects_otherwise_race_at_their_best_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {**KEYS, "factors": {"x": [1]}, "race": None, "confirm": 0}
    simulation = Simulation(tmp_path, monkeypatch, **keys)
    simulation.keys["select"] = {"metric": "score", "mode": "min"}
    simulation.run(train=early)
    select = {"metric": "score", "mode": "max", "at": "best"}
    simulation.keys |= {"name": "raced", **KEYS, "factors": {"x": [1]}, "select": select}
    runner = simulation.run(train=early)
    assert len(runner.started) == 2  # the confirm seeds


def test_trials_of_a_sibling_store_race_and_are_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {**KEYS, "factors": {"x": [1]}}
    simulation = Simulation(tmp_path, monkeypatch, **{**keys, "race": None, "confirm": 0})
    simulation.run(train=learn)
    simulation.keys |= {"name": "raced", **keys}
    runner = simulation.run(train=learn)
    assert len(runner.started) == 2  # the confirm seeds
    assert simulation.display.progress.reused == 8 + 4 + 2


def test_confirm_seeds_report_and_do_not_select(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flattered(params: Mapping[str, Any], _trial: Any) -> Any:
        """Be best where it selects, and worst where it reports."""
        selects = params["seed"] < 1000
        yield {"score": params["lr"] if selects else -params["lr"]}

    keys = {**KEYS, "factors": {"x": [1]}, "race": None}
    simulation = Simulation(tmp_path, monkeypatch, **keys)
    simulation.run(train=flattered)
    (tmp_path / "toy.yaml").write_text(json.dumps(simulation.keys))
    shown = orch(tmp_path, "table", "toy.yaml").stdout
    assert "-0.8000 ± 0.0000 (2)" in shown
    assert "Selected on seeds 0-2, reported on 1000-1001." in shown
    status = orch(tmp_path, "status", "toy.yaml").stdout
    assert "26 of 26 trials done" in status


# Bad input


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"confirm": [2, 3]}, "confirm: the seed 2 is among `seeds`; a confirm seed never selects"),
        ({"seeds": [0, 1000]}, "confirm: the seed 1000 is among `seeds`"),
        ({"confirm": True}, "expected how many seeds, below 1,000, or a list of them"),
        ({"race": {"keep": 0.5, "at_least": 9}}, "race.at_least: is above every cell's number"),
        ({"search": {}}, "race: a race without `search` does nothing"),
        ({"seeds": [0]}, "race: a race with one seed does nothing"),
        ({"race": {"keep": 1.0}}, "less than 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as error:
        sweep_of(**keys)
    assert said.replace("`", "") in str(error.value).replace("`", "")
