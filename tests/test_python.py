"""Sweeps from Python: `run`, `load`, `open_store`, and what they return."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import orchestrator
from orchestrator import Results, errors, load, open_store, run
from orchestrator.errors import InputError, OrchError, SpecError, StoreError
from orchestrator.spec import expand

TRAINABLE = """
def train(params, trial):
    if params["x"] == params.get("unlucky"):
        raise RuntimeError("no luck")
    print("a trainable's own words")
    trial.probe("chance", "only", params["seed"], index=0)
    yield {"score": params["x"] + params["seed"] / 10}
"""


def sweep(**keys: Any) -> dict[str, Any]:
    """What a file would hold."""
    return {
        "name": "small",
        "trainable": "toy_python:train",
        "seeds": [0, 1, 2],
        "factors": {"x": [1, 2]},
        "select": {"metric": "score"},
        "claims": [{"name": "more", "compare": {"x": [2, 1]}, "metric": "score", "expect": "less"}],
        "retries": 0,
        **keys,
    }


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "toy_python.py").write_text(TRAINABLE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def run_here(**keys: Any) -> Results:
    return run(sweep(**keys), runner="inline", progress=False)


def test_a_mapping_runs_as_its_file_would(folder: Path) -> None:
    results = run_here()
    assert sorted(results.trials["score"]) == [1.0, 1.1, 1.2, 2.0, 2.1, 2.2]
    (folder / "small.yaml").write_text((folder / "results/small/sweep.yaml").read_text())
    again = run("small.yaml", runner="inline", progress=False)
    assert again.sweep == results.sweep == open_store("results/small").sweep
    assert again.trials.equals(results.trials)


def test_more_seeds_run_only_what_is_missing() -> None:
    first = run_here().trials.set_index("trial_id")["ended_at"].to_dict()
    more = run(sweep(), seeds=range(4), runner="inline", progress=False)
    assert more.sweep.seeds == (0, 1, 2, 3)
    ended = more.trials.set_index("trial_id")["ended_at"].to_dict()
    assert len(ended) == 8
    assert {trial_id: ended[trial_id] for trial_id in first} == first


def test_failed_trials_are_rows_and_missing(capfd: pytest.CaptureFixture[str]) -> None:
    results = run_here(fixed={"unlucky": 2})
    assert results.trials.groupby("x")["status"].unique().map(list).to_dict() == {
        1: ["completed"],
        2: ["failed"],
    }
    assert {trial.params["x"] for trial in results.missing} == {2}
    assert "6 trials, 3 missing, 3 failed" in repr(results)
    assert "RuntimeError: no luck" in capfd.readouterr().err  # of the inline runner


def test_an_inline_trial_is_retried_and_each_traceback_printed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    results = run_here(fixed={"unlucky": 2}, seeds=[0], retries=2)
    assert list(results.trials.sort_values("x")["attempts"]) == [1, 3]
    assert capfd.readouterr().err.count("RuntimeError: no luck") == 3


@pytest.mark.parametrize(
    "body",
    [
        "    try: yield {'score': float('nan')}\n    finally: raise OSError\n",
        "    try: yield {'score': float('nan')}\n    finally: yield {'score': 1}\n",
        "    for score in float('nan'), 1:\n"
        "        try: trial.report(score=score)\n        except BaseException: pass\n",
    ],
    ids=["raises", "yields", "reports"],
)
def test_what_a_diverged_trial_does_in_its_cleanup_changes_nothing(folder: Path, body: str) -> None:
    (folder / "cleanup.py").write_text(f"def train(params, trial):\n{body}")
    results = run_here(trainable="cleanup:train", seeds=[0], factors={"x": [1]}, claims=[])
    assert results.trials[["status", "epochs_run"]].to_numpy().tolist() == [["diverged", 1]]


def test_nothing_is_printed_without_progress(capfd: pytest.CaptureFixture[str]) -> None:
    run_here()
    run_here()
    out, err = capfd.readouterr()
    assert out == "a trainable's own words\n" * 6  # inline, it is this process that prints
    assert err == ""


def test_progress_goes_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    run(sweep(), runner="inline")
    out, err = capfd.readouterr()
    assert "6 of 6 trials done" in err
    assert "trials" not in out


@pytest.mark.parametrize(
    ("name", "value", "is_told"),
    [("test_accuracy", 96.5, True), ("test_accuracy", 1, False), ("accuracy_percent", 50, False)],
)
def test_an_accuracy_above_one_is_doubted(
    folder: Path, capfd: pytest.CaptureFixture[str], name: str, value: float, is_told: bool
) -> None:
    (folder / "percent.py").write_text(f"def train(params, trial): yield {{{name!r}: {value}}}\n")
    keys = {"trainable": "percent:train", "select": {"metric": name}, "claims": []}
    run(sweep(**keys), runner="inline")
    words = " ".join(capfd.readouterr().err.split())
    assert ("`test_accuracy` reaches 96.5; a metric whose name ends in" in words) == is_told
    assert ("yield 0.965, or rename it, such as to `test_accuracy_percent`" in words) == is_told


def test_results_tables_and_findings_show_themselves() -> None:
    results = run_here()
    (table,), (finding,) = results.tables(), results.claims()
    assert "1.10 ± 0.10 (3)" in repr(table)
    assert repr(results.tables()) == repr(table)
    assert "more" in repr(finding)
    assert "x: 2 less than 1" in repr(results.claims())
    assert repr(results) == "<Results of small in results/small: 6 trials, 0 missing>"
    for shown in (results, table, results.tables(), finding, results.claims()):
        assert "<table>" in shown._repr_html_()
    assert results.figure("curves")._repr_html_().startswith("<svg")


def test_results_read_a_probe_only_when_it_is_asked_for() -> None:
    run_here()
    results = open_store("results/small")
    asked: list[str] = []
    read = results.snapshot.probes
    results.snapshot.probes = lambda probe: asked.append(probe) or read(probe)
    results.tables()
    results.claims()
    results.figure("curves")
    assert asked == []
    assert set(results.measure("probe:chance").values()) == {0.0, 1.0, 2.0}
    results.best("probe:chance")
    assert asked == ["chance"]


def test_results_select_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from orchestrator.results import results as module

    run_here()
    calls: list[str] = []
    real = module.select
    monkeypatch.setattr(module, "select", lambda *args: calls.append("select") or real(*args))
    results = open_store("results/small")
    results.tables()
    results.claims()
    results.best()
    results.figure("curves")
    assert calls == ["select"]


def test_run_works_inside_a_running_event_loop() -> None:
    async def notebook() -> Results:
        return run(sweep(), runner="inline", progress=False)

    assert len(asyncio.run(notebook()).trials) == 6


def test_numpys_scalars_and_arrays_of_values_count_as_numbers() -> None:
    axis = list(np.array([1, 2]))
    assert load(sweep(factors={"x": axis}, fixed={"y": np.float64(0.5), "z": np.bool_(True)})) == (
        load(sweep(factors={"x": (1, 2)}, fixed={"y": 0.5, "z": True}))
    )
    ids = [
        trial.trial_id
        for trial in expand(load(sweep(search={"lr": np.linspace(0, 1, 3).tolist()})))
    ]
    assert ids == [t.trial_id for t in expand(load(sweep(search={"lr": [0.0, 0.5, 1.0]})))]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            {"serch": {}},
            "the sweep's mapping: `serch`: unknown key `serch`; did you mean `search`?",
        ),
        ({"select": {"metrc": "a"}}, "`select.metrc`: unknown key `metrc`; did you mean `metric`?"),
        ({"seeds": [0, 0]}, "the sweep's mapping: `seeds`: the value 0 is repeated"),
        ({"factors": {"x": [{1, 2}]}}, "`factors.x[0]`: expected a number, string, boolean"),
        ({"factors": {1: [2]}}, "the key 1 in `factors` is not a string"),
        ({"fixed": {"y": float("nan")}}, "`fixed.y`: expected a finite number"),
        ({"extends": "nothing.yaml"}, "`extends`: there is no file"),
        ({"tables": [{"name": "t", "rows": ["y"]}]}, "`tables[0].rows[0]`: unknown factor `y`"),
    ],
)
def test_a_mistake_in_a_mapping_names_its_key(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as error:
        load(sweep(**keys))
    assert said in str(error.value)
    assert "line" not in str(error.value)


def test_a_mapping_without_end_is_refused() -> None:
    endless: dict[str, Any] = {}
    endless["again"] = endless
    with pytest.raises(SpecError, match="lists and mappings are nested more than 32 deep"):
        load(endless)


def test_a_mapping_may_extend_a_file(folder: Path) -> None:
    run_here()
    base = folder / "results/small/sweep.yaml"
    larger = load({"extends": str(base), "name": "larger", "factors": {"x": [1, 2, 3]}})
    assert larger.factors == {"x": (1, 2, 3)}
    assert larger.seeds == (0, 1, 2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"runner": "thread"}, "runner: expected tune or inline, got 'thread'"),
        ({"seeds": [0, 0]}, "seeds: the value 0 is repeated"),
        ({"seeds": [-1]}, "seeds: expected seeds from 0"),
        ({"seeds": []}, "seeds: expected at least one seed"),
        ({"seeds": [0.5]}, "seeds: 'float' object cannot be interpreted as an integer"),
    ],
)
def test_bad_options_are_refused_before_anything_runs(
    folder: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        run(sweep(), progress=False, **{"runner": "inline", **options})
    assert not (folder / "results").exists()


def test_open_store_says_what_it_looked_for(folder: Path) -> None:
    with pytest.raises(StoreError, match=r"nothing is not a store: it has no sweep\.yaml"):
        open_store(folder / "nothing")
    run_here()
    with pytest.raises(StoreError, match=r"is not a store: .*\(it holds the stores `small`\)"):
        open_store("results")


def test_exported_names_are_there_and_the_errors_are_all_of_them() -> None:
    for name in orchestrator.__all__:
        assert getattr(orchestrator, name) is not None
        assert name in dir(orchestrator)
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    direct = {kind.__name__ for kind in kinds if kind.__base__ is OrchError} | {"OrchError"}
    assert direct == {name for name in orchestrator.__all__ if name.endswith("Error")}
    with pytest.raises(AttributeError, match="no attribute 'commit'"):
        orchestrator.commit  # noqa: B018


def test_results_offer_nothing_that_writes() -> None:
    offered = {name for name in dir(Results) if not name.startswith("_")}
    assert not offered & {"commit", "save_checkpoint", "drop_checkpoint", "log", "delete"}
