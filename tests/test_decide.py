"""Decide: confirm seeds are added until claims have verdicts, which hold at every look."""

from __future__ import annotations

import io
import itertools
import json
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from scipy import stats
from support.commands import orch
from support.documented import schema
from support.simulation import FakeRunner, Simulation
from support.synthetic import make_probes, make_trials, results_of

from benchmarks import statistics as benchmark
from orchestrator import SpecError, load
from orchestrator.errors import StoreError
from orchestrator.results import Results
from orchestrator.results.claims.boundary import Looks
from orchestrator.results.claims.contrasts import slope_weights
from orchestrator.results.claims.findings import show_findings
from orchestrator.results.claims.judge import Finding
from orchestrator.results.claims.sequential import (
    NEGLIGIBLE,
    REFUTED,
    SUPPORTED,
    Evidence,
    decide,
)
from orchestrator.results.wanted import possible
from orchestrator.running.plan import plan
from orchestrator.spec import PlannedTrial, Sweep, load_text
from orchestrator.store import Store, Stores

MOST = 10
LRS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]

GREATER = {"name": "greater", "compare": {"x": [2, 1]}, "metric": "score", "expect": "greater"}


def keys_of(*claims: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "name": "toy",
        "trainable": "toy:train",
        "seeds": [0, 1],
        "decide": {"at_most": MOST},
        "factors": {"x": [1, 2, 3, 4]},
        "select": {"metric": "score", "mode": "max"},
        "claims": [*(claims or (GREATER,))],
        **changes,
    }


def sweep_of(*claims: Mapping[str, Any], **changes: Any) -> Sweep:
    return load(keys_of(*claims, **changes))


def results(sweep: Sweep, values: Mapping[tuple[int, int], Any], seeds: int = MOST) -> Results:
    """Results of trials with these scores by x and confirm seed, up to so many of these."""

    def outcome(trial: PlannedTrial) -> Any:
        value = values.get((trial.params["x"], trial.seed), 0.0 if trial.seed < 1000 else None)
        if trial.seed >= 1000 + seeds or value is None:
            return None
        return value if isinstance(value, dict) else {"score": value}

    trials = make_trials(sweep, outcome)
    return results_of(sweep, trials)


def world(seed: int, shifts: Mapping[int, float] = {2: 1.0}) -> dict[tuple[int, int], float]:
    noise = np.random.default_rng(seed).standard_normal((4, MOST))
    return {
        (x, 1000 + n): float(noise[x - 1, n]) + shifts.get(x, 0.0)
        for x in (1, 2, 3, 4)
        for n in range(MOST)
    }


def side(values: Mapping[tuple[int, int], float], x: int) -> np.ndarray:
    return np.array([values[x, 1000 + n] for n in range(MOST)])


# Verdicts

KINDS: dict[str, tuple[dict[str, Any], Any, dict[str, Any]]] = {
    "greater": ({}, lambda s: [s[2] - s[1]], {}),
    "less": ({"expect": "less"}, lambda s: [s[2] - s[1]], {"sign": -1}),
    "close": ({"expect": "close", "margin": 1.5}, lambda s: [s[2] - s[1]], {"margin": 1.5}),
    "smallest": ({"smallest": 1.5}, lambda s: [s[2] - s[1]], {"smallest": 1.5}),
    "best": (
        {"compare": {"x": [2, 1, 3]}, "expect": "best"},
        lambda s: [s[2] - s[1], s[2] - s[3]],
        {},
    ),
    "increasing": (
        {"compare": {"x": [1, 2, 3]}, "expect": "increasing"},
        lambda s: [slope_weights(3) @ np.array([s[1], s[2], s[3]])],
        {},
    ),
}
VERDICTS = {0: "undecided", SUPPORTED: "supported", REFUTED: "refuted", NEGLIGIBLE: "negligible"}


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=4, unique=True),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 1.0, -2.0, 4.0]),
)
def test_a_file_gets_the_verdicts_that_its_numbers_get(kinds, seed, shift):
    values = world(seed, {2: shift, 3: shift / 2})
    sides = {x: side(values, x) for x in (1, 2, 3)}
    claims = [{**GREATER, **KINDS[kind][0], "name": kind} for kind in kinds]
    expected = decide(
        [Evidence(np.array([KINDS[k][1](sides)]), Looks(2, MOST), **KINDS[k][2]) for k in kinds]
    )
    found = results(sweep_of(*claims), values).claims()
    assert [f.verdict for f in found] == [VERDICTS[o] for o in expected.outcomes[0].tolist()]
    decided_at = [f.contrast.n if f.verdict != "undecided" else 0 for f in found]
    assert decided_at == expected.seeds[0].tolist()


def verdict_at(sweep: Sweep, values: Mapping[tuple[int, int], Any], seeds: int) -> Finding:
    (finding,) = results(sweep, values, seeds).claims()
    return finding


