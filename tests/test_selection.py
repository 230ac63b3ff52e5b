"""Selection against brute force, its invariants, and statistics against scipy."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from support.synthetic import make_sweep, make_trials

from orchestrator.errors import ShowError
from orchestrator.results.selection import CellSelection, lead, optimism, select
from orchestrator.results.statistics import statistics
from orchestrator.spec.grid import PlannedTrial, cells, expand
from orchestrator.spec.model import Sweep

LRS = (0.1, 0.01, 0.001)
SWEEP = make_sweep(factors={"order": ("convention", "swap")}, search={"lr": LRS})
ONE_CELL = make_sweep(factors={"order": ("swap",)}, search={"lr": LRS})


def selected(selections: list[CellSelection]) -> list[Any]:
    """Everything that a selection says, comparable."""
    return [(s.best, s.contenders, s.seeds, s.missing, s.failed, s.complete) for s in selections]


def one_cell(values: dict[float, tuple[Any, ...]], sweep: Sweep = ONE_CELL) -> CellSelection:
    """Select in one cell: values per seed by learning rate."""

    def outcome(trial: PlannedTrial) -> Any:
        return values[trial.config.search["lr"]][trial.seed]

    (selection,) = select(sweep, make_trials(sweep, outcome))
    return selection


def best_lr(selection: CellSelection) -> float | None:
    return selection.best.config.search["lr"] if selection.best else None


FAILED = {"status": "failed", "test_accuracy": None}


def test_statistics_are_exact():
    found = statistics([0.5, 0.7, 0.9])
    assert found.mean == pytest.approx(0.7, abs=1e-15)
    assert found.std == pytest.approx(0.2, abs=1e-15)
    assert found.n == 3
    half = 4.302652729911275 * 0.2 / math.sqrt(3)
    assert (found.ci_low, found.ci_high) == pytest.approx((0.7 - half, 0.7 + half), rel=1e-9)


@given(st.lists(st.integers(-(10**6), 10**6).map(lambda n: n / 1000), min_size=2, max_size=8))
def test_statistics_are_those_of_scipy_in_any_order(values):
    found = statistics(values)
    scale = max(map(abs, values)) or 1
    assert found.mean == pytest.approx(np.mean(values), abs=1e-12 * scale)
    assert found.std == pytest.approx(np.std(values, ddof=1), rel=1e-9, abs=1e-9 * scale)
    if found.std:
        sem = found.std / math.sqrt(len(values))
        low, high = stats.t.interval(0.95, len(values) - 1, loc=found.mean, scale=sem)
        assert (found.ci_low, found.ci_high) == pytest.approx((low, high), abs=1e-12 * scale)
    assert statistics(values[::-1]) == found


def test_the_interval_of_an_accuracy_is_on_the_logit_scale():
    values = [0.99, 0.995, 0.97]
    found = statistics(values, is_accuracy=True)
    plain = statistics(values)
    assert (found.mean, found.std, found.n) == (plain.mean, plain.std, plain.n)
    assert plain.ci_high > 1
    slope = 1 / (found.mean * (1 - found.mean))
    error = found.std / math.sqrt(3) * slope
    ends = special.expit(stats.t.interval(0.95, 2, loc=special.logit(found.mean), scale=error))
    assert (found.ci_low, found.ci_high) == pytest.approx(tuple(ends), rel=1e-12)
    mirrored = statistics([1 - value for value in values], is_accuracy=True)
    assert (mirrored.ci_low, mirrored.ci_high) == pytest.approx((1 - ends[1], 1 - ends[0]))


FRACTIONS = st.one_of(
    st.floats(0, 1),
    st.integers(0, 10_000).map(lambda images: images / 10_000),
    st.sampled_from([0.0, 5e-324, 1e-300, 1e-17, 0.5, 1 - 2**-53, 1.0]),
)


@given(st.lists(FRACTIONS, min_size=2, max_size=8))
def test_the_interval_of_an_accuracy_holds_its_mean_and_lies_between_0_and_1(values):
    found = statistics(values, is_accuracy=True)
    assert 0 <= found.ci_low <= found.mean <= found.ci_high <= 1
    if len(set(values)) > 1 and 0.001 < found.mean < 0.999 and found.std > 1e-9:
        assert found.ci_low < found.mean < found.ci_high


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_accuracies_that_are_all_0_or_all_1_have_no_other_interval(end: float):
    found = statistics([end] * 3, is_accuracy=True)
    assert (found.ci_low, found.mean, found.ci_high) == (end, end, end)


@pytest.mark.parametrize("values", [[93.2, 94.1, 99.9], [0.5, 1.5], [-0.5, 0.5]])
def test_accuracies_that_are_no_fractions_have_the_interval_of_any_other_value(values):
    assert statistics(values, is_accuracy=True) == statistics(values)


def test_statistics_of_few_or_odd_values_have_no_deviation():
    one = statistics([0.25])
    assert (one.mean, one.n) == (0.25, 1)
    assert math.isnan(one.std)
    assert math.isnan(one.ci_low)
    for values in ([], [0.5, math.nan], [0.5, math.inf]):
        found = statistics(values, is_accuracy=True)
        assert found.n == len(values)
        assert math.isnan(found.mean)
        assert math.isnan(found.std)


def test_the_best_mean_wins_not_the_best_run():
    selection = one_cell({0.1: (0.9, 0.1, 0.2), 0.01: (0.5, 0.5, 0.5), 0.001: (0.4, 0.5, 0.5)})
    assert best_lr(selection) == 0.01
    assert selection.best.values == (0.5, 0.5, 0.5)
    assert selection.seeds == (0, 1, 2)
    assert selection.complete


def test_the_smallest_mean_wins_in_mode_min():
    sweep = make_sweep(
        factors={"order": ("swap",)},
        search={"lr": LRS},
        select={"metric": "test_accuracy", "mode": "min"},
    )
    values = {0.1: (0.9, 0.1, 0.3), 0.01: (0.5, 0.5, 0.5), 0.001: (0.4, 0.3, 0.5)}
    assert best_lr(one_cell(values, sweep)) == 0.001


def test_a_failed_seed_puts_a_config_out_and_leaves_the_cell_incomplete():
    selection = one_cell({0.1: (0.9, FAILED, 0.9), 0.01: (0.5, 0.5, 0.5), 0.001: (0.4,) * 3})
    assert best_lr(selection) == 0.01
    assert (selection.seeds, selection.failed, selection.complete) == ((0, 1, 2), 1, False)


def test_missing_trials_shrink_the_seeds_to_those_that_all_have():
    selection = one_cell({0.1: (0.6, 0.6, None), 0.01: (0.5, 0.9, 0.9), 0.001: (None, 0.4, 0.4)})
    assert selection.seeds == (1,)
    assert best_lr(selection) == 0.01
    assert (selection.missing, selection.complete) == (2, False)
    expected = [trial.trial_id for trial in expand(ONE_CELL) if trial.seed == 1]
    assert [c.trial_ids for c in selection.contenders] == [(id_,) for id_ in expected]


def test_what_a_config_that_is_out_lacks_does_not_shrink_the_seeds():
    selection = one_cell({0.1: (FAILED, None, None), 0.01: (0.5, 0.5, 0.5), 0.001: (0.4,) * 3})
    assert selection.seeds == (0, 1, 2)
    assert (selection.missing, selection.failed) == (2, 1)


def test_a_config_without_any_trial_leaves_the_cell_empty():
    selection = one_cell({0.1: (None,) * 3, 0.01: (0.5, 0.5, 0.5), 0.001: (0.4,) * 3})
    assert (selection.best, selection.contenders, selection.seeds) == (None, (), ())
    assert (selection.missing, selection.complete) == (3, False)


def test_a_diverged_trial_counts_unless_its_selection_value_is_not_finite():
    counts = {"status": "diverged", "test_accuracy": 0.9}
    out = {"status": "diverged", "test_accuracy": math.nan}
    selection = one_cell({0.1: (counts,) * 3, 0.01: (1.0, 1.0, out), 0.001: (0.4,) * 3})
    assert best_lr(selection) == 0.1
    assert selection.complete


def test_a_cell_whose_every_config_diverged_is_empty_and_complete():
    out = {"status": "diverged", "test_accuracy": math.inf}
    selection = one_cell(dict.fromkeys(LRS, (out, 0.5, 0.5)))
    assert (selection.best, selection.complete) == (None, True)


def test_unfinished_trials_are_missing():
    running = {"status": "running", "test_accuracy": 0.9}
    selection = one_cell({0.1: (0.6, 0.6, 0.6), 0.01: (0.5, 0.5, 0.5), 0.001: (0.1, 0.1, running)})
    assert (selection.seeds, selection.missing) == ((0, 1), 1)


TIED = [(0.1, 0.2, 0.3), (0.2, 0.2, 0.2), (0.3, 0.2, 0.1)]


@pytest.mark.parametrize("values", list(itertools.permutations(TIED)))
def test_ties_go_to_the_first_in_file_order(values):
    assert best_lr(one_cell(dict(zip(LRS, values, strict=True)))) == LRS[0]


def test_selection_at_the_best_epoch_reads_the_column_of_best_values():
    sweep = make_sweep(select={"metric": "test_accuracy", "at": "best"})

    def outcome(trial: PlannedTrial) -> Any:
        lr = trial.config.search["lr"]
        return {"test_accuracy": lr, "best_test_accuracy": 1 - lr}

    assert {best_lr(s) for s in select(sweep, make_trials(sweep, outcome))} == {0.01}


def test_no_trials_leave_every_cell_empty():
    selections = select(SWEEP, make_trials(SWEEP, lambda _: None))
    assert [s.best for s in selections] == [None, None]
    assert [s.missing for s in selections] == [9, 9]


def test_an_unknown_metric_is_told_with_those_that_exist():
    trials = make_trials(SWEEP, lambda _: {"test_acc": 0.5, "test_loss": 1.0})
    with pytest.raises(ShowError, match=r"`test_accuracy`.*has `test_acc`, `test_loss`"):
        select(SWEEP, trials)


def test_rows_are_found_by_trial_id_alone():
    trials = make_trials(SWEEP, lambda trial: trial.config.search["lr"])
    stale = trials.assign(cell_id="0" * 16, config_id="0" * 16, lr=7.0, order="other", seed=9)
    assert selected(select(SWEEP, stale)) == selected(select(SWEEP, trials))


few = settings(max_examples=40)  # each makes a store's frame, which takes its time

OUTCOMES = st.one_of(
    st.none(), st.just(FAILED), st.just(math.nan), st.integers(0, 3).map(lambda n: n / 10)
)
STORES = st.lists(OUTCOMES, min_size=18, max_size=18).map(
    lambda outcomes: dict(zip([t.trial_id for t in expand(SWEEP)], outcomes, strict=True))
)


@few
@given(STORES)
def test_selection_equals_a_search_over_all_sets_of_seeds(outcomes):
    selections = select(SWEEP, make_trials(SWEEP, lambda trial: outcomes[trial.trial_id]))
    for cell, selection in zip(cells(SWEEP), selections, strict=True):
        rows = {lr: [None] * 3 for lr in LRS}
        for trial in expand(SWEEP):
            if trial.config.cell_id == cell.cell_id:
                rows[trial.config.search["lr"]][trial.seed] = outcomes[trial.trial_id]
        remaining = {
            lr: row
            for lr, row in rows.items()
            if not any(v is FAILED or (v is not None and math.isnan(v)) for v in row)
        }
        common = [
            seeds
            for size in range(1, 4)
            for seeds in itertools.combinations(range(3), size)
            if all(row[seed] is not None for row in remaining.values() for seed in seeds)
        ]
        if not remaining or not common:
            assert selection.best is None
            continue
        assert selection.seeds == common[-1]
        sums = {
            lr: sum(Fraction(str(row[seed])) for seed in common[-1])
            for lr, row in remaining.items()
        }
        assert best_lr(selection) == next(lr for lr in LRS if sums.get(lr) == max(sums.values()))


VALUES = st.lists(st.floats(0, 1), min_size=18, max_size=18)


def trials_of(values: list[float], sweep: Sweep = SWEEP) -> pd.DataFrame:
    ids = [trial.trial_id for trial in expand(SWEEP)]
    by_id = dict(zip(ids, values, strict=True))
    return make_trials(sweep, lambda trial: by_id[trial.trial_id])


@few
@given(VALUES, st.randoms(use_true_random=False))
def test_the_order_of_rows_and_of_seeds_does_not_matter(values, random):
    trials = trials_of(values)
    order = random.sample(range(len(trials)), len(trials))
    expected = select(SWEEP, trials)
    assert selected(select(SWEEP, trials.iloc[order])) == selected(expected)
    reordered = select(SWEEP.with_seeds((2, 0, 1)), trials)
    assert [s.best.config for s in reordered] == [s.best.config for s in expected]
    assert [statistics(s.best.values) for s in reordered] == [
        statistics(s.best.values) for s in expected
    ]


@few
@given(VALUES, st.lists(st.floats(), max_size=6))
def test_rows_that_the_sweep_does_not_ask_for_do_not_matter(values, others):
    trials = trials_of(values)
    strangers = trials.head(len(others)).assign(test_accuracy=others)
    strangers["trial_id"] = [f"{i:016d}" for i in range(len(others))]
    both = pd.concat([strangers, trials]) if others else trials
    assert selected(select(SWEEP, both)) == selected(select(SWEEP, trials))
    more = SWEEP.model_copy(update={"seeds": (0,)})
    assert selected(select(more, both)) == selected(select(more, trials[trials["seed"] == 0]))


@few
@given(VALUES, st.floats(1e-6, 1))
def test_a_selected_config_that_gets_better_stays_selected(values, gain):
    trials = trials_of(values)
    before = select(SWEEP, trials)
    ids = [trial_id for selection in before for trial_id in selection.best.trial_ids]
    gains = gain * trials["trial_id"].isin(ids)
    after = select(SWEEP, trials.assign(test_accuracy=trials["test_accuracy"] + gains))
    assert [s.best.config for s in after] == [s.best.config for s in before]


@few
@given(VALUES)
def test_leads_and_optimism_are_never_negative(values):
    for mode in ("max", "min"):
        sweep = SWEEP.model_copy(update={"select": SWEEP.select.model_copy(update={"mode": mode})})
        for selection in select(sweep, trials_of(values)):
            ahead = lead(selection, mode)
            assert ahead.mean >= -1e-12
            means = sorted(c.mean for c in selection.contenders)
            gap = means[-1] - means[-2] if mode == "max" else means[1] - means[0]
            assert ahead.mean == pytest.approx(gap, abs=1e-12)
            assert optimism(selection, mode) >= -1e-12


def test_there_is_no_optimism_to_estimate_from_one_seed_or_one_config():
    trials = trials_of([0.5] * 18)
    (one_seed, _) = select(SWEEP.with_seeds((0,)), trials)
    assert optimism(one_seed, "max") is None
    one_config = make_sweep(factors=SWEEP.factors, search={"lr": (0.1,)})
    (selection, _) = select(one_config, trials)
    assert optimism(selection, "max") is None
    assert lead(selection, "max") is None


@few
@given(VALUES)
def test_mode_min_selects_what_mode_max_selects_of_the_negated(values):
    lowest = SWEEP.model_copy(update={"select": SWEEP.select.model_copy(update={"mode": "min"})})
    negated = trials_of([-value for value in values])
    assert [s.best.config for s in select(lowest, negated)] == [
        s.best.config for s in select(SWEEP, trials_of(values))
    ]


@pytest.mark.no_cover
def test_the_work_of_selecting_grows_no_faster_than_the_number_of_trials():
    work = {}
    for n in (5, 10):
        sweep = make_sweep(
            seeds=tuple(range(5)),
            factors={"a": tuple(range(n)), "b": tuple(range(n))},
            search={"lr": tuple(range(5)), "wd": tuple(range(4))},
        )
        trials = make_trials(sweep, lambda trial: (trial.config.search["lr"] + trial.seed) / 10)
        work[len(trials)] = calls(lambda: select(sweep, trials))  # noqa: B023
    assert work[10_000] < 4.1 * work[2_500]


def calls(act: Callable[[], object]) -> int:
    """Count the calls of Python and C functions that an act makes."""
    count = 0

    def profile(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(profile)
    try:
        act()
    finally:
        sys.setprofile(None)
    return count


def test_selection_needs_neither_ray_nor_torch_nor_scipy_stats():
    code = (
        "import sys, orchestrator.results.selection\n"
        "print([m for m in ('ray', 'torch', 'scipy.stats') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"
