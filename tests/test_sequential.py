"""Verdicts at every seed, against scipy, simulation and the definitions that they come from."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from orchestrator.results.claims.boundary import Looks, critical, spent
from orchestrator.results.claims.contrasts import ALPHA, Array, beyond, holm, paired
from orchestrator.results.claims.sequential import (
    NEGLIGIBLE,
    REFUTED,
    SUPPORTED,
    UNDECIDED,
    Evidence,
    decide,
    path,
)

LOOKS = Looks(2, 8)
ONE = Looks(6, 6)

NEAR_ONE = np.array([0.9, 1.1, 1.0, 0.95, 1.05, 1.0])

effects = st.sampled_from([0.0, 1.0, -2.0, 4.0])
families = st.lists(effects, min_size=1, max_size=4)
draws = st.integers(0, 2**32 - 1)


def claims_of(shifts: list[float], seed: int, looks: Looks = LOOKS) -> list[Evidence]:
    """Claims with normal noise of deviation 1 around effects, in one world."""
    noise = np.random.default_rng(seed).standard_normal((len(shifts), 1, 1, looks.last))
    return [Evidence(values + shift, looks) for values, shift in zip(noise, shifts, strict=True)]


def cut(claim: Evidence, seeds: int) -> Evidence:
    return replace(claim, values=claim.values[..., :seeds])


def verdict(claim: Evidence) -> int:
    return int(decide([claim]).outcomes[0, 0])


def one_part(values: Array, looks: Looks = ONE) -> Evidence:
    return Evidence(values[None, None], looks)


# The boundary.


@pytest.mark.parametrize(("looks", "alpha"), [(Looks(2, 20), 0.05), (Looks(3, 10), 0.05 / 3)])
def test_at_each_look_as_much_error_is_spent_as_should_be(looks, alpha):
    worlds = np.random.default_rng(5).standard_normal((40_000, looks.last))
    bounds = critical(looks, alpha)
    crossed = np.zeros(len(worlds), bool)
    for n, bound, should in zip(looks.seeds, bounds, spent(looks, alpha), strict=True):
        seen = worlds[:, :n]
        t = seen.mean(axis=1) / seen.std(axis=1, ddof=1) * math.sqrt(n)
        crossed |= np.abs(t) > bound
        assert crossed.mean() == pytest.approx(
            should, rel=0.03, abs=4 * math.sqrt(should / len(worlds))
        )
    assert spent(looks, alpha)[-1] == pytest.approx(alpha)


@pytest.mark.parametrize("looks", [Looks(2, 5), Looks(5, 20)])
def test_what_decides_falls_from_look_to_look_and_with_the_level(looks):
    by_level = [critical(looks, ALPHA / claims) for claims in (1, 2, 30)]
    for bounds in by_level:
        p = 2 * stats.t.sf(bounds, np.array(looks.seeds) - 1)
        assert (np.diff(bounds) < 0).all()
        assert (np.diff(p) > 0).all()
        assert p[-1] < ALPHA
    for larger, smaller in pairwise(by_level):
        assert (larger < smaller).all()


def test_one_look_is_the_t_test_with_its_interval():
    for n in (2, 5, 20):
        for alpha in (0.05, 0.05 / 7):
            assert critical(Looks(n, n), alpha) == pytest.approx([stats.t.isf(alpha / 2, n - 1)])
    values = np.random.default_rng(0).normal(0.1, 1, 6)
    [look] = path(one_part(values), ALPHA)
    low, high = paired(values).interval()
    known = (values.mean(), low, high, stats.ttest_1samp(values, 0).pvalue)
    assert (look.effect, look.low, look.high, look.p) == pytest.approx(known, rel=1e-9)
    assert (look.seeds, look.needed, look.spent) == pytest.approx((6, ALPHA, ALPHA))


# The family.


@given(families, draws)
def test_one_look_at_several_claims_is_holms_method(shifts, seed):
    claims = claims_of(shifts, seed, ONE)
    tests = [beyond(paired(claim.values[0, 0]), 1) for claim in claims]
    corrected = holm(np.array([float(test.p) for test in tests]))
    for test, p, found in zip(tests, corrected, decide(claims).outcomes[0], strict=True):
        assert found == (UNDECIDED if p >= ALPHA else SUPPORTED if test.agrees else REFUTED)


@given(families, draws)
def test_claims_are_decided_as_the_closure_principle_has_it(shifts, seed):
    claims = claims_of(shifts, seed)
    indices = range(len(claims))

    def crosses(index: int, share: int) -> bool:
        low, high = claims[index].intervals(ALPHA / share)
        return bool(((low > 0) | (high < 0)).any())

    rejected = {
        family
        for size in range(1, len(claims) + 1)
        for family in combinations(indices, size)
        if any(crosses(index, size) for index in family)
    }
    outcomes = decide(claims).outcomes[0]
    for index in indices:
        families = [
            family
            for size in range(1, len(claims) + 1)
            for family in combinations(indices, size)
            if index in family
        ]
        assert (outcomes[index] != UNDECIDED) == (set(families) <= rejected)


@given(families, draws, st.integers(0, 8))
def test_later_seeds_never_unmake_a_verdict(shifts, seed, seen):
    claims = claims_of(shifts, seed)
    early, late = decide([cut(claim, seen) for claim in claims]), decide(claims)
    decided = early.outcomes != UNDECIDED
    assert (late.outcomes[decided] == early.outcomes[decided]).all()
    assert (late.seeds[decided] == early.seeds[decided]).all()
    assert (late.shares[decided] == early.shares[decided]).all()


@pytest.mark.parametrize(("sign", "expected"), [(1, SUPPORTED), (-1, REFUTED)])
def test_the_first_crossing_stands_when_later_seeds_say_the_opposite(sign, expected):
    swings = Evidence(
        np.array([[[*NEAR_ONE, *(-9 * NEAR_ONE), *(-9 * NEAR_ONE)]]]), Looks(6, 18), sign
    )
    low, high = swings.intervals(ALPHA)
    assert low[0, 0, 0] > 0
    assert high[0, 0, -1] < 0
    assert (swings.outcomes(ALPHA) == expected).all()


@given(families, draws)
def test_seeds_added_to_undecided_claims_alone_give_the_same_verdicts(shifts, seed):
    claims = claims_of(shifts, seed)
    seen = [LOOKS.first] * len(claims)
    while True:
        found = decide([cut(claim, n) for claim, n in zip(claims, seen, strict=True)])
        more = [
            n + 1 if outcome == UNDECIDED and n < LOOKS.last else n
            for n, outcome in zip(seen, found.outcomes[0], strict=True)
        ]
        if more == seen:
            break
        seen = more
    assert (found.outcomes == decide(claims).outcomes).all()
    assert (found.seeds == decide(claims).seeds).all()


@given(effects, draws)
def test_the_order_of_seeds_matters_only_between_looks(shift, seed):
    [claim] = claims_of([shift], seed, Looks(3, 8))
    found = decide([claim])
    stop = int(found.seeds[0, 0]) or 8
    order = [2, 0, 1, *range(3, stop), *reversed(range(stop, 8))]
    again = decide([replace(claim, values=claim.values[..., order])])
    assert (again.outcomes, again.seeds) == (found.outcomes, found.seeds)


def test_worlds_are_judged_one_by_one():
    values = np.random.default_rng(3).standard_normal((40, 3, 2, 8)) + 1.5
    together = decide([Evidence(values[:, claim], LOOKS, smallest=1.0) for claim in range(3)])
    for world, parts in enumerate(values):
        alone = decide([Evidence(claim[None], LOOKS, smallest=1.0) for claim in parts])
        assert (alone.outcomes[0] == together.outcomes[world]).all()
        assert (alone.seeds[0] == together.seeds[world]).all()
        assert (alone.shares[0] == together.shares[world]).all()


def test_a_decided_claim_leaves_its_error_to_the_others():
    clear, weak = np.array([5, 5.1, 4.9, 5, 5.2, 4.8]), np.array([1.0, 2.4, 0.1, 1.8, -0.1, 1.1])
    assert 0.025 < stats.ttest_1samp(weak, 0).pvalue < 0.05
    both = decide([one_part(clear), one_part(weak)])
    assert both.outcomes.tolist() == [[SUPPORTED, SUPPORTED]]
    assert both.shares.tolist() == [[2, 1]]
    twice = decide([one_part(weak), one_part(weak)])
    assert twice.outcomes.tolist() == [[UNDECIDED, UNDECIDED]]
    assert twice.seeds.tolist() == [[0, 0]]


def test_a_claim_with_fewer_seeds_is_tested_again_when_others_are_decided_later():
    weak = one_part(np.array([1.0, 2.4, 0.1, 1.8, -0.1, 1.1]))
    late = one_part(np.concatenate([NEAR_ONE, NEAR_ONE]), Looks(12, 12))
    assert decide([weak, cut(late, 11)]).outcomes.tolist() == [[UNDECIDED, UNDECIDED]]
    found = decide([weak, late])
    assert found.outcomes.tolist() == [[SUPPORTED, SUPPORTED]]
    assert found.seeds.tolist() == [[6, 12]]
    assert found.shares.tolist() == [[1, 2]]


# What a claim says.


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, SUPPORTED),
        ({"sign": -1}, REFUTED),
        ({"margin": 2.0}, SUPPORTED),
        ({"margin": 0.5}, REFUTED),
        ({"margin": 1.0}, UNDECIDED),
        ({"margin": 1.0, "smallest": 2.0}, NEGLIGIBLE),
        ({"smallest": 2.0}, SUPPORTED),
    ],
)
def test_a_verdict_says_on_which_side_of_the_claim_the_interval_lies(changes, expected):
    assert verdict(replace(one_part(NEAR_ONE), **changes)) == expected


def test_no_difference_that_matters_is_negligible():
    around_zero = one_part(NEAR_ONE - 1.0)
    assert verdict(around_zero) == UNDECIDED
    assert verdict(replace(around_zero, smallest=0.5)) == NEGLIGIBLE
    assert verdict(replace(around_zero, smallest=0.01)) == UNDECIDED


def test_every_part_must_show_a_claim_and_one_refutes_it():
    positive, zero = NEAR_ONE, NEAR_ONE - 1.0
    for parts, expected in (
        ([positive, positive + 1], SUPPORTED),
        ([positive, zero], UNDECIDED),
        ([positive, zero, -positive], REFUTED),
    ):
        assert verdict(Evidence(np.array([parts]), ONE)) == expected


def test_what_one_part_says_against_a_claim_is_corrected_for_their_number():
    weak = np.array([1.0, 2.4, 0.1, 1.8, -0.1, 1.1])
    assert verdict(one_part(-weak)) == REFUTED
    assert verdict(Evidence(np.array([[-weak, NEAR_ONE]]), ONE)) == UNDECIDED
    assert verdict(Evidence(np.array([[weak, weak]]), ONE)) == SUPPORTED


def test_parts_may_show_a_claim_at_different_looks():
    then_noise = [*NEAR_ONE, *([20.0, -20.0] * 6)]
    noise_first = [*([1.0, -1.0] * 3), *(3 * NEAR_ONE), *(3 * NEAR_ONE)]
    looks = Looks(6, 18)
    assert Evidence(np.array([[then_noise]]), looks).intervals(ALPHA)[0][0, 0, -1] < 0
    found = decide([Evidence(np.array([[then_noise, noise_first]]), looks)])
    alone = decide([Evidence(np.array([[noise_first]]), looks)])
    assert found.outcomes == SUPPORTED
    assert 6 < found.seeds[0, 0] == alone.seeds[0, 0]


def test_all_parts_are_negligible_at_a_level_corrected_for_their_number():
    weak = np.array([1.0, 2.4, 0.1, 1.8, -0.1, 1.1])
    small = Evidence(np.array([[-weak, -weak]]), ONE, margin=0.1, smallest=2.15)
    assert verdict(replace(small, values=small.values[:, :1])) == NEGLIGIBLE
    assert verdict(small) == UNDECIDED


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_diverged_seed_leaves_a_claim_as_it_was(bad):
    [claim] = claims_of([3.0], 1)
    stop = int(decide([claim]).seeds[0, 0])
    for seed, expected in ((stop, SUPPORTED), (stop - 1, UNDECIDED)):
        values = claim.values.copy()
        values[..., seed] = bad
        assert verdict(replace(claim, values=values)) == expected
        both = np.concatenate([claim.values, values], axis=1)
        assert verdict(replace(claim, values=both)) == expected


def test_a_part_refutes_no_claim_once_another_has_diverged():
    parts = np.array([-NEAR_ONE, NEAR_ONE])
    assert verdict(Evidence(parts[None], ONE)) == REFUTED
    parts[1, 5] = math.nan
    assert verdict(Evidence(parts[None], ONE)) == UNDECIDED


def test_without_spread_there_is_no_verdict():
    for values in ([0.1 + 0.2 - 0.3, 0.0, 0.0], [0.02, 0.02, 0.02]):
        claim = replace(one_part(np.array(values), Looks(2, 3)), scale=0.7, smallest=1.0)
        assert verdict(claim) == UNDECIDED
        assert all(math.isnan(look.low) and math.isnan(look.p) for look in path(claim, ALPHA))


def test_before_the_first_look_and_after_the_last_nothing_is_judged():
    [claim] = claims_of([4.0], 2)
    assert path(cut(claim, 1), ALPHA) == []
    assert verdict(cut(claim, 1)) == UNDECIDED
    more = np.concatenate([claim.values, claim.values], axis=-1)
    assert path(replace(claim, values=more), ALPHA) == path(claim, ALPHA)


def test_a_path_ends_the_error_where_p_meets_what_is_needed():
    [claim] = claims_of([2.0], 7)
    looks = path(claim, ALPHA)
    decided = [look.seeds for look in looks if look.p < look.needed]
    outside = [look.seeds for look in looks if look.low > 0 or look.high < 0]
    assert decided == outside
    assert decided[0] == decide([claim]).seeds[0, 0]
    assert [look.spent for look in looks] == sorted(look.spent for look in looks)