def test_the_first_crossing_stands_and_later_seeds_are_shown():
    sweep, values = sweep_of(), world(1, {2: 3.0})
    found = [verdict_at(sweep, values, n) for n in range(2, MOST + 1)]
    decided = next(n for n, f in enumerate(found, start=2) if f.verdict == "supported")
    for n, finding in enumerate(found, start=2):
        assert finding.verdict == ("supported" if n >= decided else "undecided")
        assert [look.seeds for look in finding.looks] == list(range(2, n + 1))
        assert finding.contrast.n == min(n, decided)
    spoilt = values | {(2, 1000 + n): -50.0 for n in range(decided, MOST)}
    last = verdict_at(sweep, spoilt, MOST)
    assert (last.verdict, last.contrast) == ("supported", found[-1].contrast)
    assert last.looks[-1].effect < 0
    assert f"decided at seed {decided} of at most {MOST}" in last.notes


def test_a_seed_counts_once_every_cell_has_all_before_it():
    sweep, values = sweep_of(), world(2)
    full = verdict_at(sweep, values, 5)
    assert [look.seeds for look in full.looks] == [2, 3, 4, 5]
    gap = {key: value for key, value in values.items() if key != (1, 1002)}
    finding = verdict_at(sweep, gap, 5)
    assert finding.contrast.n == 2
    assert finding.looks == full.looks[:1]
    assert finding.notes == (f"seed 3 of at most {MOST} comes next",)


def test_a_verdict_does_not_depend_on_which_claims_seeds_are_in_first():
    other = {**GREATER, "name": "other", "compare": {"x": [4, 3]}}
    sweep, values = sweep_of(GREATER, other), world(2, {2: 2.5, 4: 1.0})
    first, second = results(sweep, values).claims()
    assert [(f.verdict, f.contrast.n) for f in (first, second)] == [("supported", 7)] * 2
    slow = {key: v for key, v in values.items() if key[0] < 3 or key[1] < 1005}
    found = results(sweep, slow)
    # Alone it is decided at seed 5, which it does not know before its seed 7.
    assert results(sweep_of(other), slow).claims()[0].contrast.n == 5
    first, second = found.claims()
    assert (first.verdict, first.contrast.n) == ("supported", 7)
    assert (second.verdict, second.contrast.n) == ("undecided", 5)
    assert max(t.seed for t in found.wanted.trials if t.params["x"] == 4) == 1005
    lost = slow | {(x, 1005): {"score": 0.5, "status": "diverged"} for x in (3, 4)}
    assert results(sweep, lost).claims()[1].verdict == "supported", "it waits for nothing"


def test_before_two_seeds_there_is_no_look():
    finding = verdict_at(sweep_of(), world(2), 1)
    assert (finding.p, finding.looks, finding.verdict) == (None, (), "undecided")
    assert finding.notes[0] == (
        f"1 of {MOST} confirm seeds are in every cell; the first look is at 2"
    )
    assert verdict_at(sweep_of(), world(2), 0).contrast.n == 0


def test_a_verdict_waits_until_the_selection_is_final():
    sweep = sweep_of(search={"lr": [0.1, 0.2]})
    values = world(1, {2: 9.0})

    def outcome(trial: PlannedTrial) -> Any:
        if trial.seed < 1000:
            open_ = trial.params["x"] == 1 and trial.config.search["lr"] == 0.2
            return None if open_ and trial.seed == 1 else {"score": -trial.config.search["lr"]}
        return {"score": values[trial.params["x"], trial.seed]}

    (finding,) = results_of(sweep, make_trials(sweep, outcome)).claims()
    assert (finding.verdict, finding.contrast.n) == ("undecided", 0)
    assert finding.notes[0] == "the selection is open in 1 of 2 cells"


def test_a_diverged_seed_ends_the_looks_of_its_claims_and_asks_for_no_more():
    values = world(3, {2: 0.5})
    sweep = sweep_of(GREATER, {**GREATER, "name": "other", "compare": {"x": [4, 3]}})
    lost = values | {(1, 1004): {"score": 0.5, "status": "diverged"}}
    found = results(sweep, lost, 6)
    first, other = found.claims()
    assert (first.verdict, first.p) == ("undecided", None)
    assert first.notes[:2] == (
        "diverged, or not finite, or beyond 1e+150 in 1 of 6 seeds",
        "it gets no further seeds",
    )
    assert other.notes == (f"seed 7 of at most {MOST} comes next",)
    asked = [t for t in found.wanted.trials if t.seed == 1006]
    assert {trial.params["x"] for trial in asked} == {3, 4}


def test_claims_without_a_verdict_ask_their_cells_for_the_next_seed():
    sweep = sweep_of(GREATER, {**GREATER, "name": "sure", "compare": {"x": [4, 3]}})
    values = world(4, {4: 50.0})
    first = results(sweep, {}, 0).wanted
    assert {t.seed for t in first.trials} == {0, 1, 1000, 1001}
    assert (first.in_all, first.at_worst) == (4 * 4, 4 * (2 + MOST))
    found = results(sweep, values, 5)
    undecided, sure = found.claims()
    assert (undecided.verdict, sure.verdict) == ("undecided", "supported")
    by_cell: dict[int, list[int]] = {}
    for trial in found.wanted.trials:
        by_cell.setdefault(trial.params["x"], []).append(trial.seed)
    next_seeds = [0, 1, *range(1000, 1006)]
    used = [0, 1, *range(1000, 1000 + sure.contrast.n)]
    assert by_cell == {1: next_seeds, 2: next_seeds, 3: used, 4: used}
    assert found.wanted.in_all == sum(map(len, by_cell.values()))


