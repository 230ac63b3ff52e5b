"""Decompositions of variance, against numbers by hand and against statsmodels."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import Result
from hypothesis import example, given, settings
from hypothesis import strategies as st
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from support import commands
from support.synthetic import make_probes, make_sweep, make_trials, results_of

from orchestrator.errors import ShowError
from orchestrator.results.effects import Effects
from orchestrator.results.variance import balanced, decompose
from orchestrator.spec.grid import PlannedTrial
from orchestrator.spec.model import Sweep

GRIDS = st.lists(st.integers(2, 3), min_size=2, max_size=4).flatmap(
    lambda sizes: (
        st.lists(st.integers(-50, 50), min_size=math.prod(sizes), max_size=math.prod(sizes))
        .filter(lambda values: len(set(values)) > 1)
        .map(lambda values: np.array(values, dtype=float).reshape(sizes))
    )
)
"""Grids of one to three params and seeds, whose values are not all the same."""

NAMES = ["a", "b", "c"]


def shares(effects: Effects) -> dict[str, float]:
    return {effect.name: effect.share for effect in effects.effects}


def effects_of(sweep: Sweep, outcome: Any, metric: str | None = None, **frames: Any) -> Effects:
    return results_of(sweep, make_trials(sweep, outcome), **frames).effects(metric)


def accuracy(trial: PlannedTrial) -> float:
    """Order adds 4, the rate 2, order and rate together 1, the seed 1: each up or down."""
    order = 1 if trial.config.factors["order"] == "swap" else -1
    rate = 1 if trial.config.search["lr"] == 0.1 else -1
    return 0.5 + (4 * order + 2 * rate + order * rate + (trial.seed - 1)) / 64


# The decomposition.


@given(GRIDS)
@settings(max_examples=40)
def test_sums_of_squares_are_those_of_statsmodels(grid: Any):
    names = NAMES[: grid.ndim - 1]
    found = {effect.name: effect for effect in decompose(grid, names)}
    rows = [(*place, value) for place, value in np.ndenumerate(grid)]
    frame = pd.DataFrame(rows, columns=[*names, "s", "y"])
    crossed = " * ".join(f"C({name})" for name in names)
    table = anova_lm(ols(f"y ~ {crossed} + C(s)", data=frame).fit())
    whole = table["sum_sq"].sum()
    terms = {
        " × ".join(some): ":".join(f"C({name})" for name in some)
        for order in (1, 2)
        for some in itertools.combinations(names, order)
    }
    terms |= {"seed": "C(s)", "seed × params": "Residual"}
    if len(names) == 3:
        terms["higher orders"] = "C(a):C(b):C(c)"
    assert found.keys() == terms.keys()
    for name, term in terms.items():
        assert found[name].share * whole == pytest.approx(table["sum_sq"][term], abs=1e-7 * whole)
        assert found[name].df == table["df"][term]


@given(GRIDS, st.floats(0.01, 100), st.floats(-100, 100))
def test_shares_are_of_one_whole_and_have_no_unit(grid: Any, factor: float, shift: float):
    found = decompose(grid, NAMES[: grid.ndim - 1])
    assert sum(effect.share for effect in found) == pytest.approx(1, abs=1e-12)
    assert all(effect.share >= 0 for effect in found)
    assert sum(effect.df for effect in found) == grid.size - 1
    scaled = [effect.share for effect in decompose(factor * grid + shift, NAMES[: grid.ndim - 1])]
    assert scaled == pytest.approx([effect.share for effect in found], abs=1e-9)


def test_shares_are_exact_by_hand():
    found = effects_of(make_sweep(), accuracy)
    whole = 16 + 4 + 1 + 2 / 3
    assert [effect.name for effect in found.effects][:3] == ["order", "lr", "order × lr"]
    assert shares(found) == pytest.approx(
        {
            "dataset": 0,
            "order": 16 / whole,
            "lr": 4 / whole,
            "dataset × order": 0,
            "dataset × lr": 0,
            "order × lr": 1 / whole,
            "higher orders": 0,
            "seed": 2 / 3 / whole,
            "seed × params": 0,
        },
        abs=1e-12,
    )
    assert (found.trials, found.seeds, found.left_out) == (24, 3, 0)
    assert found.means["order"] == pytest.approx({"convention": 0.4375, "swap": 0.5625})
    assert found.means["lr"] == pytest.approx({"0.1": 0.53125, "0.01": 0.46875})


def test_noise_gives_each_effect_its_share_of_the_degrees_of_freedom():
    random = np.random.default_rng(0)
    worlds = [decompose(random.normal(size=(2, 4, 3)), ["a", "b"]) for _ in range(2000)]
    means = np.mean([[effect.share for effect in found] for found in worlds], axis=0)
    assert means == pytest.approx([effect.df / 23 for effect in worlds[0]], abs=0.01)


# The balanced part.


def grid_of(*sizes: int) -> list[tuple[int, ...]]:
    return list(itertools.product(*map(range, sizes)))


PLACES = st.lists(st.integers(1, 4), min_size=1, max_size=3).flatmap(
    lambda sizes: st.lists(st.sampled_from(grid_of(*sizes)), min_size=1, unique=True)
)


@given(PLACES)
@example([(0, 0, 0), (1, 1, 0)])
def test_the_balanced_part_is_a_complete_grid(trials: list[tuple[int, ...]]):
    places = np.array(trials)
    kept = balanced(places)
    assert len(kept) > 0
    assert kept.tolist() == sorted(set(kept.tolist()))
    axes = [set(column) for column in places[kept].T.tolist()]
    assert set(itertools.product(*axes)) == {trials[index] for index in kept}


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.randoms())
def test_of_a_complete_grid_nothing_is_left_out(sizes: list[int], random: Any):
    trials = grid_of(*sizes)
    random.shuffle(trials)
    assert balanced(np.array(trials)).tolist() == list(range(len(trials)))


def test_of_no_trials_there_is_no_grid():
    assert len(balanced(np.empty((0, 3), dtype=int))) == 0


def test_a_hole_costs_as_few_trials_as_it_can():
    def outcome(trial: PlannedTrial) -> Any:
        lr, swap = trial.config.search["lr"], trial.config.factors["order"] == "swap"
        if lr == 0.001 and swap and trial.seed == 2:
            return {"test_accuracy": math.nan, "status": "diverged"}
        return accuracy(trial)

    sweep = make_sweep(search={"lr": (0.1, 0.01, 0.001, 0.0001)})
    found = effects_of(sweep, outcome)
    assert (found.trials, found.left_out) == (36, 12)
    assert found.notes[:2] == (
        "36 of 48 trials (2 dataset × 2 order × 3 lr × 3 seeds), "
        "with a standard deviation of 6.7 points.",
        "Left out, so that every combination has a value: lr 0.001.",
    )


def test_a_seed_that_is_half_done_is_left_out():
    def outcome(trial: PlannedTrial) -> Any:
        is_done = trial.seed == 0 or (
            trial.seed == 1 and trial.config.factors["dataset"] == "digits"
        )
        return accuracy(trial) if is_done else None

    found = effects_of(make_sweep(), outcome)
    assert (found.trials, found.seeds) == (8, 1)
    assert found.notes[1:] == (
        "Left out, so that every combination has a value: seed 1, seed 2.",
        "All of them: seed 0.",
        "With one seed, noise counts as part of the effects.",
    )
    assert not {"seed", "seed × params"} & shares(found).keys()


@pytest.mark.parametrize("status", ["failed", "unfinished", "diverged"])
def test_only_trials_that_completed_count(status: str):
    def outcome(trial: PlannedTrial) -> Any:
        is_off = trial.config.search["lr"] == 0.1
        return {"test_accuracy": accuracy(trial), "status": status if is_off else "completed"}

    found = effects_of(make_sweep(), outcome)
    assert found.trials == 12
    assert list(found.means) == ["dataset", "order"]
    assert "All of them: lr 0.01." in found.notes


def test_excluded_cells_and_other_searches_are_left_out():
    sweep = make_sweep(
        factors={"dataset": ("digits", "letters"), "order": ("convention", "swap", "none")},
        variants=({"when": {"dataset": "letters"}, "search": {"lr": (0.01, 0.1, 0.5)}},),
        exclude=({"dataset": "letters", "order": "none"},),
    )
    found = effects_of(sweep, lambda trial: trial.config.search["lr"] + trial.seed)
    assert found.means.keys() == {"dataset", "order", "lr"}
    assert list(found.means["order"]) == ["convention", "swap"]
    assert list(found.means["lr"]) == ["0.1", "0.01"]
    assert found.notes[1] == "Left out, so that every combination has a value: order none; lr 0.5."


def test_many_values_that_are_left_out_are_counted():
    sweep = make_sweep(search={"lr": tuple(range(1, 11))})
    found = effects_of(sweep, lambda t: accuracy(t) if t.config.search["lr"] < 3 else None)
    assert found.notes[1].endswith("value: 8 of 10 lr.")


def test_params_that_go_together_are_one_axis():
    sweep = make_sweep(
        factors={"model": ("vgg", "resnet")},
        search={"lr": (0.1, 0.01), "decay": (0.5, 0.05)},
        exclude=({"lr": 0.1, "decay": 0.05}, {"lr": 0.01, "decay": 0.5}),
    )
    found = effects_of(sweep, lambda trial: trial.config.search["lr"] * 2 + trial.seed)
    assert found.left_out == 0
    assert list(found.means["lr, decay"]) == ["lr 0.1, decay 0.5", "lr 0.01, decay 0.05"]
    assert {"lr, decay", "model × lr, decay"} <= shares(found).keys()


# What it is about.


def test_a_probe_or_another_metric_can_be_decomposed():
    sweep = make_sweep()
    probes = make_probes(sweep, "skewness", lambda trial: [trial.seed, trial.seed + 1])
    found = effects_of(sweep, lambda _: {"test_accuracy": 0.5}, "probe:skewness", probes=probes)
    assert shares(found)["seed"] == pytest.approx(1)
    assert found.figure().name == "effects-probe-skewness"
    loss = effects_of(sweep, lambda t: {"test_accuracy": 0.5, "loss": accuracy(t)}, "loss")
    assert shares(loss) == shares(effects_of(sweep, accuracy))


def test_the_selection_metric_is_taken_as_the_selection_takes_it():
    sweep = make_sweep(select={"metric": "test_accuracy", "at": "best"})
    best = {"test_accuracy": 0.5}
    found = effects_of(sweep, lambda t: best | {"best_test_accuracy": accuracy(t)})
    assert shares(found)["order"] > 0.7


def test_trials_that_did_not_run_alike_are_told():
    def outcome(trial: PlannedTrial) -> Any:
        is_long = trial.seed == 2 and trial.config.factors["order"] == "swap"
        return {"test_accuracy": accuracy(trial), "epochs_run": 2 if is_long else 1}

    found = effects_of(make_sweep(), outcome)
    assert found.notes[-1] == "4 of 8 configs with trials of different numbers of epochs."


def test_seeds_of_one_config_have_no_other_effect():
    sweep = make_sweep(factors={"order": ("swap",)}, search={})
    found = effects_of(sweep, lambda trial: trial.seed / 64)
    assert shares(found) == {"seed": 1}
    assert found.means == {}


def test_a_few_trials_or_none_are_refused():
    sweep = make_sweep()
    one = (
        "`synthetic` has no complete grid of two trials or more to decompose `test_accuracy` "
        "over: {} of 24 trials completed with a finite value; the others are missing, "
        "failed or diverged"
    )
    with pytest.raises(ShowError, match=one.format(0)):
        effects_of(sweep, lambda _: None)

    def first(trial: PlannedTrial) -> float | None:
        params = trial.config.selectors
        is_first = params == {"dataset": "digits", "order": "swap", "lr": 0.1}
        return 0.5 if is_first and trial.seed == 0 else None

    with pytest.raises(ShowError, match=one.format(1)):
        effects_of(sweep, first)
    with pytest.raises(ShowError, match=one.format(0)):
        effects_of(sweep, lambda _: {"test_accuracy": math.nan})


def test_no_variance_is_told():
    said = "all 24 trials .* have the same `test_accuracy`, 0.333333: there is no variance"
    with pytest.raises(ShowError, match=said):
        effects_of(make_sweep(), lambda trial: 1 / 3 + trial.seed * 1e-16)


def test_a_metric_that_does_not_exist_is_told():
    with pytest.raises(ShowError, match="no metric `acc`; it has `test_accuracy`"):
        effects_of(make_sweep(), accuracy, "acc")
    with pytest.raises(ShowError, match="no probe `skew`"):
        effects_of(make_sweep(), accuracy, "probe:skew")


# How it is shown.


def test_a_figure_shows_the_largest_effects(tmp_path: Path):
    found = effects_of(make_sweep(), accuracy)
    plot = found.figure()
    ((panel,),) = plot.panels
    points = panel.series[0].points
    assert [(p.x, p.y) for p in points] == [(e.name, 100 * e.share) for e in found.effects]
    assert [path.name for path in plot.save(tmp_path)] == [
        "effects-test_accuracy.svg",
        "effects-test_accuracy.png",
    ]
    text = (tmp_path / "effects-test_accuracy.svg").read_text()
    assert all(word in text for word in ("order × lr", "73.8", "seed × params"))
    many = make_sweep(factors=dict.fromkeys("abcd", (1, 2)), search={})
    plot = effects_of(many, lambda t: t.config.factors["a"] + t.seed).figure()
    assert len(plot.panels[0][0].series[0].points) == 12
    assert plot.notes[-1] == "1 smaller effect not shown."


def test_a_notebook_shows_tables_and_remarks():
    text = effects_of(make_sweep(), accuracy)._repr_html_()
    assert text.count("<table") == 2
    assert "order × lr" in text
    assert "<li>24 of 24 trials" in text


TRAINABLE = """
def train(params, trial):
    swap = params["order"] == "swap"
    yield {"score": 3 * swap + params["lr"] + params["seed"], "same": 1}
