"""Tests of numbers per seed, against scipy and statsmodels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW, ttost_paired

from orchestrator.results.claims.contrasts import (
    Estimate,
    PValue,
    all_of,
    beyond,
    decisive,
    fisher_z,
    holm,
    paired,
    sign_test,
    slope_weights,
    within,
)
from orchestrator.results.claims.pooling import pool

RNG = np.random.default_rng(0)
FIRST, SECOND = RNG.normal(0.7, 0.01, 8), RNG.normal(0.69, 0.01, 8)
DIFFERENCES = FIRST - SECOND


def test_the_t_test_and_interval_are_those_of_scipy_and_statsmodels():
    found = paired(DIFFERENCES)
    expected = stats.ttest_rel(FIRST, SECOND)
    assert found.effect == pytest.approx(np.mean(DIFFERENCES), rel=1e-12)
    assert beyond(found, 1).p == pytest.approx(expected.pvalue, rel=1e-12)
    assert found.interval() == pytest.approx(tuple(expected.confidence_interval()), rel=1e-9)
    assert found.interval() == pytest.approx(DescrStatsW(DIFFERENCES).tconfint_mean(), rel=1e-9)


def test_a_bound_other_than_zero_is_in_the_direction_of_the_sign():
    for sign, bound in ((1, 0.004), (-1, 0.004)):
        found = beyond(paired(DIFFERENCES), sign, bound)
        expected = stats.ttest_1samp(DIFFERENCES, sign * bound)
        assert found.p == pytest.approx(expected.pvalue, rel=1e-12)
        assert found.agrees == (sign * expected.statistic > 0)


@pytest.mark.parametrize("margin", [0.005, 0.02, 0.1])
def test_inside_a_margin_is_twice_the_equivalence_test_of_statsmodels(margin):
    expected, _, _ = ttost_paired(FIRST, SECOND, -margin, margin)
    found = within(paired(DIFFERENCES), margin)
    inside = abs(DIFFERENCES.mean()) < margin
    assert found.agrees == inside
    outside = stats.ttest_1samp(DIFFERENCES, margin).pvalue
    assert found.p == pytest.approx(2 * expected if inside else outside, rel=1e-9)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
@pytest.mark.parametrize("effect", [0.0, 0.5, 1.1, 3.0])
def test_close_is_significant_where_the_interval_is_inside_the_margin_or_outside(level, effect):
    estimate = paired(effect + RNG.normal(size=5))
    low, high = estimate.interval(level)
    found = within(estimate, 1.5)
    inside, outside = low > -1.5 and high < 1.5, low > 1.5 or high < -1.5
    assert (found.p < 1 - level) == (inside or outside)
    assert found.agrees or not inside


def test_all_parts_must_agree_and_one_can_refute():
    def combined(p: list[float], agrees: list[bool]) -> tuple[float, bool, int]:
        tested = PValue(np.array(p), np.array(agrees))
        whole = all_of(tested)
        return float(whole.p), bool(whole.agrees), decisive(tested)

    assert combined([0.01, 0.04, 0.02], [True] * 3) == (0.04, True, 1)
    assert combined([0.01, 0.04, 0.02], [True, False, False]) == (pytest.approx(0.06), False, 2)
    assert combined([0.9, 0.001], [False, True]) == (1.0, False, 0)


def test_many_worlds_are_tested_at_once():
    worlds = RNG.normal(0.3, 1.0, (50, 4, 6))
    tested = all_of(beyond(paired(worlds), 1))
    corrected = holm(beyond(paired(worlds), 1).p)
    for world, p, agrees, row in zip(worlds, tested.p, tested.agrees, corrected, strict=True):
        alone = all_of(beyond(paired(world), 1))
        assert (p, agrees) == (pytest.approx(float(alone.p)), bool(alone.agrees))
        one_by_one = [stats.ttest_1samp(part, 0).pvalue for part in world]
        assert row == pytest.approx(multipletests(one_by_one, method="holm")[1])


def test_the_sign_test_is_exact_and_starts_at_six_seeds():
    assert sign_test(np.array([1.0, 2, 3, 4, 5]), 1.0) is None
    assert sign_test(np.array([1.0, 2, 3, 4, 5, 6]), 1.0) == 2 / 2**6
    assert sign_test(np.array([1.0, 2, 3, 4, 5, -6]), 1.0) == 14 / 2**6
    assert sign_test(np.array([1.0, 2, 3, 4, 0, 0]), 1.0) == 2 / 2**4
    assert sign_test(np.array([1.0, 2, 3, 4, 5, math.nan]), 1.0) is None


def test_slopes_are_those_of_a_regression_on_the_position():
    values = RNG.normal(size=(5, 4))
    expected = [stats.linregress(range(5), column).slope for column in values.T]
    assert slope_weights(5) @ values == pytest.approx(expected, rel=1e-12)


def test_fishers_z_is_that_of_pearsons_r_and_is_cut():
    first, second = RNG.normal(size=(2, 6, 4))
    pairs = zip(first.T, second.T, strict=True)
    expected = [np.arctanh(stats.pearsonr(*pair).statistic) for pair in pairs]
    assert fisher_z(first, second) == pytest.approx(expected, rel=1e-12)
    assert fisher_z(first, 2 * first) == pytest.approx([np.arctanh(0.9999)] * 4)
    assert fisher_z(first, -first) == pytest.approx([-np.arctanh(0.9999)] * 4)
    constant = np.full((6, 4), 0.3)
    assert np.isnan(fisher_z(first, constant)).all()


def test_holm_is_that_of_statsmodels_without_claims_that_have_no_p():
    p_values = np.array([0.04, math.nan, 0.01, 0.03, 0.6, math.nan, 0.01])
    known = ~np.isnan(p_values)
    corrected = holm(p_values)
    assert np.isnan(corrected[~known]).all()
    assert corrected[known] == pytest.approx(multipletests(p_values[known], method="holm")[1])
    assert holm(np.array([])).size == 0


def test_the_pooled_spread_is_the_residual_one_of_an_analysis_of_variance():
    cells = [RNG.normal(mean, 1.0, n) for mean, n in ((0, 3), (5, 4), (9, 6))]
    found = pool([*cells, np.array([1.0]), np.array([1.0, math.nan])])
    assert found is not None
    residuals = sum(((cell - cell.mean()) ** 2).sum() for cell in cells)
    assert found.spread == pytest.approx(math.sqrt(residuals / 10), rel=1e-12)
    assert (found.df, found.cells) == (10, 3)
    assert found.p_equal == pytest.approx(stats.levene(*cells, center="median").pvalue, rel=1e-12)


def test_two_pooled_cells_are_compared_as_in_students_t_test():
    found = pool([FIRST, SECOND])
    assert found is not None
    error = np.array(found.spread * math.sqrt(2 / 8))
    estimate = Estimate(np.array(DIFFERENCES.mean()), error, np.array(found.df))
    expected = stats.ttest_ind(FIRST, SECOND)
    assert beyond(estimate, 1).p == pytest.approx(expected.pvalue, rel=1e-12)
    assert estimate.interval() == pytest.approx(tuple(expected.confidence_interval()), rel=1e-9)


def test_nothing_is_pooled_from_single_numbers_or_equal_ones():
    assert pool([]) is None
    assert pool([np.array([0.5]), np.array([0.7])]) is None
    assert pool([np.array([0.5, 0.5]), np.array([0.1 + 0.2, 0.3])]) is None