def test_with_confirm_alone_the_verdict_comes_with_the_last_seed():
    sweep = sweep_of(decide=None, confirm=5)
    values = world(1, {2: 9.0})
    for seeds in range(5):
        finding = verdict_at(sweep, values, seeds)
        assert (finding.verdict, finding.p, finding.p_holm) == ("undecided", None, None)
    assert finding.notes[0] == (
        "4 of 5 confirm seeds are in every cell; the verdict comes with the last"
    )
    last = verdict_at(sweep, values, 5)
    assert (last.verdict, last.looks, last.at_most) == ("supported", (), None)
    lost = values | {(1, 1004): {"score": 0.5, "status": "diverged"}}
    diverged = verdict_at(sweep, lost, 5)
    assert diverged.verdict == "undecided"
    assert diverged.notes[0] == "diverged, or not finite, or beyond 1e+150 in 1 of 5 seeds"
    failed = values | {(1, 1004): {"score": None, "status": "failed"}}
    assert verdict_at(sweep, failed, 5).verdict == "undecided"


def test_a_pooled_spread_is_that_of_the_seeds_which_have_been_looked_at():
    pooled = {**GREATER, "test": "pooled"}
    values = world(5, {2: 2.0})
    sweep = sweep_of(pooled, confirm=3)
    finding = verdict_at(sweep, values, 6)
    for look in finding.looks:
        own = [side(values, x)[: look.seeds] for x in (1, 2)]
        others = [side(values, x)[: min(look.seeds, 3)] for x in (3, 4)]
        cells = [*own, *others]
        df = sum(len(cell) - 1 for cell in cells)
        variance = sum(((cell - cell.mean()) ** 2).sum() for cell in cells) / df
        error = np.sqrt(2 * variance / look.seeds)
        assert look.effect == pytest.approx((own[1] - own[0]).mean())
        assert (look.low + look.high) / 2 == pytest.approx(look.effect)
        assert look.p == pytest.approx(2 * stats.t.sf(abs(look.effect) / error, df))
        half = stats.t.isf(look.needed / 2, df) * error
        assert look.high - look.effect == pytest.approx(half)
    waiting = {key: value for key, value in values.items() if key != (4, 1002)}
    assert verdict_at(sweep, waiting, 6).contrast.n == 2  # it pools the third seed of all cells


def test_claims_about_probes_and_correlations_are_decided():
    related = {"name": "related", "relate": ["score", "other"], "along": "x", "expect": "greater"}
    sweep = sweep_of(related)
    values = {
        key: {"score": value, "other": value + noise / 10}
        for (key, value), noise in zip(world(1).items(), world(2).values(), strict=True)
    }
    first = {(x, seed): {"score": 0.0, "other": 0.0} for x in (1, 2, 3, 4) for seed in (0, 1)}
    (finding,) = results(sweep, values | first).claims()
    assert finding.verdict == "supported"
    assert all(-1 <= look.low <= look.effect <= look.high <= 1 for look in finding.looks)
    probed = sweep_of({**GREATER, "metric": None, "probe": "size"}, factors={"x": [1, 2]})
    trials = make_trials(probed, lambda _: {"score": 0.1})
    assert {t.trial_id for t in possible(probed)} == set(trials["trial_id"])
    noise = random.Random(0)
    probes = make_probes(
        probed, "size", lambda t: [t.params["x"] + noise.gauss(0, 0.1)], planned=possible
    )
    (of_probe,) = results_of(probed, trials, probes).claims()
    assert (of_probe.verdict, of_probe.looks[-1].seeds) == ("supported", MOST)


def test_every_look_is_in_text_markdown_json_html_and_a_figure(tmp_path):
    found = results(sweep_of(), world(1, {2: 3.0}), 8).claims()
    (finding,) = found
    shown = repr(found)
    assert "Looks at greater" in shown
    assert f"{finding.contrast.n} of {MOST}" in shown
    assert found._repr_html_().count("<table") == 2
    assert len(finding.looks) == 7
    last = finding.looks[-1]
    assert f"{last.effect:.4f}   {last.low:.4f} to {last.high:.4f}" in shown
    panel = found.figure().panels[0][0]
    assert panel.title == f"greater: supported at seed {finding.contrast.n}"
    assert [point.x for point in panel.series[0].points] == list(range(2, 9))
    assert panel.series[0].points[-1].interval == (last.low, last.high)
    assert {path.suffix for path in found.figure().save(tmp_path)} == {".svg", ".png"}


def test_looks_at_what_speaks_against_one_of_several_comparisons_share_the_error():
    sweep = sweep_of({**GREATER, "compare": {"x": [1, 2, 3, 4]}, "expect": "best"})
    refuted = []
    for seed in range(20):
        finding = verdict_at(sweep, world(seed, {2: 1.3}), MOST)
        if finding.contrast.effect < 0:
            decided = [look.seeds for look in finding.looks if look.p < look.needed]
            outside = [look.seeds for look in finding.looks if look.high < 0]
            assert decided == outside
            assert bool(decided) == (finding.verdict == "refuted")
            assert finding.level == pytest.approx(1 - 0.05 / 3)
            assert finding.looks[-1].spent == pytest.approx(0.05)
            refuted.append(finding.verdict == "refuted")
    assert {True, False} == {*refuted}


