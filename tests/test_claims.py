"""Claims on synthetic stores with known answers: effects of both signs, none, gaps."""

from __future__ import annotations

import io
import json
import math
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from scipy import stats
from statsmodels.stats.multitest import multipletests
from support.claims import (
    EFFECTS,
    GREATER,
    findings,
    pooled_spread,
    side,
    sweep_of,
    value,
)
from support.synthetic import Outcome, make_probes, make_trials, results_of

from orchestrator.errors import InputError, ShowError
from orchestrator.results.claims.findings import show_findings
from orchestrator.results.claims.planning import seeds_by_interval, seeds_to_equate, seeds_to_find
from orchestrator.results.claims.statements import statement
from orchestrator.spec.grid import PlannedTrial


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
    low, high = stats.ttest_1samp(differences, 0).confidence_interval(
        1 - 0.05 / 2
    )  # `close` is decided
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
    assert (finding.verdict, finding.notes) == (
        "undecided",
        ("not finite, or beyond 1e+150 in 1 of 6 seeds",),
    )


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
        "seeds_to_decide", "smallest", "exploratory", "at_most", "looks", "notes",
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


def test_without_confirm_seeds_findings_are_exploratory_and_say_so():
    (exploratory,) = findings(sweep_of(GREATER))
    assert exploratory.exploratory
    assert "Exploratory: the seeds that are reported also selected, which flatters" in shown(
        "text", width=300
    )
    (confirmed,) = findings(sweep_of(GREATER, seeds=(0,), confirm=(1, 2, 3, 4, 5)))
    assert not confirmed.exploratory
    assert confirmed.verdict == "supported"


def test_sides_that_searched_unequally_are_undecided_without_confirm_seeds():
    unequal = {
        "search": {"lr": (0.1, 0.01)},
        "exclude": ({"order": "convention", "lr": 0.01},),
    }
    (finding,) = findings(sweep_of(GREATER, **unequal))
    assert (finding.verdict, finding.seeds_to_decide) == ("undecided", None)
    (note,) = finding.notes
    assert note.startswith("the sides chose among 2 and 1 configs, by the seeds that are reported")
    (finding,) = findings(sweep_of(GREATER, **unequal, seeds=(0,), confirm=(1, 2, 3, 4, 5)))
    assert finding.verdict == "supported"
    (note,) = finding.notes
    assert note.startswith("the sides chose among 2 and 1 configs, by other seeds than are")


def test_the_name_of_a_claim_is_folded_after_its_hyphens():
    out = io.StringIO()
    named = findings(sweep_of(GREATER | {"name": "swap-helps-tanh-more-than-nwdbn"}))
    show_findings(named, Console(file=out, width=60), "text")
    below_the_rule = out.getvalue().partition(" ─")[2].splitlines()[1:]
    pieces = [line.strip().partition(" ")[0] for line in below_the_rule]
    pieces = pieces[: pieces.index("")]
    assert "".join(pieces) == "swap-helps-tanh-more-than-nwdbn"
    assert len(pieces) > 1
    assert all(piece.endswith("-") for piece in pieces[:-1])


@pytest.mark.parametrize(
    ("metric", "margin", "said"),
    [
        ("test_accuracy", 0.07, "7 points"),
        ("test_accuracy", 0.01, "1 point"),
        ("test_loss", 0.07, "0.07"),
    ],
)
def test_margins_are_said_in_the_unit_of_effects(metric: str, margin: float, said: str):
    (claim,) = sweep_of(GREATER | {"metric": metric, "expect": "close", "margin": margin}).claims
    assert f"swap within {said} of convention" in statement(claim)


def test_text_and_markdown_state_claims_and_verdicts():
    text = shown("text", width=200)
    assert "test_accuracy by order: swap greater than convention" in text
    assert "test_accuracy by order: nobn less than convention (dataset digits)" in text
    assert "; paired t test, p = 6.5e-05; exact sign test p = 0.031." in text
    assert " to more than 1,000 seeds would decide, as far as these can tell" in text
    assert "| claim0 | supported | 4.6" in shown("markdown")
    assert max(map(len, shown("text", width=60).splitlines())) <= 60