"""

FILE = """
name: toy
trainable: toy_effects:train
seeds: [0, 1]
factors: {order: [convention, swap]}
search: {lr: [1.0, 2.0]}
select: {metric: score}
"""


def swept(place: Path) -> Path:
    (place / "toy_effects.py").write_text(TRAINABLE)
    (place / "toy.yaml").write_text(FILE)
    assert orch(place, "sweep", "--runner", "inline").exit_code == 0
    return place


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return swept(tmp_path_factory.mktemp("effects"))


def orch(folder: Path, command: str, *options: str) -> Result:
    return commands.orch(folder, command, "toy.yaml", *options)


EXACT = {"order": 9, "lr": 1, "order × lr": 0, "seed": 1, "seed × params": 0}


def test_the_command_writes_each_format(folder: Path):
    rows = json.loads(orch(folder, "effects", "--format", "json").stdout)
    assert rows[0].keys() == {"metric", "effect", "share", "df", "trials", "left_out"}
    assert {row["effect"]: row["share"] * 11 for row in rows} == pytest.approx(EXACT, abs=1e-12)
    lines = orch(folder, "effects", "--format", "csv").stdout.splitlines()
    assert lines[0] == "metric,effect,share,df,trials,left_out"
    assert [line.split(",")[1] for line in lines[1:]] == [row["effect"] for row in rows]
    text = orch(folder, "effects", "score").stdout
    assert text == orch(folder, "effects").stdout
    assert "8 of 8 trials (2 order × 2 lr × 2 seeds)" in text
    marked = orch(folder, "effects", "--format", "markdown").stdout
    assert "| order | 81.8 | 1 |" in marked.replace("---:", "---")
    assert "- Noise alone gives" in marked


def test_the_command_draws_the_figure_beside_what_it_prints(folder: Path):
    done = orch(folder, "effects", "--format", "json", "-o", "drawn", "--seeds", "0")
    assert len(json.loads(done.stdout)) == 3
    names = ["drawn/toy/effects-score.svg", "drawn/toy/effects-score.png"]
    assert done.stderr.split() == names
    assert all((folder / name).stat().st_size > 1000 for name in names)


def test_trials_of_different_code_are_told(tmp_path: Path):
    swept(tmp_path)
    (tmp_path / "toy_effects.py").write_text(TRAINABLE.replace("3 *", "4 *"))
    assert orch(tmp_path, "sweep", "--runner", "inline", "--seeds", "0-2").exit_code == 0
    text = orch(tmp_path, "effects").stdout
    assert "12 of 12 trials" in text
    assert "• The trials ran different code (toy_effects.py)." in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("same",),
            "all 8 trials of `toy` that could be decomposed have the same `same`, 1: there",
        ),
        (("scor",), "the store has no metric `scor`; it has `score`"),
        (("--seeds", "5"), "0 of 4 trials completed with a finite value"),
    ],
)
def test_what_cannot_be_decomposed_is_bad_input(folder: Path, options: tuple[str, ...], said: str):
    done = orch(folder, "effects", *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