@pytest.mark.parametrize(("margin", "verdict"), [(3.0, "supported"), (0.5, "refuted")])
def test_looks_at_a_close_claim_are_tested_against_the_nearer_margin(margin, verdict):
    sweep = sweep_of({**GREATER, "expect": "close", "margin": margin})
    finding = verdict_at(sweep, world(1, {2: 1.0 if margin > 1 else 5.0}), MOST)
    assert finding.verdict == verdict
    decided = [look.seeds for look in finding.looks if look.p < look.needed]
    assert decided[0] == finding.contrast.n
    assert finding.looks[decided[0] - 2].p == pytest.approx(finding.p)


@pytest.mark.parametrize(("smallest", "level"), [(None, 0.95), (0.1, 0.975)])
def test_a_claim_that_says_what_matters_keeps_its_share_of_the_error(smallest, level):
    sure = {**GREATER, "name": "sure", "compare": {"x": [4, 3]}, "smallest": smallest}
    first, second = results(sweep_of(sure, GREATER), world(1, {4: 9.0})).claims()
    assert (first.verdict, first.level) == ("supported", 0.975)
    assert (second.verdict, second.level) == ("undecided", level)


def test_an_exploding_seed_does_not_unmake_a_verdict():
    sweep, values = sweep_of(), world(1, {2: 3.0})
    decided = verdict_at(sweep, values, MOST)
    assert decided.contrast.n < MOST
    exploded = values | {(2, 1000 + MOST - 1): 1e15}
    found = verdict_at(sweep, exploded, MOST)
    assert (found.verdict, found.contrast.n) == ("supported", decided.contrast.n)


@pytest.mark.parametrize("test", ["paired", "pooled"])
def test_a_claim_without_cells_is_undecided_and_asks_for_nothing(test):
    nowhere = {**GREATER, "test": test, "where": {"y": 1}, "name": "nowhere"}
    axes = {"factors": {"x": [1, 2], "y": [1, 2]}, "exclude": [{"x": 2, "y": 1}]}
    sweep = sweep_of(nowhere, **axes)
    found = results(sweep, world(1), 3)
    (finding,) = found.claims()
    assert (finding.verdict, finding.notes[0]) == ("undecided", "no cells to compare")
    assert found.wanted.at_worst == found.wanted.in_all == 3 * (2 + 2)


def test_a_cell_where_all_diverged_ends_its_claims_and_no_others():
    related = {**GREATER, "name": "pooled", "test": "pooled"}
    other = {**GREATER, "name": "other", "compare": {"x": [4, 3]}}
    sweep = sweep_of(related, other)
    nan = {(3, seed): {"score": float("nan"), "status": "diverged"} for seed in (0, 1)}
    found = results(sweep, world(1, {2: 9.0}) | nan)
    pooled, lost = found.claims()
    assert pooled.verdict == "supported"
    assert lost.notes[:2] == ("1 of 2 cells empty", "it gets no further seeds")
    assert {t.seed for t in found.wanted.trials if t.params["x"] == 4} == {0, 1, 1000, 1001}


def test_a_pooled_claim_has_one_look_when_all_cells_have_their_seeds():
    sweep = sweep_of({**GREATER, "test": "pooled"}, decide=None, confirm=4)
    values = world(1, {2: 9.0})
    waiting = {key: value for key, value in values.items() if key != (4, 1003)}
    assert verdict_at(sweep, waiting, 4).p is None
    assert verdict_at(sweep, values, 4).verdict == "supported"


def test_only_cells_of_claims_get_more_seeds():
    sweep = sweep_of(GREATER)
    assert results(sweep, {}, 0).wanted.at_worst == 2 * (2 + MOST) + 2 * (2 + 2)
    assert max(trial.seed for trial in possible(sweep) if trial.params["x"] == 4) == 1001


def test_one_confirm_seed_allows_no_test_and_two_are_one_look():
    one = verdict_at(sweep_of(decide=None, confirm=1), world(1), 1)
    assert one.notes[0] == "one seed allows no test"
    null = {**GREATER, "compare": {"x": [4, 3]}}
    two = verdict_at(sweep_of(null, decide={"at_most": 2}), world(1), 2)
    assert (two.at_most, len(two.looks), two.verdict) == (2, 1, "undecided")
    assert two.notes == ("undecided after all 2 seeds",)


def test_claims_on_cells_with_and_without_confirm_seeds_are_not_called_edited(
    tmp_path, monkeypatch
):
    other = {**GREATER, "name": "other", "compare": {"x": [4, 3]}}
    without = {"when": {"x": [3, 4]}, "confirm": 0}
    changes_ = {"decide": None, "confirm": 3, "claims": [GREATER, other], "variants": [without]}
    sim = simulation(tmp_path, monkeypatch, **changes_)
    sim.run(train=learn)
    assert not changes(claims_of(tmp_path, sim.keys))


