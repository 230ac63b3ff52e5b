"""Claims on synthetic stores with known answers: effects of both signs, none, gaps."""

from __future__ import annotations

import io
import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy import stats
from statsmodels.stats.multitest import multipletests
from support.synthetic import Outcome, make_probes, make_sweep, make_trials, results_of

from orchestrator.errors import InputError, ShowError
from orchestrator.results.claims import Finding, judge
from orchestrator.results.findings import remarks, show_findings
from orchestrator.results.planning import seeds_by_interval, seeds_to_equate, seeds_to_find
from orchestrator.spec.grid import PlannedTrial, expand
from orchestrator.spec.model import Sweep

ORDERS = ("convention", "swap", "nobn")
SEEDS = tuple(range(6))
NOISE = np.random.default_rng(0).normal(0, 0.01, (2, 3, 6))
EFFECTS = {"convention": 0.0, "swap": 0.05, "nobn": 0.001}


def sweep_of(*claims: dict[str, Any], **changes: Any) -> Sweep:
    defaults = {"metric": "test_accuracy"}
    named = tuple(
        {"name": f"claim{i}"} | ({} if "probe" in claim else defaults) | claim
        for i, claim in enumerate(claims)
    )
    factors = {"dataset": ("digits", "letters"), "order": ORDERS}
    return make_sweep(**{"factors": factors, "seeds": SEEDS, "claims": named} | changes)


def value(trial: PlannedTrial) -> float:
    factors = trial.config.factors
    dataset = ("digits", "letters").index(factors["dataset"])
    noise = NOISE[dataset, ORDERS.index(factors["order"]), trial.seed]
    worse = trial.config.search["lr"] == 0.1
    return 0.6 + EFFECTS[factors["order"]] + dataset / 10 + noise - worse / 2


def findings(sweep: Sweep, outcome: Any = value, probes: Any = None) -> list[Finding]:
    trials = make_trials(sweep, outcome)
    return judge(results_of(sweep, trials, probes), sweep.claims)


def side(order: str, datasets: tuple[int, ...] = (0, 1), seeds: Any = SEEDS) -> np.ndarray:
    """The values that the selected configs have, shape (seeds,)."""
    noise = NOISE[list(datasets), ORDERS.index(order)].mean(axis=0)
    return (0.6 + EFFECTS[order] + np.mean(datasets) / 10 + noise)[list(seeds)]


GREATER = {"compare": {"order": ("swap", "convention")}, "expect": "greater"}


def test_an_effect_is_paired_averaged_over_cells_and_supported():
    (finding,) = findings(sweep_of(GREATER))
    paired = stats.ttest_rel(side("swap"), side("convention"))
    found = finding.contrast
    assert found.effect == pytest.approx(np.mean(side("swap") - side("convention")), rel=1e-12)
    assert (found.low, found.high) == pytest.approx(tuple(paired.confidence_interval()), rel=1e-9)
    assert finding.p == pytest.approx(paired.pvalue, rel=1e-9)
    assert finding.p_holm == finding.p
    assert (found.n, found.p_sign) == (6, 2 / 2**6)
    assert (finding.verdict, finding.seeds_to_decide, finding.notes) == ("supported", None, ())


def test_an_effect_of_the_other_sign_refutes():
    verdicts = [
        finding.verdict
        for finding in findings(
            sweep_of(
                GREATER | {"expect": "less"},
                {"compare": {"order": ("convention", "swap")}, "expect": "greater"},
                {"compare": {"order": ("convention", "swap")}, "expect": "less"},
            )
        )
    ]
    assert verdicts == ["refuted", "refuted", "supported"]


def test_no_effect_is_undecided_and_says_how_many_seeds_would_decide():
    (finding,) = findings(
        sweep_of({"compare": {"order": ("nobn", "convention")}, "expect": "less"})
    )
    paired = stats.ttest_rel(side("nobn"), side("convention"))
    assert finding.p == pytest.approx(paired.pvalue, rel=1e-9)
    assert finding.verdict == "undecided"
    assert finding.seeds_to_decide == seeds_by_interval(paired.statistic, 6, 0.05, 5)
    assert finding.seeds_to_decide[1] is None


def test_more_claims_take_more_seeds_to_decide():
    null = {"compare": {"order": ("nobn", "convention")}, "expect": "less"}
    (alone,), (among, *_) = findings(sweep_of(null)), findings(sweep_of(null, *[GREATER] * 4))
    assert alone.seeds_to_decide[0] < among.seeds_to_decide[0]


