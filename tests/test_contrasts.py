"""Tests of one number per seed, against scipy and statsmodels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import DescrStatsW, ttost_paired

from orchestrator.results.contrasts import (
    contrast,
    correlations,
    equivalence,
    holm,
    seeds_to_differ,
    seeds_to_equate,
    slopes,
)

RNG = np.random.default_rng(0)
FIRST, SECOND = RNG.normal(0.7, 0.01, 8), RNG.normal(0.69, 0.01, 8)


def test_the_t_test_and_interval_are_those_of_scipy_and_statsmodels():
    found = contrast(FIRST - SECOND, 1.0)
    paired = stats.ttest_rel(FIRST, SECOND)
    assert found.effect == pytest.approx(np.mean(FIRST - SECOND), rel=1e-12)
    assert found.p == pytest.approx(paired.pvalue, rel=1e-12)
    assert (found.low, found.high) == pytest.approx(tuple(paired.confidence_interval()), rel=1e-9)
    described = DescrStatsW(FIRST - SECOND)
    assert (found.low, found.high) == pytest.approx(described.tconfint_mean(), rel=1e-9)


def test_the_sign_test_is_exact_and_starts_at_six_seeds():
    assert contrast(np.array([1.0, 2, 3, 4, 5]), 1.0).p_sign is None
    assert contrast(np.array([1.0, 2, 3, 4, 5, 6]), 1.0).p_sign == 2 / 2**6
    assert contrast(np.array([1.0, 2, 3, 4, 5, -6]), 1.0).p_sign == 14 / 2**6
    assert contrast(np.array([1.0, 2, 3, 4, 0, 0]), 1.0).p_sign == 2 / 2**4


def test_without_spread_there_is_no_test():
    for values in ([0.1 + 0.2 - 0.3, 0.0, 0.0], [0.02, 0.02, 0.02], [0.5], []):
        found = contrast(np.array(values), 0.7)
        assert not found.has_spread
        assert found.p is None
        assert math.isnan(found.low)
        assert equivalence(found, 0.1) is None
        assert seeds_to_differ(found, 0.05) is None
        assert seeds_to_equate(found, 0.1, 0.05) is None


def test_a_value_that_is_not_finite_leaves_no_effect():
    found = contrast(np.array([0.5, math.nan, 0.4]), math.nan)
    assert math.isnan(found.effect)
    assert found.p is None
    assert found.n == 3


def test_slopes_are_those_of_a_regression_on_the_position():
    values = RNG.normal(size=(5, 4))
    expected = [stats.linregress(range(5), column).slope for column in values.T]
    assert slopes(values) == pytest.approx(expected, rel=1e-12)


def test_correlations_are_fisher_transforms_of_those_of_scipy():
    first, second = RNG.normal(size=(2, 5, 4))
    pearson = stats.pearsonr(first, second, axis=0).statistic
    assert np.tanh(correlations(first, second)) == pytest.approx(pearson, rel=1e-12)
    assert np.tanh(correlations(first, -3 * first)) == pytest.approx(-0.9999, rel=1e-12)
    assert np.isnan(correlations(first, np.ones((5, 4)))).all()


@pytest.mark.parametrize("margin", [0.005, 0.02, 0.1])
def test_equivalence_is_that_of_statsmodels(margin):
    expected, _, _ = ttost_paired(FIRST, SECOND, -margin, margin)
    assert equivalence(contrast(FIRST - SECOND, 1.0), margin) == pytest.approx(expected, rel=1e-9)


def test_holm_is_that_of_statsmodels_without_claims_that_have_no_p():
    p_values = [0.04, None, 0.01, 0.03, 0.6, None, 0.01]
    known = [p for p in p_values if p is not None]
    expected = iter(multipletests(known, method="holm")[1])
    for p, corrected in zip(p_values, holm(p_values), strict=True):
        assert corrected == (None if p is None else pytest.approx(next(expected), rel=1e-12))
    assert holm([]) == []


def spread(effect: float, std: float, n: int = 5) -> np.ndarray:
    """Values with exactly this mean and deviation."""
    values = np.arange(n) - (n - 1) / 2
    return effect + std * values / np.std(values, ddof=1)


@pytest.mark.parametrize(("size", "alpha"), [(0.1, 0.05), (0.3, 0.01), (1.0, 0.05), (2.5, 0.005)])
def test_seeds_to_differ_are_those_of_statsmodels(size, alpha):
    expected = TTestPower().solve_power(effect_size=size, alpha=alpha, power=0.8)
    found = contrast(spread(-size * 0.02, 0.02), 1.0)
    assert seeds_to_differ(found, alpha) == math.ceil(expected)


def test_no_number_of_seeds_is_given_beyond_a_thousand():
    assert seeds_to_differ(contrast(spread(0.001, 0.1), 1.0), 0.05) is None
    assert seeds_to_differ(contrast(spread(100.0, 0.1), 1.0), 1e-6) == 3


def share_of_decided(n: int, effect: float, margin: float) -> float:
    """Simulate how often n seeds place an effect of spread 1."""
    draws = np.random.default_rng(1).normal(effect, 1.0, (20_000, n))
    mean, error = draws.mean(axis=1), draws.std(axis=1, ddof=1) / math.sqrt(n)
    if abs(effect) > margin:
        return float((mean - stats.t.isf(0.025, n - 1) * error > margin).mean())
    critical = stats.t.isf(0.05, n - 1)
    return float(((mean + margin > critical * error) & (margin - mean > critical * error)).mean())


@pytest.mark.parametrize(("effect", "margin"), [(0.0, 1.0), (0.2, 1.0), (1.5, 0.5)])
def test_seeds_to_equate_decide_four_times_in_five(effect, margin):
    n = seeds_to_equate(contrast(spread(effect, 1.0), 1.0), margin, 0.05)
    assert n is not None
    assert share_of_decided(n, effect, margin) == pytest.approx(0.8, abs=0.06)
    assert share_of_decided(n - 1, effect, margin) < 0.81