@pytest.mark.parametrize("noise", [0.1, 10.0])
def test_what_selected_in_a_cell_without_confirm_seeds_is_not_pooled(noise: float) -> None:
    """The driver knows confirm seeds only, and would decide at another seed than the claim."""
    loud = {(3, seed): noise * (-1) ** seed for seed in (0, 1)}
    variants = [{"when": {"x": 3}, "confirm": 0}]
    sweep = sweep_of({**GREATER, "test": "pooled"}, variants=variants)
    found = results(sweep, {**world(1, {2: 3.0}), **loud})
    (finding,) = found.claims()
    asked = [trial.seed for trial in found.wanted.trials if trial.config.factors["x"] == 2]
    assert finding.verdict == "supported"
    assert finding.contrast.n == len([seed for seed in asked if seed >= 1000])


def test_marks_are_of_all_seeds_that_decided() -> None:
    values = {
        (x, seed): {"score": score, "epochs_run": 1 if seed < 1002 else 7}
        for (x, seed), score in world(1).items()
    }
    (finding,) = results(sweep_of(confirm=2), values).claims()
    assert "2 of 2 cells with trials of different numbers of epochs" in finding.notes


def test_what_one_seed_cannot_say_is_null_in_json():
    pooled = {**GREATER, "test": "pooled"}
    sweep = sweep_of(pooled, decide={"at_most": 500})
    found = results(sweep, world(1), 3).claims()
    stream = io.StringIO()
    show_findings(found, Console(file=stream), "json")
    (shown,) = json.loads(stream.getvalue())
    assert [look["seeds"] for look in shown["looks"]] == [2, 3]


def test_compare_judges_at_the_seeds_that_run_in_any_case():
    found = results(sweep_of(confirm=3), world(1, {2: 9.0}))
    finding = found.compare("x", 2, 1)
    assert (finding.contrast.n, finding.looks) == (3, ())


# Runs


def learn(params: Mapping[str, Any], _trial: Any) -> Any:
    """Take longer with a larger x, and come to what rate, x and chance say."""
    chance = random.Random(f"{params['x']} {params.get('lr')} {params['seed']}").gauss(0, 1)
    for _ in range(2 + params["x"] + int(10 * params.get("lr", 0)) % 3):
        yield {"score": params.get("lr", 0) + chance + 1.2 * (params["x"] == 2)}


def simulation(tmp_path: Path, patch: pytest.MonkeyPatch, **changes: Any) -> Simulation:
    claims = (
        GREATER,
        {**GREATER, "name": "null", "compare": {"x": [4, 3]}},
        {**GREATER, "name": "best", "compare": {"x": [2, 3, 4]}, "expect": "best"},
    )
    keys = keys_of(*claims, **{"search": {"lr": [0.1, 0.2]}, "fixed": {}, **changes})
    return Simulation(tmp_path, patch, **keys)


def claims_of(folder: Path, keys: Mapping[str, Any]) -> list[dict[str, Any]]:
    (folder / "toy.yaml").write_text(json.dumps(keys))
    found = json.loads(orch(folder, "claims", "toy.yaml", "--json").stdout)
    jsonschema.validate(found, schema("claims"))
    return found["claims"]


@pytest.mark.parametrize("slots", [2, 8])
def test_slots_are_busy_while_a_cell_has_a_trial_that_could_start(tmp_path, monkeypatch, slots):
    keys = {"seeds": [0, 1, 2], "race": {"keep": 0.5}, "search": {"lr": LRS}}
    sim = simulation(tmp_path, monkeypatch, **keys)
    busy: list[int] = []
    left: list[int] = []

    def look(runner: FakeRunner) -> None:
        busy.append(len(runner.live))
        left.append(sum(len(cell) < MOST for cell in confirmed(runner).values()))

    def confirmed(runner: FakeRunner) -> dict[int, list[int]]:
        started = {attempt.partition("-")[0] for attempt in runner.started}
        tasks = [runner.job.tasks[trial_id].params for trial_id in started]
        return {
            x: [p["seed"] for p in tasks if p["x"] == x and p["seed"] >= 1000] for x in (1, 2, 3, 4)
        }

    sim.run(train=learn, hosts=(slots,), look=look)
    trials = sim.trials().reset_index()
    assert (trials["seed"] < 1000).sum() == 4 * (8 + 4 + 2)
    undecided = [claim["verdict"] == "undecided" for claim in claims_of(tmp_path, sim.keys)]
    assert any(undecided)  # so that there was always a seed that could start
    until = left.index(0)
    assert sum(busy[:until]) >= 0.97 * slots * until


def test_no_fewer_trials_are_left_for_the_full_grid_than_without_it(tmp_path, monkeypatch):
    sim = simulation(tmp_path, monkeypatch, search={"lr": LRS[:1]}, race=None)
    sim.run(train=learn)
    sim.keys["decide"] = {"at_most": MOST + 4}
    found = plan(load(sim.keys), Stores(str(tmp_path / "results")))
    assert found.otherwise["for the full grid"] >= found.ahead > 0