def pooled_spread() -> float:
    """The deviation of the selected configs' values around their cells' means."""
    residuals = NOISE - NOISE.mean(axis=2, keepdims=True)
    return float(np.sqrt((residuals**2).sum() / 30))


def test_with_the_smallest_effect_that_matters_one_number_of_seeds_finds_it():
    null = {"compare": {"order": ("nobn", "convention")}, "expect": "less", "smallest": 0.004}
    (finding,) = findings(sweep_of(null))
    # One seed's number is a difference of two values, averaged over two cells.
    expected = seeds_to_find(0.004, pooled_spread(), 0.05)
    assert finding.seeds_to_decide == (expected, expected)
    (tiny,) = findings(sweep_of(null | {"smallest": 1e-5}))
    assert tiny.seeds_to_decide == (1000, None)


def test_a_close_claim_is_planned_for_no_difference_and_the_pooled_spread():
    close = {"compare": {"order": ("swap", "convention")}, "expect": "close", "margin": 0.045}
    (finding,) = findings(sweep_of(close))
    expected = seeds_to_equate(0.045, pooled_spread(), 0.05)
    assert (finding.verdict, finding.seeds_to_decide) == ("undecided", (expected, expected))


def test_an_effect_that_is_surely_smaller_than_what_matters_is_negligible():
    null = {"compare": {"order": ("nobn", "convention")}, "expect": "less"}
    sweep = sweep_of(null, GREATER, GREATER | {"expect": "close", "margin": 0.1})
    results = results_of(sweep, make_trials(sweep, value))
    assert results.claims()[0].verdict == "undecided"
    differences = side("nobn") - side("convention")
    low, high = stats.ttest_1samp(differences, 0).confidence_interval(1 - 0.05 / 3)
    bound = max(-low, high)
    for smallest, verdict in ((bound * 1.001, "negligible"), (bound * 0.999, "undecided")):
        found = results.claims(smallest=smallest)
        assert [f.verdict for f in found] == [verdict, "supported", "supported"]
        assert [f.claim.smallest for f in found] == [smallest, smallest, None]
    with pytest.raises(InputError, match="`smallest` is 0; expected a number above 0"):
        results.claims(smallest=0)


def test_where_leaves_only_its_cells():
    claims = (
        GREATER | {"where": {"dataset": "digits"}},
        GREATER | {"where": {"dataset": ("letters",)}},
    )
    for finding, dataset in zip(findings(sweep_of(*claims)), (0, 1), strict=True):
        paired = stats.ttest_rel(side("swap", (dataset,)), side("convention", (dataset,)))
        assert finding.p == pytest.approx(paired.pvalue, rel=1e-9)


def test_p_values_are_corrected_over_the_file():
    claims = [
        {"compare": {"order": ("nobn", "convention")}, "expect": "less", "where": {"dataset": d}}
        for d in ("digits", "letters")
    ]
    found = findings(sweep_of(*claims, GREATER))
    expected = multipletests([finding.p for finding in found], method="holm")[1]
    assert [finding.p_holm for finding in found] == pytest.approx(list(expected), rel=1e-12)


def test_a_trend_is_the_slope_per_step_and_seed():
    orders = ("convention", "nobn", "swap")
    up, down = findings(
        sweep_of(
            {"compare": {"order": orders}, "expect": "increasing"},
            {"compare": {"order": orders}, "expect": "decreasing"},
        )
    )
    columns = np.stack([side(order) for order in orders]).T
    slopes = [stats.linregress([0, 1, 2], column).slope for column in columns]
    assert up.p == pytest.approx(stats.ttest_1samp(slopes, 0).pvalue, rel=1e-9)
    assert up.contrast.effect == pytest.approx(np.mean(slopes), rel=1e-12)
    assert (up.verdict, down.verdict) == ("supported", "refuted")


@pytest.mark.parametrize(
    ("margin", "verdict"), [(0.1, "supported"), (0.01, "refuted"), (0.045, "undecided")]
)
def test_close_is_tested_against_the_nearer_margin(margin, verdict):
    (finding,) = findings(sweep_of(GREATER | {"expect": "close", "margin": margin}))
    differences = side("swap") - side("convention")
    assert finding.p == pytest.approx(stats.ttest_1samp(differences, margin).pvalue, rel=1e-9)
    assert finding.verdict == verdict
    assert finding.contrast.p_sign is None
    reverse = {"compare": {"order": ("convention", "swap")}, "expect": "close", "margin": margin}
    assert findings(sweep_of(reverse))[0].verdict == verdict


