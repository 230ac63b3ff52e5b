"""How many seeds decide a claim, against statsmodels and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from orchestrator.results.claims.planning import (
    exceeds,
    noncentrality,
    seeds_by_interval,
    seeds_to_equate,
    seeds_to_find,
)


@pytest.mark.parametrize(("size", "alpha"), [(0.1, 0.05), (0.3, 0.01), (1.0, 0.05), (2.5, 0.005)])
def test_seeds_to_find_are_those_of_statsmodels(size, alpha):
    expected = TTestPower().solve_power(effect_size=size, alpha=alpha, power=0.8)
    assert seeds_to_find(-size * 0.02, 0.02, alpha) == math.ceil(expected)


def test_with_more_degrees_of_freedom_fewer_seeds_find_it():
    assert seeds_to_find(1.0, 1.0, 0.05) == 10
    normal = (stats.norm.isf(0.025) + stats.norm.isf(0.2)) ** 2
    assert seeds_to_find(1.0, 1.0, 0.05, df=10_000) == math.ceil(normal)


def test_no_number_of_seeds_is_given_beyond_a_thousand():
    assert seeds_to_find(0.001, 0.1, 0.05) is None
    assert seeds_to_find(100.0, 0.1, 1e-6) == 3
    assert seeds_to_equate(0.001, 0.1, 0.05) is None


def share_within(n: int, margin: float) -> float:
    """Simulate how often n seeds show that an effect of 0 and spread 1 is within a margin."""
    draws = np.random.default_rng(1).normal(0, 1.0, (20_000, n))
    half = stats.t.isf(0.025, n - 1) * draws.std(axis=1, ddof=1) / math.sqrt(n)
    return float((np.abs(draws.mean(axis=1)) + half < margin).mean())


@pytest.mark.parametrize("margin", [0.5, 1.0, 2.0])
def test_seeds_to_equate_show_it_four_times_in_five(margin):
    n = seeds_to_equate(margin, 1.0, 0.05)
    assert n is not None
    assert share_within(n, margin) > 0.79
    assert share_within(n - 1, margin) < 0.81


@pytest.mark.parametrize(("t", "df"), [(0.3, 2), (-2.5, 4), (3.0, 30)])
def test_the_interval_of_the_noncentrality_is_that_of_scipy(t, df):
    low, high = noncentrality(t, df)
    assert stats.nct.sf(t, df, low) == pytest.approx(0.025, abs=1e-3)
    assert stats.nct.sf(t, df, high) == pytest.approx(0.975, abs=1e-3)


def test_a_noncentral_t_exceeds_as_in_scipy():
    for critical, shift, df in ((2.0, 1.0, 3), (-1.0, 0.5, 10), (4.0, 3.0, 2)):
        expected = stats.nct.sf(critical, df, shift)
        assert exceeds(critical, shift, df) == pytest.approx(expected, abs=2e-3)


def test_an_interval_around_zero_has_no_upper_number():
    fewest, most = seeds_by_interval(1.0, 3, 0.05, 2)
    assert most is None
    assert 4 <= fewest < 10
    assert seeds_by_interval(0.0, 900, 0.05, 899) == (1000, None)


def test_an_effect_that_misses_only_the_correction_has_both_numbers():
    fewest, most = seeds_by_interval(3.5, 5, 0.001, 4)
    assert most is not None
    assert 6 <= fewest < most


def test_the_interval_covers_the_true_number_of_seeds():
    truth = seeds_to_find(1.0, 1.0, 0.05)
    draws = np.random.default_rng(2).normal(1.0, 1.0, (400, 3))
    covered = 0
    for values in draws:
        t = stats.ttest_1samp(values, 0).statistic
        fewest, most = seeds_by_interval(float(t), 3, 0.05, 2)
        covered += fewest <= truth and (most is None or truth <= most)
    assert covered / 400 > 0.93