def test_verdicts_are_the_same_after_kills_at_any_second(tmp_path, monkeypatch):
    (tmp_path / "calm").mkdir()
    calm = simulation(tmp_path / "calm", monkeypatch)
    calm.run(train=learn, hosts=(1,), ahead=0)
    expected = claims_of(tmp_path / "calm", calm.keys)
    assert [claim["verdict"] for claim in expected] == ["supported", "undecided", "undecided"]
    (tmp_path / "other").mkdir()
    other = simulation(tmp_path / "other", monkeypatch)

    def interrupt(_runner: FakeRunner) -> None:
        raise KeyboardInterrupt

    for second in itertools.cycle([7, 5, 11, 23]):
        try:
            other.run({second: interrupt}, train=learn, hosts=(3,))
        except KeyboardInterrupt:
            continue
        break
    found = claims_of(tmp_path / "other", other.keys)
    what = ("name", "verdict", "n", "effect", "interval", "p")
    assert [[claim[k] for k in what] for claim in found] == [
        [claim[k] for k in what] for claim in expected
    ]
    again = other.run(train=learn)
    assert again.started == []


def test_a_world_of_the_benchmark_gets_its_verdicts_through_a_store(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "WORLDS", 1)
    noise = np.random.default_rng(7)
    drawn = {
        "greater": replace(benchmark.greater(noise, benchmark.DECIDE), smallest=1.5),
        "close": benchmark.close(noise, benchmark.DECIDE),
        "increasing": benchmark.increasing(noise, benchmark.DECIDE),
        "best": benchmark.best(noise, benchmark.DECIDE),
        "far": benchmark.paired(2),
    }
    drawn["far"] = replace(drawn["far"], values=drawn["far"].values[:1])
    expected = decide([*drawn.values()])
    scores, claims = {}, []
    for name, evidence in drawn.items():
        scores[f"{name} 0"] = np.zeros(benchmark.AT_MOST)
        for part, values in enumerate(evidence.values[0], start=1):
            scores[f"{name} {part}"] = -values if name == "best" else values
        sides = [side for side in scores if side.startswith(name)]
        claim = {"name": name, "metric": "score", "expect": "greater"} | EXPECTED.get(name, {})
        one_first = name in {"greater", "close", "far"}
        claims.append(claim | {"compare": {"x": sides[::-1] if one_first else sides}})

    def drawing(params: Mapping[str, Any], _trial: Any) -> Any:
        confirm = params["seed"] - 1000
        yield {"score": float(scores[params["x"]][confirm]) if confirm >= 0 else 0.0}

    keys = {"factors": {"x": [*scores]}, "decide": {"at_most": benchmark.AT_MOST}, "seeds": [0]}
    sim = simulation(tmp_path, monkeypatch, **keys, search={}, claims=claims)
    sim.run(train=drawing)
    found = claims_of(tmp_path, sim.keys)
    outcomes = expected.outcomes[0].tolist()
    assert [claim["verdict"] for claim in found] == [VERDICTS[outcome] for outcome in outcomes]
    assert {"supported", "negligible", "undecided"} <= {claim["verdict"] for claim in found}
    seeds = [seen or benchmark.AT_MOST for seen in expected.seeds[0].tolist()]
    assert [claim["n"] for claim in found] == seeds


EXPECTED: dict[str, dict[str, Any]] = {
    "greater": {"smallest": 1.5},
    "close": {"expect": "close", "margin": benchmark.FAR},
    "increasing": {"expect": "increasing"},
    "best": {"expect": "best"},
}


def test_tables_report_the_seeds_that_no_result_has_chosen(tmp_path, monkeypatch):
    sim = simulation(tmp_path, monkeypatch, confirm=3)
    sim.run(train=learn)
    (tmp_path / "toy.yaml").write_text(json.dumps(sim.keys))
    rows = json.loads(orch(tmp_path, "table", "toy.yaml", "--format", "json").stdout)
    trials = sim.trials().reset_index()
    for row in rows:
        assert row["reported_seeds"] == "[1000, 1001, 1002]"
        assert row["n"] == 3
        own = trials[(trials["x"] == row["x"]) & trials["seed"].isin([1000, 1001, 1002])]
        assert row["mean"] == pytest.approx(own["score"].mean())
        confirmed = json.loads(row["confirmed_seeds"])
        assert confirmed == list(range(1000, 1000 + len(confirmed)))
        assert len(confirmed) > 3
    shown = orch(tmp_path, "table", "toy.yaml").stdout
    assert f"Claims look at up to {MOST} confirm seeds" in shown
    status = orch(tmp_path, "status", "toy.yaml").stdout
    assert f"claim null: undecided, {MOST} of at most {MOST} seeds" in status
    assert f"{sim.progress.total:,} of {sim.progress.total:,} trials done" in status
    plan = json.loads(orch(tmp_path, "plan", "toy.yaml", "--json").stdout)
    assert plan["at_worst"] == 4 * (2 * 2 + MOST)
    assert (plan["missing"], plan["trials"]) == (0, plan["done"])


def test_a_failed_seed_stops_its_claims_and_runs_again_next_time(tmp_path, monkeypatch):
    def failing(params: Mapping[str, Any], trial: Any) -> Any:
        if (params["x"], params["seed"]) == (1, 1003):
            raise ValueError("out of luck")
        yield from learn(params, trial)

    sim = simulation(tmp_path, monkeypatch, factors={"x": [1, 2]}, claims=[GREATER], retries=0)
    sim.run(train=failing)
    (claim,) = claims_of(tmp_path, sim.keys)
    assert (claim["verdict"], claim["n"]) == ("undecided", 3)
    seeds = sim.trials().reset_index().groupby("x")["seed"].max()
    assert max(seeds) <= 1000 + 3 + 2 + 1  # not to the last: the slots, and what runs ahead
    sim.run(train=learn)
    (claim,) = claims_of(tmp_path, sim.keys)
    assert claim["verdict"] == "supported"


