"""What trials yield, with gaps, nulls, nesting and taken names, and what the store makes of it."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.dataset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.comparing import assert_same
from support.folder import Folder, environment

from orchestrator import open_store

LOGGED = (Path(__file__).parents[1] / "support" / "logged.py").read_text()
RUNNERS = ("tune", "inline")
NAN = math.nan

Yielded = list[Any]


def sweep_of(folder: Folder, cases: Mapping[str, Yielded], **keys: Any) -> Path:
    """Write a sweep whose trials yield these cases."""
    (folder.path / "logged.py").write_text(LOGGED)
    (folder.path / "logged.json").write_text(json.dumps(cases))
    defaults = {
        "trainable": "logged:train",
        "seeds": [0],
        "factors": {"case": list(cases)},
        "search": None,
        "fixed": None,
        "select": {"metric": "accuracy"},
    }
    return folder.write(**{**defaults, **keys})


def rows(folder: Folder, table: str, name: str = "toy") -> dict[str, list[dict[str, Any]]]:
    """Read a table with plain pyarrow, which tells null from NaN, by case; nulls are left out."""
    columns = pyarrow.dataset.dataset(folder.path / "results" / name / table).to_table()
    by_case: dict[str, list[dict[str, Any]]] = {}
    order = [("trial_id", "ascending")] + ([("epoch", "ascending")] if table == "epochs" else [])
    for row in columns.sort_by(order).to_pylist():
        by_case.setdefault(row["case"], []).append(row)
    return by_case


def values(found: list[dict[str, Any]], metric: str) -> list[float | None]:
    return [row[metric] for row in found]


SPARSE: Yielded = [
    {"train": {"loss": 1 / step}, "val": None}
    | ({"accuracy": step / 10} if step % 3 == 0 else {})
    | ({"late": 1.0} if step == 6 else {})
    for step in range(1, 7)
]
BESIDE = {
    case: [{"accuracy": 0.5 + i / 10, "explained": value} for i, value in enumerate(explained)]
    for case, explained in {"nan": [NAN, 0.1, 0.1], "fine": [0.1, 0.1, math.inf]}.items()
}
TAKEN = [{"accuracy": 0.5, "seed": 7, "epoch": e, "lr": 0.1, "best_loss": 2} for e in (8, 9)]
OWN = {
    f"case{i}": [{f"own{i}/{epoch}": float(epoch), "accuracy": 0.5} for epoch in range(4)]
    for i in range(4)
}
"""Trials of which each brings metrics of its own."""
DYING = [{"early": 1.0}, {"accuracy": 0.5}, "die once", {"accuracy": 0.75, "step": 9}]


def test_both_runners_keep_the_same_of_trials_that_run_at_once_yield_anything_and_die(
    cluster_folder: Folder,
) -> None:
    """What is kept is looked at below, where no Ray is needed."""
    cases = {"sparse": SPARSE, **BESIDE, "taken": TAKEN, **OWN, "dying": DYING}
    sweep = sweep_of(cluster_folder, cases, fixed={"lr": 0.5}, diverged_on=["explained"])
    cluster_folder.orch("sweep", sweep)
    trials = {case: found[0] for case, found in rows(cluster_folder, "trials").items()}
    assert {case for case, trial in trials.items() if trial["attempts"] > 1} == {"dying"}
    assert {case for case, trial in trials.items() if trial["status"] == "diverged"} == {*BESIDE}
    cluster_folder.orch("sweep", sweep, "--runner", "inline", "--store", "inline")
    ours, inline = (
        {table: frame.sort_index(axis="columns") for table, frame in numbers.items()}
        for numbers in (cluster_folder.numbers(), cluster_folder.numbers(root="inline"))
    )  # as metrics came, so are their columns ordered
    assert_same(ours, inline)


def test_metrics_may_come_now_and_then(folder: Folder) -> None:
    sweep = sweep_of(folder, {"a": SPARSE, "b": SPARSE}, seeds=[0, 1])
    printed = folder.orch("sweep", sweep, "--runner", "inline").stdout
    assert printed.count("60.00 ± 0.00 (2)") == 2
    epochs = rows(folder, "epochs")["a"][:6]
    assert values(epochs, "train/loss") == [1 / step for step in range(1, 7)]
    assert values(epochs, "accuracy") == [None, None, 0.3, None, None, 0.6]
    assert values(epochs, "late") == [None] * 5 + [1.0]
    assert values(epochs, "val") == [None] * 6


def test_a_nan_beside_the_selection_metric_is_a_value_like_others(folder: Folder) -> None:
    sweep = sweep_of(folder, BESIDE)
    folder.orch("sweep", sweep, "--runner", "inline")
    trials, epochs = rows(folder, "trials"), rows(folder, "epochs")
    assert {case: found[0]["accuracy"] for case, found in trials.items()} == {
        "nan": 0.7,
        "fine": 0.7,
    }
    assert {found[0]["status"] for found in trials.values()} == {"completed"}
    assert math.isnan(epochs["nan"][0]["explained"])
    assert epochs["fine"][2]["explained"] == math.inf

    strict = sweep_of(folder, BESIDE, name="strict", diverged_on=["explained"])
    folder.orch("sweep", strict, "--runner", "inline")
    ended = rows(folder, "trials", "strict")
    assert [(ended[case][0]["status"], ended[case][0]["epochs_run"]) for case in BESIDE] == [
        ("diverged", 1),
        ("diverged", 3),
    ]
    assert not {r["trial_id"] for found in trials.values() for r in found} & {
        r["trial_id"] for found in ended.values() for r in found
    }


def test_a_watched_metric_that_no_trial_has_is_told_at_the_end_of_the_run(folder: Folder) -> None:
    cases = {"a": [{"accuracy": 0.5, "train": {"loss": NAN}}]}
    sweep = sweep_of(folder, cases, diverged_on=["train/los"])
    said = folder.orch("sweep", sweep, "--runner", "inline").stderr
    assert "`diverged_on`: unknown metric `train/los`; did you mean `train/loss`?" in said


def test_a_trial_that_diverged_on_a_metric_no_longer_watched_runs_again(folder: Folder) -> None:
    cases = {"a": [{"loss": NAN, "accuracy": 0.1}, {"loss": 2.0, "accuracy": 0.2}]}
    sweep_of(folder, cases)
    by_loss = sweep_of(folder, cases, select={"metric": "loss", "mode": "min"})
    folder.orch("sweep", by_loss, "--runner", "inline")
    assert rows(folder, "trials")["a"][0]["status"] == "diverged"
    assert json.loads(folder.orch("plan", by_loss, "--json").stdout)["missing"] == 0

    by_accuracy = sweep_of(folder, cases)
    assert json.loads(folder.orch("plan", by_accuracy, "--json").stdout)["missing"] == 1
    folder.orch("sweep", by_accuracy, "--runner", "inline")
    (trial,) = rows(folder, "trials")["a"]
    assert (trial["status"], trial["accuracy"], trial["loss"]) == ("completed", 0.2, 2.0)
    assert values(rows(folder, "epochs")["a"], "accuracy") == [0.1, 0.2]


def test_a_trial_that_diverged_is_not_reused_where_its_metric_is_not_watched(
    folder: Folder,
) -> None:
    cases = {"a": [{"loss": NAN, "accuracy": 0.1}, {"loss": 2.0, "accuracy": 0.2}]}
    by_loss = sweep_of(folder, cases, select={"metric": "loss", "mode": "min"})
    folder.orch("sweep", by_loss, "--runner", "inline")
    sibling = sweep_of(folder, cases, name="sibling")
    folder.orch("sweep", sibling, "--runner", "inline")
    (trial,) = rows(folder, "trials", "sibling")["a"]
    assert (trial["accuracy"], trial["reused_from"]) == (0.2, None)


def test_trials_with_other_metrics_are_reused_and_their_columns_with_them(folder: Folder) -> None:
    cases = {"a": [{"accuracy": 0.1, "one": 1.0}], "b": [{"accuracy": 0.2, "two": 2.0}]}
    first = sweep_of(folder, cases, factors={"case": ["a"]})
    folder.orch("sweep", first, "--runner", "inline")
    both = sweep_of(folder, cases, name="both")
    folder.orch("sweep", both, "--runner", "inline")
    trials = rows(folder, "trials", "both")
    assert (trials["a"][0]["reused_from"], trials["b"][0]["reused_from"]) == ("toy", None)
    assert [(trials[case][0]["one"], trials[case][0]["two"]) for case in "ab"] == [
        (1.0, None),
        (None, 2.0),
    ]


def test_trials_may_each_bring_metrics_of_their_own(folder: Folder) -> None:
    folder.orch("sweep", sweep_of(folder, OWN), "--runner", "inline")
    trials = {case: found[0] for case, found in rows(folder, "trials").items()}
    for i in range(4):
        for epoch in range(4):
            column = {case: row[f"own{i}/{epoch}"] for case, row in trials.items()}
            assert column == dict.fromkeys(OWN) | {f"case{i}": float(epoch)}


def test_an_older_trial_is_null_in_a_column_that_came_later(folder: Folder) -> None:
    cases = {"a": [{"accuracy": 0.1}], "b": [{"accuracy": 0.2, "late": 1.0}]}
    folder.orch("sweep", sweep_of(folder, cases, factors={"case": ["a"]}), "--runner", "inline")
    folder.orch("sweep", sweep_of(folder, cases), "--runner", "inline")
    plain = pd.read_parquet(folder.path / "results/toy/trials").set_index("case")["late"]
    assert np.isnan(plain["a"])
    assert plain["b"] == 1.0
    tables = [{"name": "late", "rows": ["case"], "values": ["late"]}]
    shown = folder.orch("table", sweep_of(folder, cases, tables=tables)).stdout
    assert "— where the selected config has no value of the metric." in shown
    assert [line.split()[1:] for line in shown.splitlines() if line[:3] in {" a ", " b "}] == [
        ["—"],
        ["1.0000", "(1)"],
    ]


def test_a_resumed_trial_keeps_a_metric_that_it_had_only_before_it_failed(folder: Folder) -> None:
    sweep = sweep_of(folder, {"a": DYING}, retries=0)
    folder.orch("sweep", sweep, "--runner", "inline", code=1)
    folder.orch("sweep", sweep, "--runner", "inline")
    (trial,) = rows(folder, "trials")["a"]
    assert (trial["early"], trial["accuracy"]) == (1.0, 0.75)
    log = next((folder.path / "results/toy/logs").iterdir()).read_text()
    assert "from epoch 3" in log
    epochs = rows(folder, "epochs")["a"]
    assert values(epochs, "epoch") == [1, 2, 3, 4]
    assert values(epochs, "early") == [1.0, None, None, None]
    assert values(epochs, "accuracy") == [None, 0.5, None, 0.75]
    assert values(epochs, "step") == [None, None, None, 9.0]


def test_an_interrupted_trial_shows_the_last_value_of_each_metric_and_goes_on(
    folder: Folder,
) -> None:
    cases = {"a": [{"accuracy": 0.5, "early": 1.0}, {"accuracy": 0.6}, "interrupt once"]}
    sweep = sweep_of(folder, cases)
    folder.orch("sweep", sweep, "--runner", "inline", code=130)
    results = open_store(folder.path / "results/toy")
    shown = results.trials[["status", "accuracy", "early", "epochs_run"]]
    assert shown.values.tolist() == [["unfinished", 0.6, 1.0, 2]]
    assert results.epochs["early"].isna().tolist() == [False, True]
    folder.orch("sweep", sweep, "--runner", "inline")
    assert values(rows(folder, "epochs")["a"], "early") == [1.0, None, None]
    assert rows(folder, "trials")["a"][0]["early"] == 1.0


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_trial_without_one_value_of_the_selection_metric_fails(
    cluster_folder: Folder, runner: str
) -> None:
    cases = {
        "good": [{"accuracy": 0.5}],
        "other": [{"acuracy": 0.5, "loss": 1.0}],
        "null": [{"accuracy": None, "loss": 1.0}],
    }
    # One at a time, so that the good trial is the first to end.
    sweep = sweep_of(cluster_folder, cases, resources={"cpu": 2})
    said = cluster_folder.orch("sweep", sweep, "--runner", runner, code=1).stderr
    assert "Traceback" not in said
    trials = {case: found[0] for case, found in rows(cluster_folder, "trials").items()}
    assert [trials[case]["status"] for case in cases] == ["completed", "failed", "failed"]
    assert trials["other"]["error"] == (
        "unknown metric `accuracy`; did you mean `acuracy`? (known: acuracy, loss); "
        "these are what logged:train yields"
    )
    assert trials["null"]["error"] == (
        "the metric `accuracy` is null in all epochs; logged:train yields values of `loss`"
    )
    assert trials["other"]["attempts"] == 1


@pytest.mark.parametrize(
    ("yielded", "said"),
    [
        ({"accuracy": "0.5"}, "hands over `accuracy` as '0.5' of type str"),
        ({"a": {"b": [1, 2]}}, "hands over `a/b` as [1, 2] of type list"),
        ({"a": {"b": 1}, "a/b": 2}, "hands over two metrics that are stored as `a/b`"),
        ([0.5], "hands over [0.5] of type list; an epoch is a mapping of metrics"),
        ({"accuracy": 10**400}, "hands over `accuracy` as 1000"),
    ],
)
def test_what_is_no_number_fails_the_trial_naming_the_metric(
    folder: Folder, yielded: object, said: str
) -> None:
    sweep = sweep_of(folder, {"a": [yielded]}, retries=0)
    folder.orch("sweep", sweep, "--runner", "inline", code=1)
    assert said in rows(folder, "trials")["a"][0]["error"]


def test_names_that_are_taken_are_kept_under_another_and_the_log_says_so_once(
    folder: Folder,
) -> None:
    sweep = sweep_of(folder, {"a": TAKEN}, fixed={"lr": 0.5})
    folder.orch("sweep", sweep, "--runner", "inline")
    epochs = rows(folder, "epochs")["a"]
    assert values(epochs, "epoch") == [1, 2]
    assert values(epochs, "logged/epoch") == [8.0, 9.0]
    (trial,) = rows(folder, "trials")["a"]
    assert trial["seed"] == 0
    assert [trial[f"logged/{name}"] for name in ("seed", "lr", "best_loss")] == [7.0, 0.1, 2.0]
    log = next((folder.path / "results/toy/logs").iterdir()).read_text()
    for name in ("seed", "epoch", "lr", "best_loss"):
        assert log.count(f"the metric `{name}` is stored as `logged/{name}`") == 1


SCALARS = """
import numpy, torch
BAD = {
    "torch.Tensor": torch.ones(2),
    "numpy.ndarray": numpy.ones(2),
    "numpy.complex64": numpy.complex64(1j),
    "numpy.str_": numpy.str_("1"),
}
def train(params, trial):
    yield {"accuracy": numpy.float32(0.5), "loss": torch.tensor(2.5), "good": True,
           "count": numpy.int64(3), "step": numpy.int64(100)}
    if params["kind"] in BAD:
        yield {"bad": BAD[params["kind"]]}