def test_close_is_refuted_at_the_corrected_level_only():
    differences = side("swap") - side("convention")
    low, _ = stats.ttest_1samp(differences, 0).confidence_interval(0.97)
    close = GREATER | {"expect": "close", "margin": float(low)}
    null = {"compare": {"order": ("nobn", "convention")}, "expect": "less"}
    (alone,), (among, *_) = findings(sweep_of(close)), findings(sweep_of(close, null, null))
    assert (alone.verdict, among.verdict) == ("refuted", "undecided")
    assert among.contrast.low > close["margin"], "its own interval lies outside"


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
    assert undecided.notes[0] == "1 of 2 comparisons have no spread to test them by"
    contrary = stats.ttest_rel(side("swap", (1,)) - 0.2, side("convention", (1,)))
    assert (refuted.verdict, refuted.p) == ("refuted", pytest.approx(2 * contrary.pvalue))


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


def test_best_must_beat_each_of_the_others():
    best, worst, middle = findings(
        sweep_of(
            {"compare": {"order": ("swap", "convention", "nobn")}, "expect": "best"},
            {"compare": {"order": ("convention", "swap", "nobn")}, "expect": "best"},
            {"compare": {"order": ("nobn", "convention")}, "expect": "best"},
        )
    )
    to_convention = stats.ttest_rel(side("swap"), side("convention")).pvalue
    to_nobn = stats.ttest_rel(side("swap"), side("nobn")).pvalue
    assert best.p == pytest.approx(max(to_convention, to_nobn), rel=1e-9)
    assert worst.p == pytest.approx(2 * to_convention, rel=1e-9)
    verdicts = [finding.verdict for finding in (best, worst, middle)]
    assert verdicts == ["supported", "refuted", "undecided"]


def test_best_of_a_metric_to_minimise_is_the_smallest():
    def outcome(trial: PlannedTrial) -> Outcome:
        return {"test_loss": value(trial), "test_accuracy": 1 - value(trial)}

    claim = {"compare": {"order": ("convention", "swap")}, "expect": "best"}
    by_name = findings(sweep_of(claim | {"metric": "test_loss"}), outcome)
    assert by_name[0].verdict == "supported"
    lowest = {"metric": "test_loss", "mode": "min"}
    selected = findings(sweep_of(claim | {"metric": "test_loss"}, select=lowest), outcome)
    assert selected[0].verdict == "supported"


def test_a_probe_can_be_claimed_about():
    sweep = sweep_of(GREATER | {"metric": None, "probe": "skewness"})
    probes = make_probes(sweep, "skewness", lambda t: [value(t) - 1, value(t) + 1])
    (finding,) = findings(sweep, probes=probes)
    paired = stats.ttest_rel(side("swap"), side("convention"))
    assert finding.p == pytest.approx(paired.pvalue, rel=1e-6)
    with pytest.raises(ShowError, match="no probe `skewness`"):
        findings(sweep)


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


def test_a_probe_that_some_cells_never_took_leaves_its_claim_undecided():
    sweep = sweep_of(GREATER | {"metric": None, "probe": "skewness"}, GREATER)

    def values(trial: PlannedTrial) -> list[float]:
        return [] if trial.config.factors["dataset"] == "digits" else [value(trial)]

    about_probe, about_metric = findings(sweep, probes=make_probes(sweep, "skewness", values))
    assert about_probe.verdict == "undecided"
    assert about_metric.verdict == "supported"


def test_unequal_seeds_leave_those_that_both_sides_have():
    def outcome(trial: PlannedTrial) -> float | None:
        lacking = trial.config.factors == {"dataset": "digits", "order": "swap"} and trial.seed > 3
        return None if lacking else value(trial)

    (finding,) = findings(sweep_of(GREATER), outcome)
    paired = stats.ttest_rel(side("swap", seeds=range(4)), side("convention", seeds=range(4)))
    assert finding.contrast.n == 4
    assert finding.p == pytest.approx(paired.pvalue, rel=1e-9)
    assert finding.notes == ("1 of 4 cells incomplete",)


def test_a_failed_trial_puts_only_its_config_out():
    def outcome(trial: PlannedTrial) -> Outcome:
        failed = trial.config.search["lr"] == 0.1 and trial.seed == 0
        return {"status": "failed", "test_accuracy": None} if failed else value(trial)

    (finding,) = findings(sweep_of(GREATER), outcome)
    assert finding.p == pytest.approx(stats.ttest_rel(side("swap"), side("convention")).pvalue)
    assert finding.notes == ("4 of 4 cells incomplete",)