def test_a_sibling_store_lends_the_seeds_that_decide_and_what_was_claimed(tmp_path, monkeypatch):
    sim = simulation(tmp_path, monkeypatch)
    sim.run(train=learn)
    first = claims_of(tmp_path, sim.keys)
    sim.keys["name"] = "other"
    runner = sim.run(train=learn)
    assert runner.started == []
    assert claims_of(tmp_path, sim.keys) == first
    (tmp_path / "results/toy/looks.json").rename(tmp_path / "kept.json")
    sim.keys |= {"name": "flipped", "claims": [{**GREATER, "expect": "less"}]}
    assert sim.run(train=learn).started == []
    (flipped,) = claims_of(tmp_path, sim.keys)
    assert f"claims edited after seed {MOST} was seen" in flipped["notes"]


def test_stale_confirm_seeds_run_again_and_are_what_is_reported(tmp_path, monkeypatch):
    sim = simulation(tmp_path, monkeypatch, claims=[GREATER])
    sim.run(train=learn)
    count = len(sim.trials())
    source = (tmp_path / "toy.py").read_text()
    (tmp_path / "toy.py").write_text(f"{source}\n\nCHANGED = True\n")

    def better(params: Mapping[str, Any], trial: Any) -> Any:
        for metrics in learn(params, trial):
            yield {"score": metrics["score"] + 100}

    sim.run(train=better, rerun_stale=True)
    trials = sim.trials()
    assert len(trials) == count
    assert (trials["score"] > 50).all()


def test_slots_do_not_run_seeds_for_claims_that_cannot_be_decided(tmp_path, monkeypatch):
    def diverging(params: Mapping[str, Any], trial: Any) -> Any:
        if (params["x"], params["seed"]) == (1, 1003):
            yield {"score": float("nan")}
            return
        yield from learn(params, trial)

    sim = simulation(tmp_path, monkeypatch, factors={"x": [1, 2]}, claims=[GREATER])
    sim.run(train=diverging, hosts=(1,), ahead=0)
    seeds = sim.trials().reset_index().groupby("x")["seed"].max()
    assert dict(seeds) == {1: 1003, 2: 1003}


# What changed after the first look


def changes(claims: list[dict[str, Any]]) -> list[str]:
    said = ("edited after", "raised after", "was seen")
    return [note for claim in claims for note in claim["notes"] if any(s in note for s in said)]


def test_what_changed_after_the_first_look_is_said(tmp_path, monkeypatch):
    sim = simulation(tmp_path, monkeypatch)
    sim.run(train=learn)
    kept = (tmp_path / "results/toy/looks.json").read_bytes()
    assert not changes(claims_of(tmp_path, sim.keys))
    unchanged = {
        **sim.keys,
        "claims": [{**c, "name": f"a-{c['name']}"} for c in sim.keys["claims"]],
    }
    assert not changes(claims_of(tmp_path, unchanged))
    edited = {**sim.keys, "claims": sim.keys["claims"][:2]}
    for claim in claims_of(tmp_path, edited):
        assert f"claims edited after seed {MOST} was seen" in claim["notes"]
    sim.keys["decide"] = {"at_most": MOST + 3}
    sim.run(train=learn)
    for claim in claims_of(tmp_path, sim.keys):
        said = f"N raised after a look: {MOST + 3} confirm seeds instead of {MOST}"
        assert any(note.startswith(said) for note in claim["notes"])
    assert (tmp_path / "results/toy/looks.json").read_bytes() == kept
    sim.keys |= {"decide": {"at_most": MOST}, "search": {"lr": [0.1, 0.2, 9.0]}}
    sim.run(train=learn)
    for claim in claims_of(tmp_path, sim.keys):
        said = "another config is selected than when seed"
        assert any(note.startswith(said) for note in claim["notes"])


def test_more_confirm_seeds_after_the_one_look_are_said(tmp_path, monkeypatch):
    sim = simulation(tmp_path, monkeypatch, decide=None, confirm=3)
    sim.run(train=learn)
    assert not changes(claims_of(tmp_path, sim.keys))
    sim.keys["confirm"] = 6
    sim.run(train=learn)
    for claim in claims_of(tmp_path, sim.keys):
        assert claim["notes"][0] == (
            "N raised after a look: 6 confirm seeds instead of 3, of which 3 had been seen"
        )


@pytest.mark.parametrize("confirm", [[2200, 2201, 2202], [1000, 1001, 1003]])
def test_other_confirm_seeds_after_the_one_look_are_said(tmp_path, monkeypatch, confirm):
    sim = simulation(tmp_path, monkeypatch, decide=None, confirm=3)
    sim.run(train=learn)
    sim.keys["confirm"] = confirm
    for _ in range(2):
        sim.run(train=learn)
        for claim in claims_of(tmp_path, sim.keys):
            seen = "other confirm seeds after a look: "
            assert claim["notes"][0].startswith(seen)
            assert claim["notes"][0].endswith(" instead of 1000-1002")


