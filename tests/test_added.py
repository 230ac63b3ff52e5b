"""`added` params, and params that move between sections: nothing that is done runs again."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.simulation import Simulation

from orchestrator import SpecError, load
from orchestrator.errors import SweepChangedError
from orchestrator.running import reuse
from orchestrator.spec import Sweep, cells, expand

BASE: dict[str, Any] = {
    "name": "toy",
    "trainable": "toy:train",
    "seeds": [0, 1],
    "factors": {"x": [1, 2]},
    "search": {"lr": [0.1, 0.2]},
    "fixed": {"k": 0},
    "select": {"metric": "score", "mode": "max"},
}


def sweep_of(**keys: Any) -> Sweep:
    return load({**BASE, **keys})


def ids(sweep: Sweep) -> dict[str, str]:
    shown = ("x", "lr", "k", "seed")
    return {
        json.dumps([trial.values[name] for name in shown]): trial.trial_id
        for trial in expand(sweep)
        if trial.values.get("dropout", 0.0) == 0.0
    }


def learn(params: Mapping[str, Any], _trial: Any) -> Any:
    yield {"score": params["x"] + params["lr"] + params.get("dropout", 0.0)}


def constant(_params: Mapping[str, Any], _trial: Any) -> Any:
    yield {"score": 0.5}


def rows(sim: Simulation) -> pd.DataFrame:
    return pd.read_parquet(sim.folder / "results/toy/trials")


# Ids


@pytest.mark.parametrize("section", ["factors", "search", "fixed"])
def test_a_param_at_its_added_value_is_in_no_id_wherever_it_stands(section: str) -> None:
    value = 0.0 if section == "fixed" else [0.0, 0.5]
    later = sweep_of(**{section: {**BASE[section], "dropout": value}}, added={"dropout": 0.0})
    assert ids(later) == ids(sweep_of())
    if section != "fixed":
        assert len(expand(later)) == 2 * len(expand(sweep_of()))
        assert len({trial.trial_id for trial in expand(later)}) == len(expand(later))


@given(st.permutations(["x", "lr", "k"]), st.data())
def test_trials_and_configs_stay_wherever_params_stand(names: list[str], data: Any) -> None:
    values = {"x": [1, 2], "lr": [0.1, 0.2], "k": [0]}
    cut = data.draw(st.integers(0, 3))
    factors = {name: values[name] for name in names[:cut]}
    search = {name: values[name] for name in names[cut:]}
    moved = sweep_of(factors=factors, search=search, fixed={})
    assert ids(moved) == ids(sweep_of())
    of = {config.config_id for cell in cells(moved) for config in cell.configs}
    assert of == {config.config_id for cell in cells(sweep_of()) for config in cell.configs}


# Stores


def test_an_added_param_orphans_nothing_and_its_value_is_in_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim = Simulation(tmp_path, monkeypatch, **BASE)
    sim.run(train=learn)
    before = rows(sim).set_index("trial_id")["score"]
    sim.keys |= {
        "search": {"lr": [0.1, 0.2], "dropout": [0.0, 0.5]},
        "fixed": {"k": 0, "wide": True},
        "added": {"dropout": 0.0, "wide": True},
    }
    runner = sim.run(train=learn)
    assert len(runner.started) == 8, "those with the new value"
    after = rows(sim)
    assert len(after) == 16
    old = after.set_index("trial_id").loc[before.index]
    assert set(old["dropout"]) == {0.0}
    assert (old["score"] == before).all()
    assert set(after["params"]) == {json.dumps({"k": 0, "wide": True})}
    epochs = pd.read_parquet(tmp_path / "results/toy/epochs")
    assert epochs["dropout"].notna().all()
    assert sim.run(train=learn).started == []


def test_a_sibling_lends_trials_that_did_not_know_the_param(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim = Simulation(tmp_path, monkeypatch, **BASE)
    sim.run(train=learn)
    sim.keys |= {
        "name": "later",
        "fixed": {"k": 0, "dropout": 0.0},
        "added": {"dropout": 0.0},
    }
    assert sim.run(train=learn).started == []
    later = pd.read_parquet(tmp_path / "results/later/trials")
    assert set(later["reused_from"]) == {"toy"}
    assert set(later["params"]) == {json.dumps({"k": 0, "dropout": 0.0})}


@pytest.mark.parametrize("values", [[None], [[1, 2]], ["a"], [2.5, None]])
def test_a_sibling_lends_trials_whose_column_has_a_type_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: list[Any]
) -> None:
    of_many_types = {**BASE["factors"], "x": [None, [1, 2], "a", 2.5]}
    sim = Simulation(tmp_path, monkeypatch, **{**BASE, "factors": of_many_types})
    sim.run(train=constant)
    sim.keys |= {"name": "later", "factors": {"x": values}}
    assert sim.run(train=learn).started == []
    later = pd.read_parquet(tmp_path / "results/later/trials")
    assert set(later["reused_from"]) == {"toy"}


def test_a_factor_becomes_a_search_param_and_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim = Simulation(tmp_path, monkeypatch, **BASE)
    sim.run(train=learn)
    before = rows(sim).set_index("trial_id").sort_index()
    sim.keys |= {"factors": {}, "search": {"lr": [0.1, 0.2], "x": [1, 2]}}
    assert sim.run(train=learn).started == []
    moved = rows(sim).set_index("trial_id").sort_index()
    (cell,) = cells(load(sim.keys))
    assert set(moved["cell_id"]) == {cell.cell_id}
    assert (moved["score"] == before["score"]).all()
    sim.keys |= {"factors": BASE["factors"], "search": BASE["search"]}
    assert sim.run(train=learn).started == []
    back = rows(sim).set_index("trial_id").sort_index()
    assert (back["cell_id"] == before["cell_id"]).all()


def test_a_fixed_param_becomes_an_axis_that_has_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim = Simulation(tmp_path, monkeypatch, **BASE)
    sim.run(train=learn)
    sim.keys |= {"fixed": {}, "search": {"lr": [0.1, 0.2], "k": [0, 1]}}
    assert len(sim.run(train=learn).started) == 8
    assert set(rows(sim)["k"]) == {0, 1}
    sim.keys |= {"search": {"lr": [0.1, 0.2], "k": [1, 2]}, "fixed": {}}
    assert len(sim.run(train=learn).started) == 8
    sim.keys |= {"search": {"lr": [0.1, 0.2]}, "fixed": {"k": 9}}
    with pytest.raises(SweepChangedError, match=r"`search\.k` was \[1,2\], is 9"):
        sim.run(train=learn)


def test_rows_that_were_not_asked_for_get_the_value_when_they_are_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim = Simulation(tmp_path, monkeypatch, **BASE)
    sim.run(train=learn)
    later = {"search": {"lr": [0.1], "dropout": [0.0]}, "added": {"dropout": 0.0}, "seeds": [0]}
    sim.keys |= later
    assert sim.run(train=learn).started == []
    sim.keys |= {"search": {"lr": [0.1, 0.2], "dropout": [0.0]}, "seeds": [0, 1]}
    assert sim.run(train=learn).started == []
    assert set(rows(sim)["dropout"]) == {0.0}


def test_a_run_killed_between_the_rows_and_the_file_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim = Simulation(tmp_path, monkeypatch, **BASE)
    sim.run(train=learn)
    before = set(rows(sim)["cell_id"])
    restamp = reuse.restamp

    def killed(*arguments: Any) -> None:
        restamp(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(reuse, "restamp", killed)
    moved = {"factors": {}, "search": {"lr": [0.1, 0.2], "x": [1, 2]}}
    kept = {name: sim.keys[name] for name in moved}
    sim.keys |= moved
    with pytest.raises(KeyboardInterrupt):
        sim.run(train=learn)
    monkeypatch.setattr(reuse, "restamp", restamp)
    sim.keys |= kept
    assert sim.run(train=learn).started == []
    assert set(rows(sim)["cell_id"]) == before


def test_a_param_that_is_fixed_now_keeps_its_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim = Simulation(tmp_path, monkeypatch, **BASE)
    sim.run(train=learn)
    sim.keys |= {"search": {"lr": [0.1]}, "factors": {}, "fixed": {"k": 0, "x": 1}}
    sim.keys["seeds"] = [0, 1, 2]
    assert len(sim.run(train=learn).started) == 1
    assert rows(sim)["x"].notna().all()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"fixed": {"k": 0, "new": 1}},
            "`fixed.new` is new; `added: {new: VALUE}` says which value",
        ),
        ({"added": {"d": 0.1}}, "`added.d` was 0.0, is 0.1"),
        ({"added": {}}, "`added.d` is gone"),
        ({"added": {"d": 0.0, "lr": 0.1}}, "`added.lr` is new, and trials have had `lr` before"),
        ({"fixed": {"k": 1}}, "`fixed.k` was 0, is 1"),
        ({"fixed": {}}, "`fixed.k` is gone"),
    ],
)
def test_what_trials_were_taken_for_cannot_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], said: str
) -> None:
    first = {"search": {"lr": [0.1], "d": [0.0, 0.1]}, "added": {"d": 0.0}}
    sim = Simulation(tmp_path, monkeypatch, **{**BASE, **first})
    sim.run(train=learn)
    sim.keys |= changes
    with pytest.raises(SweepChangedError) as error:
        sim.run(train=learn)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ({"kk": 0}, "`added.kk`: unknown param `kk`"),
        ({"k": 0.0}, "`added.k`: 0.0 is 0 in another type; write the latter"),
        ({"lr": [0.1]}, None),
    ],
)
def test_what_cannot_be_meant_is_refused(added: dict[str, Any], said: str | None) -> None:
    if said is None:
        assert sweep_of(added=added).added == {"lr": (0.1,)}
        return
    with pytest.raises(SpecError) as error:
        sweep_of(added=added)
    assert said in str(error.value)


def test_a_param_cannot_take_the_name_of_a_metric_that_trials_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(params: Mapping[str, Any], _trial: Any) -> Any:
        yield {"score": params["x"], "momentum": 0.5}

    sim = Simulation(tmp_path, monkeypatch, **BASE)
    sim.run(train=train)
    sim.keys |= {"search": {"lr": [0.1], "momentum": [0.0, 0.9]}, "added": {"momentum": 0.0}}
    with pytest.raises(SweepChangedError, match=r"`search.momentum` is new, and finished trials h"):
        sim.run(train=train)


def test_rows_get_their_columns_also_where_the_clock_has_gone_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim = Simulation(tmp_path, monkeypatch, **BASE)
    sim.run(train=learn)
    sim.keys |= {"search": {"lr": [0.1, 0.2], "k": [0]}, "fixed": {}}
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() - 600 * 10**9)
    sim.run(train=learn)
    assert set(rows(sim)["params"]) == {"{}"}