def test_differences_without_spread_are_said_to_be_so():
    def outcome(trial: PlannedTrial) -> float:
        return 0.1 * trial.seed + EFFECTS[trial.config.factors["order"]]

    found = findings(sweep_of(GREATER, GREATER | {"expect": "close", "margin": 0.1}), outcome)
    for finding in found:
        assert finding.contrast.effect == pytest.approx(0.05)
        assert (finding.p, finding.p_holm, finding.seeds_to_decide) == (None, None, None)
        assert finding.verdict == "undecided"
        assert finding.notes[0].startswith("no spread: all seeds give the same difference")


def test_claims_without_data_are_undecided_in_words():
    def half(trial: PlannedTrial) -> float | None:
        return None if trial.config.factors["order"] == "swap" else value(trial)

    (finding,) = findings(sweep_of(GREATER), half)
    assert (finding.verdict, finding.contrast.n, finding.p) == ("undecided", 0, None)
    assert finding.notes == ("2 of 4 cells empty", "2 of 4 cells incomplete")
    (finding,) = findings(sweep_of(GREATER), lambda _: None)
    assert finding.notes[0] == "4 of 4 cells empty"
    (finding,) = findings(sweep_of(GREATER, exclude=({"order": "swap"},)))
    assert finding.notes == ("no cells to compare",)
    (finding,) = findings(sweep_of(GREATER, seeds=(0,)))
    assert (finding.contrast.n, finding.notes) == (1, ("one seed allows no test",))


def test_a_value_that_is_not_finite_is_told():
    def outcome(trial: PlannedTrial) -> Outcome:
        return {"test_accuracy": value(trial), "test_loss": math.nan if trial.seed == 2 else 0.5}

    (finding,) = findings(sweep_of(GREATER | {"metric": "test_loss"}), outcome)
    assert math.isnan(finding.contrast.effect)
    assert (finding.verdict, finding.notes) == ("undecided", ("not finite in 1 of 6 seeds",))


def shown(format_: Any, width: int = 80) -> str:
    null = {
        "compare": {"order": ("nobn", "convention")},
        "expect": "less",
        "where": {"dataset": "digits"},
    }
    out = io.StringIO()
    show_findings(findings(sweep_of(GREATER, null)), Console(file=out, width=width), format_)
    return out.getvalue()


def test_json_holds_every_bit():
    supported, undecided = json.loads(shown("json"))
    assert list(supported) == [
        "name", "verdict", "effect", "interval", "n", "p", "p_holm", "p_sign", "test",
        "seeds_to_decide", "smallest", "notes",
    ]  # fmt: skip
    (finding, _) = findings(sweep_of(GREATER, GREATER | {"where": {"dataset": "digits"}}))
    assert supported["effect"] == finding.contrast.effect
    assert supported["interval"] == [finding.contrast.low, finding.contrast.high]
    assert supported["p"] == finding.p
    assert (supported["verdict"], supported["test"]) == ("supported", "paired t test")
    assert undecided["verdict"] == "undecided"
    fewest, most = undecided["seeds_to_decide"]
    assert (fewest > 6, most) == (True, None)
    sweep = sweep_of(GREATER, seeds=(0,))
    out = io.StringIO()
    show_findings(findings(sweep), Console(file=out), "json")
    (one,) = json.loads(out.getvalue())
    assert (one["interval"], one["p"], one["p_holm"]) == (None, None, None)


def test_text_and_markdown_state_claims_and_verdicts():
    text = shown("text", width=200)
    assert "test_accuracy by order: swap greater than convention" in text
    assert "test_accuracy by order: nobn less than convention (dataset digits)" in text
    assert "; paired t test, p = 6.5e-05; exact sign test p = 0.031." in text
    assert " to more than 1,000 seeds would decide, as far as these can tell" in text
    assert "| claim0 | supported | 4.6" in shown("markdown")
    assert max(map(len, shown("text", width=60).splitlines())) <= 60


STATEMENTS = {
    "test_accuracy by order: swap within 0.1 of convention, in each cell": GREATER
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
    found = findings(sweep_of(null | {"smallest": 0.1}, null | {"smallest": 0.004}))
    first, negligible, undecided = remarks(found)
    assert first == "p (Holm) is p corrected over all claims."
    assert "surely within ±0.1, which would not matter" in negligible
    assert "seeds find an effect of 0.004 with 80 % power" in undecided