def test_confirm_seeds_that_become_seeds_after_a_look_are_said(tmp_path, monkeypatch):
    sim = simulation(tmp_path, monkeypatch, decide=None, confirm=3, search={})
    sim.run(train=learn)
    sim.keys |= {"confirm": 0, "seeds": [0, 1, 1000, 1001, 1002]}
    sim.run(train=learn)
    for claim in claims_of(tmp_path, sim.keys):
        said = "judged without `confirm` after 3 of its seeds had been seen"
        assert (claim["n"], claim["notes"][0]) == (5, said)


def test_a_claim_made_twice_that_is_made_once_after_a_look_was_edited(tmp_path, monkeypatch):
    claims = [GREATER, {**GREATER, "name": "again"}]
    sim = simulation(tmp_path, monkeypatch, decide=None, confirm=3, claims=claims)
    sim.run(train=learn)
    assert not changes(claims_of(tmp_path, sim.keys))
    (claim,) = claims_of(tmp_path, {**sim.keys, "claims": [GREATER]})
    assert claim["notes"][0] == "claims edited after seed 3 was seen"


def test_a_look_that_an_earlier_version_noted_is_understood(tmp_path, monkeypatch):
    sim = simulation(tmp_path, monkeypatch, decide=None, confirm=3)
    sim.run(train=learn)
    looks = tmp_path / "results/toy/looks.json"
    noted = [
        {k: v for k, v in look.items() if k != "confirm"} for look in json.loads(looks.read_text())
    ]
    looks.write_text(json.dumps(noted))
    assert not changes(claims_of(tmp_path, sim.keys))


def test_a_look_is_noted_where_nothing_is_left_to_run(tmp_path, monkeypatch):
    sim = simulation(tmp_path, monkeypatch, decide=None, confirm=3)
    sim.run(train=learn)
    looks = tmp_path / "results/toy/looks.json"
    text = looks.read_text()
    looks.unlink()
    sim.run(train=learn)
    assert looks.read_text() == text
    looks.write_text("[{")
    with pytest.raises(StoreError, match=r"looks\.json is damaged: it tells which claims"):
        sim.run(train=learn)


# The command, and bad input


def test_orch_decide_decides_a_file_that_does_not_say_so(tmp_path, monkeypatch):
    keys = keys_of(decide=None, factors={"x": [1, 2]}, search={}, fixed={})
    sim = Simulation(tmp_path, monkeypatch, **keys)
    (tmp_path / "toy.py").write_text(
        "import random\n\n\n"
        "def train(params, trial):\n"
        "    chance = random.Random(str(params)).gauss(0, 1)\n"
        '    yield {"score": chance + 9 * params["x"]}\n'
    )
    (tmp_path / "toy.yaml").write_text(json.dumps(sim.keys))
    shown = orch(tmp_path, "decide", "toy.yaml", "--runner", "inline")
    assert "decided at seed" in " ".join(shown.stdout.split())
    assert "Looks at greater" in shown.stdout
    stored = Store(str(tmp_path / "results/toy"))
    sweep = load_text((stored.files.read("sweep.yaml") or b"").decode(), "sweep.yaml")
    assert sweep.decide is not None
    assert (sweep.decide.at_most, sweep.confirm) == (20, (1000, 1001))
    read = orch(tmp_path, "claims", "toy.yaml").stdout
    assert read in shown.stdout
    assert "0 trials moved" in orch(tmp_path, "prune", "toy.yaml").stdout
    again = orch(tmp_path, "decide", "toy.yaml", "--runner", "inline")
    assert "already done" in again.stderr
    assert again.stdout == shown.stdout


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"claims": []}, "decide: there is nothing to decide: the file makes no claims"),
        ({"confirm": 13}, "decide.at_most: is 10, below the 13 of confirm"),
        ({"confirm": [5, 6]}, "confirm: with decide, say how many seeds"),
        ({"seeds": [0, 1009]}, "decide: the seed 1009 is among seeds; a confirm seed never"),
        ({"confirm": 0}, "claims[0]: confirm is 0 in 2 of its cells, which get no seeds"),
        (
            {"variants": [{"when": {"x": 1}, "confirm": 0}]},
            "claims[0]: confirm is 0 in 1 of its cells",
        ),
        (
            {"variants": [{"when": {"x": 1}, "confirm": 20}]},
            "decide.at_most: is 10, below the 20 of variants[0].confirm",
        ),
        ({"decide": {"at_most": 1}}, "decide.at_most: expected a number greater than or equal"),
        ({"decide": {"at_least": 3}}, "unknown key at_least"),
        ({"decide": 20}, "decide: expected a mapping"),
    ],
)
def test_what_cannot_be_decided_is_refused(changes, said):
    with pytest.raises(SpecError) as error:
        sweep_of(**changes)
    assert said in str(error.value).replace("`", "")


def test_a_smoke_run_decides_nothing():
    smoke = sweep_of().as_smoke()
    assert {trial.seed for trial in possible(smoke)} == {0}