"""


def test_scalars_of_numpy_and_torch_are_numbers_and_arrays_are_not(folder: Folder) -> None:
    (folder.path / "scalars.py").write_text(SCALARS)
    kinds = ["torch.Tensor", "numpy.ndarray", "numpy.complex64", "numpy.str_"]
    keys = {"factors": {"kind": [*kinds, "none"]}, "select": {"metric": "accuracy"}}
    sweep = folder.write(trainable="scalars:train", seeds=[0], search=None, fixed=None, **keys)
    folder.orch("sweep", sweep, "--runner", "inline", code=1)
    trials = folder.trials().set_index("kind")
    for kind in kinds:
        assert "hands over `bad`" in trials["error"][kind]
        assert f"of type {kind}" in trials["error"][kind]
    fine = trials.loc["none", ["accuracy", "loss", "good", "count"]]
    assert list(fine) == [0.5, 2.5, 1.0, 3.0]
    assert list(open_store(folder.path / "results/toy").epochs["step"]) == [100.0]


NUMBERS = st.none() | st.booleans() | st.integers(-9, 9) | st.floats()
NAMES = st.sampled_from(["accuracy", "a", "b", "a/b", "seed", "epoch", "best_x", "step", "é"])
NESTED = st.recursive(
    st.dictionaries(NAMES, NUMBERS, max_size=4),
    lambda inner: st.dictionaries(NAMES, NUMBERS | inner, max_size=3),
    max_leaves=6,
)


def flat(mapping: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    return [
        pair
        for key, value in mapping.items()
        for pair in (
            flat(value, f"{prefix}{key}/") if isinstance(value, dict) else [(prefix + key, value)]
        )
    ]


def reference(yielded: Yielded) -> list[dict[str, float | None]] | None:
    """Say what `epochs` holds of one trial, up to where it diverges; None where it fails."""
    epochs = []
    for mapping in yielded:
        names = [
            f"logged/{name}" if name in {"seed", "epoch"} or name.startswith("best_") else name
            for name, _ in flat(mapping)
        ]
        if len(set(names)) < len(names):
            return None
        numbers = [None if value is None else float(value) for _, value in flat(mapping)]
        epoch = dict(zip(names, numbers, strict=True))
        epochs.append(epoch)
        if not math.isfinite(epoch.get("accuracy") or 0.0):
            return epochs
    has_value = any(epoch.get("accuracy") is not None for epoch in epochs)
    return epochs if has_value else None


def same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return one == other or (math.isnan(one) and math.isnan(other))


@pytest.mark.no_cover
@settings(max_examples=12)
@given(st.lists(st.lists(NESTED, min_size=1, max_size=5), min_size=1, max_size=5))
def test_the_store_holds_what_was_yielded(sequences: list[Yielded]) -> None:
    with tempfile.TemporaryDirectory() as path:
        folder = Folder(Path(path), environment())
        # The first trial to end must have the selection metric, or the run stops.
        cases = {"first": [{"accuracy": 0.5}]} | {f"t{i}": s for i, s in enumerate(sequences)}
        expected = {case: reference(yielded) for case, yielded in cases.items()}
        code = int(None in expected.values())
        folder.orch("sweep", sweep_of(folder, cases, retries=0), "--runner", "inline", code=code)
        trials, epochs = rows(folder, "trials"), rows(folder, "epochs")
        for case, reference_epochs in expected.items():
            (trial,) = trials[case]
            if reference_epochs is None:
                assert trial["status"] == "failed"
                continue
            assert len(epochs[case]) == len(reference_epochs)
            last: dict[str, float] = {}
            for found, epoch in zip(epochs[case], reference_epochs, strict=True):
                for name, value in epoch.items():
                    assert same(found[name], value)
                    last |= {} if value is None or name == "step" else {name: value}
                others = set(found) - set(epoch) - CONSTANT
                assert all(found[name] is None for name in others)
            for name, value in last.items():
                assert same(trial[name], value)
            finite = [
                value
                for epoch in reference_epochs
                if (value := epoch.get("accuracy")) is not None and math.isfinite(value)
            ]
            assert same(trial["best_accuracy"], max(finite, default=None))


CONSTANT = {"trial_id", "config_id", "cell_id", "seed", "case", "epoch", "seconds"}


def test_a_diverged_trial_is_marked_in_every_output_of_a_real_store(folder: Folder) -> None:
    fine = [{"accuracy": 0.5 + epoch / 10, "explained": 0.1} for epoch in range(3)]
    cases = {"early": [{"accuracy": 0.5, "explained": NAN}, *fine], "fine": fine}
    sweep = sweep_of(
        folder,
        cases,
        seeds=[0, 1],
        diverged_on=["explained"],
        claims=[
            {
                "name": "same",
                "compare": {"case": ["early", "fine"]},
                "metric": "accuracy",
                "expect": "less",
            }
        ],
    )
    folder.orch("sweep", sweep, "--runner", "inline")
    for format_ in ("text", "markdown", "html", "latex"):
        shown = folder.orch("table", sweep, "--format", format_).stdout
        assert "early: 2 of its 2 trials diverged, at epoch 1." in shown
    for format_ in ("csv", "json"):
        shown = folder.orch("table", sweep, "--format", format_).stdout
        assert "diverged" in shown
        assert "[1, 1]" in shown
    status = folder.orch("status", sweep).stdout
    assert "case=early: 2 of its 2 trials diverged, at epoch 1; log results/toy/logs/" in status
    claims = " ".join(folder.orch("claims", sweep).stdout.split())
    assert "1 of 2 cells with a trial that diverged" in claims
    folder.orch("report", sweep, "--output", "report.html")
    report = (folder.path / "report.html").read_text()
    assert "early: 2 of its 2 trials diverged, at epoch 1." in report
    assert "2 completed, 2 diverged" in report


@pytest.fixture
def uneven(folder: Folder) -> Path:
    """Run a sweep whose second seed hands over one epoch more, each with a counter."""
    cases = [{"accuracy": 0.5, "step": 10 * epoch} for epoch in (1, 2, 3)]
    sweep = sweep_of(folder, {"0": cases[:2], "1": cases}, seeds=[0, 1], factors={"x": [1]})
    text = LOGGED.replace('params["case"]', 'str(params["seed"])')
    (folder.path / "logged.py").write_text(text)
    folder.orch("sweep", sweep, "--runner", "inline")
    return sweep


def test_status_names_configs_whose_seeds_ran_different_numbers_of_epochs(
    folder: Folder, uneven: Path
) -> None:
    assert "x=1: its 2 trials ran 2 and 3 epochs" in folder.orch("status", uneven).stdout


def test_curves_go_by_the_counter_of_the_trials(folder: Folder, uneven: Path) -> None:
    ((panel,),) = open_store(folder.path / "results/toy").figure("curves").panels
    assert panel.x_label == "step"
    (series,) = panel.series
    assert [(point.x, point.n) for point in series.points] == [(10.0, 2), (20.0, 2), (30.0, 1)]
    folder.orch("figure", uneven)
