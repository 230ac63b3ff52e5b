"""Claims of other forms, against scipy: each cell, two cells, interactions, correlations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from support.claims import (
    GREATER,
    NOISE,
    findings,
    pooled_spread,
    side,
    sweep_of,
    value,
)
from support.synthetic import Outcome, make_probes, make_trials, results_of

from orchestrator.errors import ShowError
from orchestrator.results.claims.findings import remarks
from orchestrator.spec.grid import PlannedTrial, expand
from orchestrator.spec.model import Sweep


def test_over_each_every_cell_must_support_it():
    each = GREATER | {"over": "each"}
    p = [stats.ttest_rel(side("swap", (d,)), side("convention", (d,))).pvalue for d in (0, 1)]
    (finding,) = findings(sweep_of(each))
    assert finding.p == pytest.approx(max(p), rel=1e-9)
    worse = ("digits", "letters")[int(np.argmax(p))]
    assert finding.notes == (f"the effect is the one in {worse}, which decides",)
    effects = [np.mean(side("swap", (d,)) - side("convention", (d,))) for d in (0, 1)]
    assert finding.contrast.effect == pytest.approx(effects[int(np.argmax(p))])
    assert finding.test == "paired t test, in each of 2 cells"


def test_over_each_one_cell_can_refute_it():
    def outcome(trial: PlannedTrial) -> float:
        swapped = trial.config.factors == {"dataset": "letters", "order": "swap"}
        return value(trial) - 0.1 * swapped

    mean, each = findings(sweep_of(GREATER, GREATER | {"over": "each"}), outcome)
    contrary = stats.ttest_rel(side("swap", (1,)) - 0.1, side("convention", (1,)))
    assert each.p == pytest.approx(2 * contrary.pvalue, rel=1e-9)
    assert (mean.verdict, each.verdict) == ("undecided", "refuted")


def test_a_cell_without_spread_cannot_support_a_claim_on_each_and_others_can_refute_it():
    def outcome(against: float) -> Any:
        def values(trial: PlannedTrial) -> float:
            swapped = trial.config.factors["order"] == "swap"
            if trial.config.factors["dataset"] == "digits":
                return 0.5 + 0.1 * swapped  # the same difference in all seeds
            return value(trial) - against * swapped

        return values

    each = GREATER | {"over": "each"}
    (undecided,), (refuted,) = (
        findings(sweep_of(each), outcome(0)),
        findings(sweep_of(each), outcome(0.2)),
    )
    assert (undecided.verdict, undecided.p, undecided.seeds_to_decide) == ("undecided", 1.0, None)
    assert undecided.notes[0] == ("1 of 2 comparisons have no spread, and support nothing")
    contrary = stats.ttest_rel(side("swap", (1,)) - 0.2, side("convention", (1,)))
    assert (refuted.verdict, refuted.p) == ("refuted", pytest.approx(2 * contrary.pvalue))


def test_a_value_that_is_not_finite_leaves_a_claim_on_each_undecided():
    def outcome(trial: PlannedTrial) -> Outcome:
        lost = trial.config.factors["dataset"] == "digits" and trial.seed == 0
        return {"test_accuracy": value(trial), "test_loss": math.nan if lost else value(trial)}

    each = {"metric": "test_loss", "over": "each"}
    for finding in findings(sweep_of(GREATER | each, GREATER | each | {"expect": "less"}), outcome):
        assert (finding.verdict, finding.p) == ("undecided", None)
        assert finding.notes[0] == "not finite, or beyond 1e+150 in 1 of 6 seeds"


def test_close_over_each_takes_every_cell_within_the_margin():
    close = GREATER | {"expect": "close", "margin": 0.1, "over": "each"}
    (finding,) = findings(sweep_of(close))
    differences = [side("swap", (d,)) - side("convention", (d,)) for d in (0, 1)]
    p = [stats.ttest_1samp(each, 0.1).pvalue for each in differences]
    assert finding.p == pytest.approx(max(p), rel=1e-9)
    assert finding.verdict == "supported"


def test_a_claim_on_each_of_no_cells_is_undecided():
    sweep = sweep_of(GREATER | {"over": "each"}, exclude=({"order": "swap"},))
    (finding,) = findings(sweep)
    assert (finding.verdict, finding.notes) == ("undecided", ("no cells to compare",))


def test_best_names_the_value_that_decides():
    (finding,) = findings(
        sweep_of(
            {"compare": {"order": ("swap", "convention", "nobn")}, "expect": "best"}
            | {"over": "each"}
        )
    )
    p = {
        (other, name): stats.ttest_rel(side("swap", (d,)), side(other, (d,))).pvalue
        for other in ("convention", "nobn")
        for d, name in enumerate(("digits", "letters"))
    }
    other, dataset = max(p, key=p.__getitem__)
    assert finding.p == pytest.approx(max(p.values()), rel=1e-9)
    assert finding.notes == (f"the effect is the one against {other} in {dataset}, which decides",)


@pytest.mark.parametrize(
    ("metric", "verdict"),
    [
        ("rmse", "refuted"),
        ("test_perplexity", "refuted"),
        ("error_rate", "refuted"),
        ("f1", "supported"),
    ],
)
def test_the_best_of_a_cost_is_the_smallest(metric: str, verdict: str) -> None:
    def more(trial: PlannedTrial) -> dict[str, float]:
        return {"test_accuracy": value(trial), metric: value(trial)}

    claim = {"compare": {"order": ("swap", "convention", "nobn")}, "expect": "best"}
    (finding,) = findings(sweep_of(claim | {"metric": metric}), more)
    assert finding.verdict == verdict


def test_a_cell_without_any_difference_leaves_a_claim_about_each_undecided() -> None:
    def at_chance(trial: PlannedTrial) -> float:
        return 0.1 if trial.config.factors["dataset"] == "digits" else value(trial)

    (finding,) = findings(sweep_of({**GREATER, "over": "each"}), at_chance)
    assert (finding.verdict, finding.contrast.p_sign) == ("undecided", None)
    assert any("no spread" in note for note in finding.notes)


def test_two_cells_may_differ_in_several_factors():
    cells = ({"order": "swap", "dataset": "letters"}, {"dataset": "digits", "order": "nobn"})
    (finding,) = findings(sweep_of({"compare": cells, "expect": "greater"}))
    expected = stats.ttest_rel(side("swap", (1,)), side("nobn", (0,)))
    assert finding.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert finding.contrast.effect == pytest.approx(
        np.mean(side("swap", (1,)) - side("nobn", (0,)))
    )


def test_an_interaction_is_a_difference_of_differences():
    (finding,) = findings(
        sweep_of(
            {"compare": {"order": ("swap", "convention")}, "expect": "less"}
            | {"between": {"dataset": ("letters", "digits")}}
        )
    )
    gains = [side("swap", (d,)) - side("convention", (d,)) for d in (0, 1)]
    expected = stats.ttest_rel(gains[1], gains[0])
    assert finding.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert finding.contrast.effect == pytest.approx(np.mean(gains[1] - gains[0]))
    assert finding.test == "paired t test of differences of differences"


DEPTHS = (1, 2, 3, 4, 5)


NOISES = np.random.default_rng(3).normal(0, 0.4, (2, 5, 4))


def related(trial: PlannedTrial) -> Outcome:
    depth = trial.config.factors["depth"]
    noise = NOISES[trial.config.factors["wide"], depth - 1, trial.seed]
    return {"test_accuracy": depth / 10 + 0.1 * noise, "test_loss": 1 - depth / 10}


def correlation_sweep(**claim: Any) -> Sweep:
    factors = {"depth": DEPTHS, "wide": (0, 1)}
    defaults = {"relate": ("test_accuracy", "test_loss"), "along": "depth", "expect": "less"}
    changes = {"factors": factors, "seeds": (0, 1, 2, 3), "search": {}}
    return sweep_of({"metric": None} | defaults | claim, **changes)


def test_a_correlation_is_fishers_z_per_seed_and_cell_averaged_over_cells():
    (finding,) = findings(correlation_sweep(), related)
    depths = np.array(DEPTHS) / 10
    r = [
        [stats.pearsonr(depths + 0.1 * NOISES[wide, :, seed], 1 - depths)[0] for seed in range(4)]
        for wide in (0, 1)
    ]
    z = np.arctanh(r).mean(axis=0)
    expected = stats.ttest_1samp(z, 0)
    assert finding.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert finding.contrast.effect == pytest.approx(math.tanh(z.mean()), rel=1e-9)
    interval = np.tanh(expected.confidence_interval())
    assert (finding.contrast.low, finding.contrast.high) == pytest.approx(tuple(interval))
    assert (finding.verdict, finding.contrast.n) == ("supported", 4)
    (beyond,) = findings(correlation_sweep(margin=0.5), related)
    assert beyond.p == pytest.approx(stats.ttest_1samp(z, -math.atanh(0.5)).pvalue, rel=1e-9)
    (positive,) = findings(correlation_sweep(expect="greater"), related)
    assert positive.verdict == "refuted"


def test_what_does_not_vary_has_no_correlation():
    def flat(trial: PlannedTrial) -> Outcome:
        return {"test_accuracy": 0.5, "test_loss": trial.config.factors["depth"]}

    (finding,) = findings(correlation_sweep(), flat)
    assert (finding.verdict, finding.p) == ("undecided", None)
    assert finding.notes == ("no correlation in 4 of 4 seeds",)


def test_a_pooled_test_takes_the_spread_of_all_cells():
    (finding,) = findings(sweep_of(GREATER | {"test": "pooled", "where": {"dataset": "digits"}}))
    effect = np.mean(side("swap", (0,)) - side("convention", (0,)))
    error = pooled_spread() * math.sqrt(2 / 6)
    assert finding.p == pytest.approx(2 * stats.t.sf(effect / error, 30), rel=1e-9)
    assert finding.test == "pooled t test, 30 degrees of freedom"
    cells = NOISE.reshape(-1, 6)
    p = stats.levene(*cells, center="median").pvalue
    assert finding.notes == (
        f"spread pooled over 6 cells, which may be alike (Brown-Forsythe p = {p:.2g})",
    )
    assert finding.contrast.p_sign is None


def test_cells_that_are_not_alike_are_said_to_be_so():
    def outcome(trial: PlannedTrial) -> float:
        wild = trial.config.factors["order"] == "nobn"
        return value(trial) + wild * 40 * (value(trial) - 0.6)

    (finding,) = findings(sweep_of(GREATER | {"test": "pooled"}), outcome)
    assert "which are not alike (Brown-Forsythe p = " in finding.notes[0]


def test_one_seed_is_enough_for_a_pooled_test_if_other_cells_have_more():
    single = {"when": {"dataset": "digits"}, "seeds": (0,)}
    claim = GREATER | {"test": "pooled", "where": {"dataset": "digits"}}
    (finding,) = findings(sweep_of(claim, variants=(single,)))
    assert finding.contrast.n == 1
    assert finding.p is not None
    (finding,) = findings(sweep_of(claim, seeds=(0,)))
    assert finding.notes == ("no spread: no cell has two seeds that differ",)


def test_a_probe_can_be_its_largest_layer_or_one():
    claim = GREATER | {"metric": None, "probe": "skewness"}
    sweep = sweep_of(claim | {"layers": "max"}, claim | {"layers": "block0"})
    # The largest layer is block1 in swap, block0 elsewhere.
    probes = make_probes(
        sweep,
        "skewness",
        lambda t: [value(t), value(t) * (2 * (t.config.factors["order"] == "swap"))],
    )
    largest, first = findings(sweep, probes=probes)
    assert first.p == pytest.approx(stats.ttest_rel(side("swap"), side("convention")).pvalue)
    expected = stats.ttest_rel(2 * side("swap"), side("convention"))
    assert largest.p == pytest.approx(expected.pvalue)
    with pytest.raises(ShowError, match="no layer `block7`; it has `block0`, `block1`, `mean` and"):
        findings(sweep_of(claim | {"layers": "block7"}), probes=probes)


def test_a_claim_can_be_about_one_epoch():
    sweep = sweep_of(GREATER | {"epoch": 2})
    trials = make_trials(sweep, lambda trial: 0.5 + trial.seed / 100)
    rows = [
        {"trial_id": trial.trial_id, "epoch": epoch, "test_accuracy": value(trial) * (epoch == 2)}
        for trial in expand(sweep)
        for epoch in (1, 2, 3)
    ]
    results = results_of(sweep, trials, epochs=pd.DataFrame(rows))
    # All rates tie in the last epoch, so that the first is selected.
    (finding,) = results.claims()
    assert finding.p == pytest.approx(stats.ttest_rel(side("swap"), side("convention")).pvalue)
    late = results_of(sweep_of(GREATER | {"epoch": 9}), trials, epochs=pd.DataFrame(rows))
    message = "no trial has `test_accuracy` at epoch 9; there are epochs 1, 2, 3"
    with pytest.raises(ShowError, match=message):
        late.claims()


def test_a_probe_at_an_epoch_that_it_was_not_taken_at_is_named():
    claim = GREATER | {"metric": None, "probe": "skewness"}
    sweep = sweep_of(claim | {"epoch": 5}, claim | {"epoch": 4})
    probes = make_probes(sweep, "skewness", lambda t: [value(t)], epoch=4)
    with pytest.raises(ShowError, match="no trial has the probe `skewness` at epoch 5; there are"):
        findings(sweep, probes=probes)


STATEMENTS = {
    "test_accuracy by order: swap within 10 points of convention, in each cell": GREATER
    | {"expect": "close", "margin": 0.1, "over": "each"},
    "test_accuracy by dataset and order: digits, swap less than letters, nobn": {
        "compare": (
            {"dataset": "digits", "order": "swap"},
            {"dataset": "letters", "order": "nobn"},
        ),
        "expect": "less",
    },
    "test_accuracy by order and dataset: swap minus convention in digits greater than in letters": (
        GREATER | {"between": {"dataset": ("digits", "letters")}}
    ),
    "probe:skewness (largest layer) by order: swap greater than convention": GREATER
    | {"metric": None, "probe": "skewness", "layers": "max"},
    "probe:skewness (layer block0, epoch 1) by order: swap greater than convention": GREATER
    | {"metric": None, "probe": "skewness", "layers": "block0", "epoch": 1},
}


@pytest.mark.parametrize("said", STATEMENTS)
def test_every_claim_is_stated_in_words(said):
    sweep = sweep_of(STATEMENTS[said])
    probes = make_probes(sweep, "skewness", lambda trial: [value(trial)])
    assert f"claim0: {said};" in remarks(findings(sweep, probes=probes))[1]


def test_correlations_and_verdicts_are_stated_in_words():
    (finding,) = findings(correlation_sweep(margin=0.5), related)
    (_, said) = remarks([finding])
    assert "test_accuracy and test_loss along depth: correlation less than -0.5; " in said
    assert "paired t test of Fisher's z against the margin, p = " in said
    null = {"compare": {"order": ("nobn", "convention")}, "expect": "less", "test": "pooled"}
    smallest = [null | {"smallest": effect} for effect in (0.1, 0.004, 0.004)]
    first, negligible, undecided, *_ = remarks(findings(sweep_of(*smallest)))
    assert first == "p (Holm) is p corrected over all claims."
    assert "surely within ±10 points, which would not matter" in negligible
    assert "seeds find an effect of 0.4 points with 80 % power" in undecided
