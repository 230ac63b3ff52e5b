"""What readers of a store see: plain pandas, and `open_store` while trials are unfinished."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from support.storing import (
    UNKNOWN,
    Lab,
    assert_shows,
    make_sweep,
    probes_of,
    row_of,
    score,
)

from orchestrator.columns import TABLES
from orchestrator.errors import StoreError
from orchestrator.spec.grid import expand
from orchestrator.store import settle


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
        settle.settle(lab.store, sweep)
    own = {
        "trials": [
            *("status", "error", "attempts", "score", "loss", "best_score", "epochs_run"),
            *("seconds", "threads", "started_at", "ended_at", "host", "device", "processor"),
            *("gpus", "code_digest", "environment_digest", "data_digest", "metrics_digest"),
            *("resumed_at", "facts", "params", "reused_from"),
        ],
        "epochs": ["epoch", "step", "score", "loss", "seconds"],
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
        settle.settle(lab.store, new)
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
        done = lab.store.snapshot().outcomes
        lab.commit(sweep, *(t for t in expand(sweep) if t.trial_id not in done))
    settle.settle(lab.store, sweep)
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
        settle.settle(lab.store, make_sweep(select=select))
        trials = lab.plain("trials")
        assert list(trials["best_score"]) == [score(i, at) for i in trials["trial_id"]]
    settle.settle(lab.store, make_sweep(select={"metric": "loss", "mode": "min"}))
    trials = lab.plain("trials")
    assert "best_score" not in trials.columns
    assert set(trials["best_loss"]) == {1 / 3}


@pytest.mark.parametrize(("mode", "last", "best"), [("max", "inf", 2.0), ("min", "-inf", 0.5)])
def test_a_best_epoch_is_among_the_finite_ones(lab: Lab, mode: str, last: str, best: float) -> None:
    sweep = make_sweep(factors={"x": (1,)}, select={"metric": "score", "mode": mode})
    (trial,) = expand(sweep)
    layout = lab.prepare(sweep)
    values = [0.5, 2.0, float(last)]
    rows = [
        {"epoch": e, "step": None, "score": v, "loss": 0.0, "seconds": 0.1}
        for e, v in enumerate(values, 1)
    ]
    ended = {**row_of(trial, sweep), **UNKNOWN, "status": "diverged", "score": values[-1]}
    lab.writer.commit(ended, pa.Table.from_pylist(rows), probes_of(trial.trial_id), layout)
    settle.settle(lab.store, sweep)
    assert list(lab.plain("trials")["best_score"]) == [best]


def test_a_store_without_results_says_so(lab: Lab) -> None:
    settle.create(lab.store)
    assert lab.store.snapshot().outcomes == {}
    with pytest.raises(StoreError, match="holds no results yet"):
        lab.store.snapshot().trials()


def test_a_store_whose_trials_have_not_begun_has_empty_tables(lab: Lab) -> None:
    lab.prepare(make_sweep())
    for table in TABLES:
        assert lab.plain(table).empty
    assert_shows(lab.store, [])


def test_unfinished_trials_show_with_their_epochs_so_far(lab: Lab) -> None:
    sweep = make_sweep()
    done, begun, committed_just_now = expand(sweep)[:3]
    lab.prepare(sweep)
    lab.commit(sweep, done, committed_just_now)
    for trial in (begun, committed_just_now):
        lab.save(sweep, trial)
    trials = lab.store.snapshot().trials().set_index("trial_id")
    assert trials["status"].to_dict() == {
        done.trial_id: "completed",
        committed_just_now.trial_id: "completed",
        begun.trial_id: "unfinished",
    }
    row = trials.loc[begun.trial_id]
    assert row["epochs_run"] == 2
    assert row["score"] == score(begun.trial_id, 2)
    assert row["kind"] == begun.params["kind"]
    assert begun.trial_id not in lab.store.snapshot().outcomes
    epochs = lab.store.snapshot().epochs()
    assert list(epochs["epoch"][epochs["trial_id"] == begun.trial_id]) == [1, 2]
    probes = lab.store.snapshot().probes("skewness")
    assert set(probes["probe"]) == {"skewness"}
    assert list(probes["epoch"][probes["trial_id"] == begun.trial_id]) == [1, 2]
    assert begun.trial_id not in set(lab.plain("trials")["trial_id"])
