"""From a sweep to its trials: what is run, in which order, under which identity."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.running.order import longest_first
from orchestrator.spec.exclusions import Exclusions
from orchestrator.spec.grid import (
    PlannedTrial,
    cells,
    count_trials,
    expand,
    is_empty,
)
from orchestrator.spec.identity import identity
from orchestrator.spec.model import Sweep
from orchestrator.spec.values import by_value, canonical, matches


def make(**changes: Any) -> Sweep:
    keys: dict[str, Any] = {
        "name": "toy",
        "trainable": "toy:train",
        "seeds": (0, 1, 2),
        "factors": {"dataset": ("cifar10", "imagenet"), "order": ("convention", "swap")},
        "search": {"lr": (0.1, 0.01)},
        "fixed": {"epochs": 200},
        "select": {"metric": "accuracy"},
    }
    return Sweep.model_validate(keys | changes)


def ids(sweep: Sweep) -> set[str]:
    return {trial.trial_id for trial in expand(sweep)}


def params(sweep: Sweep) -> list[dict[str, Any]]:
    return [trial.params for trial in expand(sweep)]


# Cells, configs, trials.


def test_the_trials_are_factors_times_search_times_seeds() -> None:
    sweep = make()
    assert [cell.factors for cell in cells(sweep)] == [
        {"dataset": "cifar10", "order": "convention"},
        {"dataset": "cifar10", "order": "swap"},
        {"dataset": "imagenet", "order": "convention"},
        {"dataset": "imagenet", "order": "swap"},
    ]
    assert [config.search for config in cells(sweep)[0].configs] == [{"lr": 0.1}, {"lr": 0.01}]
    assert len(ids(sweep)) == len(expand(sweep)) == count_trials(sweep) == 4 * 2 * 3
    assert len({trial.config.config_id for trial in expand(sweep)}) == 8
    assert len({trial.config.cell_id for trial in expand(sweep)}) == 4


def test_a_trial_is_given_factors_search_fixed_and_its_seed_with_lists_as_lists() -> None:
    sweep = make(fixed={"epochs": 2, "lr_drops": (1, (2, 3)), "bn_weight_decay": None})
    assert params(sweep)[0] == {
        "dataset": "cifar10",
        "order": "convention",
        "lr": 0.1,
        "epochs": 2,
        "lr_drops": [1, [2, 3]],
        "bn_weight_decay": None,
        "seed": 0,
    }


def test_without_search_each_cell_has_one_config() -> None:
    sweep = make(search={})
    assert [len(cell.configs) for cell in cells(sweep)] == [1, 1, 1, 1]


def test_a_variant_changes_seeds_search_fixed_and_resources_of_the_cells_it_matches() -> None:
    variant = {
        "when": {"dataset": "imagenet"},
        "seeds": (7,),
        "search": {"lr": (1, 2, 3)},
        "fixed": {"epochs": 100},
        "resources": {"gpu": 1.0},
    }
    sweep = make(variants=(variant,), resources={"cpu": 4.0, "gpu": 0.5})
    for cell in cells(sweep):
        changed = cell.factors["dataset"] == "imagenet"
        assert cell.seeds == ((7,) if changed else (0, 1, 2))
        assert [c.search["lr"] for c in cell.configs] == ([1, 2, 3] if changed else [0.1, 0.01])
        assert {c.fixed["epochs"] for c in cell.configs} == {100 if changed else 200}
        assert {c.resources.cpu for c in cell.configs} == {4}
        assert {c.resources.gpu for c in cell.configs} == {1 if changed else 0.5}


def test_later_variants_win_and_add_up() -> None:
    first = {"when": {"order": "swap"}, "fixed": {"epochs": 1}, "seeds": (5,)}
    second = {"when": {"dataset": ("imagenet",), "order": ("swap", "nobn")}, "fixed": {"epochs": 2}}
    orders = ("convention", "swap", "nobn")
    sweep = make(variants=(first, second), factors={**make().factors, "order": orders})
    found = {
        (cell.factors["dataset"], cell.factors["order"]): (
            cell.configs[0].fixed["epochs"],
            cell.seeds,
        )
        for cell in cells(sweep)
    }
    assert found == {
        ("cifar10", "convention"): (200, (0, 1, 2)),
        ("cifar10", "swap"): (1, (5,)),
        ("cifar10", "nobn"): (200, (0, 1, 2)),
        ("imagenet", "convention"): (200, (0, 1, 2)),
        ("imagenet", "swap"): (2, (5,)),
        ("imagenet", "nobn"): (2, (0, 1, 2)),
    }


def test_exclude_takes_away_cells_and_configs() -> None:
    gone = ({"dataset": "imagenet", "order": "swap"}, {"dataset": "cifar10", "lr": 0.1})
    sweep = make(exclude=gone)
    assert [(dict(c.factors), [g.search["lr"] for g in c.configs]) for c in cells(sweep)] == [
        ({"dataset": "cifar10", "order": "convention"}, [0.01]),
        ({"dataset": "cifar10", "order": "swap"}, [0.01]),
        ({"dataset": "imagenet", "order": "convention"}, [0.1, 0.01]),
    ]


def test_a_cell_without_configs_is_no_cell() -> None:
    sweep = make(exclude=({"order": "swap", "lr": (0.1, 0.01)},))
    assert {cell.factors["order"] for cell in cells(sweep)} == {"convention"}


def test_a_sweep_is_empty_when_all_is_excluded() -> None:
    assert is_empty(make(exclude=({"lr": 0.1}, {"lr": 0.01})))
    assert not is_empty(make(exclude=({"lr": 0.1}, {"lr": 0.01, "order": "swap"})))


@pytest.mark.parametrize(
    ("entry", "matched"),
    [
        ({"x": 1}, True),
        ({"x": 1.0}, True),
        ({"x": True}, False),
        ({"x": (3, 1)}, True),
        ({"x": ()}, False),
        ({"x": 1, "drops": (1, 2)}, True),
        ({"x": 1, "drops": ((3,), (1.0, 2))}, True),
        ({"x": 1, "drops": (3, 4)}, False),
        ({"none": None}, True),
        ({"none": (None, 1)}, True),
        ({}, True),
    ],
)
def test_an_entry_matches_a_value_or_one_of_its_list(
    entry: Mapping[str, Any], matched: bool
) -> None:
    assert matches(entry, {"x": 1, "drops": (1, 2), "none": None}) is matched


# Identity.


def test_ids_are_documented_hashes_that_anyone_can_compute() -> None:
    def sha(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    fixed = {"epochs": 2, "even": 2.0, "drops": (1, 2.5), "name": "é", "none": None}
    trial = expand(make(fixed=fixed))[0]
    before, rest = '"drops":[1,2.5],"epochs":2,"even":2.0', '"none":null,"order":"convention"'
    shared = f'{before},"name":"\\u00e9",{rest}'
    wide = f'{before},"lr":0.1,"name":"\\u00e9",{rest}'
    assert trial.config.cell_id == sha(f'["toy:train",{{"dataset":"cifar10",{shared}}}]')
    assert trial.config.config_id == sha(f'["toy:train",{{"dataset":"cifar10",{wide}}}]')
    assert trial.trial_id == sha(f'["toy:train",{{"dataset":"cifar10",{wide},"seed":0}}]')


def test_ids_stay_what_they_were_in_earlier_releases_of_this_format() -> None:
    sweep = make(factors={"x": (1, 1.5, -0.0)}, search={}, seeds=(0,), fixed={"y": (1, 2.0, None)})
    found = [trial.trial_id for trial in expand(sweep)]
    assert found == ["5a9f62f41c164bd9", "67866b62c49e1f59", "be55b882fb377eb6"]


def test_what_ends_a_trial_as_diverged_is_in_its_ids_in_any_order() -> None:
    def ids(*names: str) -> set[str]:
        return {identity("toy:train", {"lr": 0.1}, diverged_on=names)}

    assert ids("loss", "norm") == ids("norm", "loss") == ids("norm", "loss", "loss")
    assert len(ids() | ids("loss") | ids("norm") | ids("loss", "norm")) == 4


def test_ids_are_16_hexadecimal_digits_and_cells_configs_and_trials_share_none() -> None:
    found = expand(make())
    all_ids = {
        *(trial.trial_id for trial in found),
        *(trial.config.config_id for trial in found),
        *(trial.config.cell_id for trial in found),
    }
    assert len(all_ids) == 24 + 8 + 4
    assert all(re.fullmatch("[0-9a-f]{16}", id_) for id_ in all_ids)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"description": "words"},
        {"resources": {"cpu": 8.0, "gpu": 1.0}},
        {"retries": 9},
        {"checkpoint_every": 9},
        {"select": {"metric": "loss", "mode": "min", "at": "best"}},
        {"tables": ({"name": "t", "rows": ("order",)},)},
        {"seeds": (2, 0, 1)},
        {"search": {"lr": (0.01, 0.1)}},
        {"factors": {"order": ("swap", "convention"), "dataset": ("imagenet", "cifar10")}},
        {"variants": ({"when": {"order": "swap"}, "fixed": {"epochs": 200}},)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_does_not_change_a_trial_does_not_change_its_id(changes: dict[str, Any]) -> None:
    assert ids(make(**changes)) == ids(make())


@pytest.mark.parametrize(
    "changes",
    [
        {"trainable": "toy:other"},
        {"fixed": {"epochs": 201}},
        {"fixed": {"epochs": 200.0}},
        {"fixed": {"epochs": True}},
        {"fixed": {"epochs": "200"}},
        {"fixed": {"epochs": None}},
        {"fixed": {"epochs": (200,)}},
        {"fixed": {"epochs": 200, "width": None}},
        {"fixed": {}},
        {"seeds": (3, 4)},
        {"search": {"lr": (0.2,)}},
    ],
    ids=str,
)
def test_what_changes_a_trial_gives_it_another_id(changes: dict[str, Any]) -> None:
    assert ids(make(**changes)).isdisjoint(ids(make()))


def test_it_does_not_matter_for_a_trial_which_section_holds_a_param() -> None:
    everything_fixed = make(
        factors={"dataset": ("cifar10",)},
        search={},
        fixed={"order": "swap", "lr": 0.1, "epochs": 200},
        seeds=(1,),
    )
    assert ids(everything_fixed) < ids(make())


def test_a_variant_changes_the_ids_of_its_cells_only() -> None:
    variant = {"when": {"dataset": "imagenet"}, "fixed": {"epochs": 100}}
    shared = ids(make()) & ids(make(variants=(variant,)))
    assert len(shared) == 12


def test_one_and_true_are_two_values_and_have_two_ids() -> None:
    sweep = make(factors={"x": (1, True, "1")})
    assert len(cells(sweep)) == len({cell.cell_id for cell in cells(sweep)}) == 3


# Order.


def test_all_configs_of_the_first_seed_come_first() -> None:
    sweep = make(variants=({"when": {"dataset": "imagenet"}, "seeds": (9,)},))
    found = [(trial.seed, trial.config.factors["dataset"]) for trial in expand(sweep)]
    first = [(0, "cifar10")] * 4 + [(9, "imagenet")] * 4
    assert found == first + [(1, "cifar10")] * 4 + [(2, "cifar10")] * 4


def test_within_a_seed_the_longest_trials_come_first_and_unknown_ones_before_them() -> None:
    trials = expand(make(factors={"order": ("a", "b", "c")}, search={}, seeds=(0, 1)))
    by_order = {trial.config.factors["order"]: trial.config.config_id for trial in trials}
    known = {by_order["a"]: 1.0, by_order["c"]: 5.0}
    found = [(t.seed, t.config.factors["order"]) for t in longest_first(trials, known)]
    assert found == [(0, "b"), (0, "c"), (0, "a"), (1, "b"), (1, "c"), (1, "a")]


def test_trials_of_equal_or_unknown_duration_keep_the_order_of_the_file() -> None:
    trials = expand(make())
    assert longest_first(trials, {}) == trials
    assert longest_first(trials, {trial.config.config_id: 2.0 for trial in trials}) == trials


# Properties.

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=5)
SMALL = st.integers(0, 3)
AXIS = st.lists(SMALL, min_size=1, max_size=3, unique=True).map(tuple)
NAMES = ("a", "b", "c")
SEARCHED = ("x", "y")


@st.composite
def sweeps(draw: st.DrawFn) -> Sweep:
    factors = {name: draw(AXIS) for name in draw(st.sets(st.sampled_from(NAMES), min_size=1))}
    search = {name: draw(AXIS) for name in draw(st.sets(st.sampled_from(SEARCHED)))}
    some_factors = st.dictionaries(st.sampled_from(sorted(factors)), SMALL, min_size=1)
    all_axes = st.dictionaries(st.sampled_from(sorted({**factors, **search})), SMALL, min_size=1)
    variant = st.fixed_dictionaries(
        {"when": some_factors},
        optional={
            "seeds": AXIS,
            "fixed": st.fixed_dictionaries({"k": SMALL}),
            "search": st.fixed_dictionaries({}, optional=dict.fromkeys(search, AXIS)),
        },
    )
    return make(
        factors=factors,
        search=search,
        fixed={"k": 0},
        seeds=draw(AXIS),
        variants=tuple(draw(st.lists(variant, max_size=3))),
        exclude=tuple(draw(st.lists(all_axes, max_size=2))),
    )


def combinations(axes: Mapping[str, tuple[int, ...]]) -> list[dict[str, int]]:
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def plainly_expanded(sweep: Sweep) -> list[dict[str, Any]]:
    """Do what the file says in the plainest way: for integers only, and in another order."""
    found = []
    for factors in combinations(sweep.factors):
        fitting = [v for v in sweep.variants if v.when.items() <= factors.items()]
        search, fixed, seeds = dict(sweep.search_axes), dict(sweep.fixed), sweep.seeds
        for variant in fitting:
            search |= variant.search
            fixed |= variant.fixed
            seeds = variant.seeds or seeds
        for chosen in combinations(search):
            if not any(entry.items() <= {**factors, **chosen}.items() for entry in sweep.exclude):
                found += [{**factors, **chosen, **fixed, "seed": seed} for seed in seeds]
    return found


def in_order(trials: list[dict[str, Any]]) -> list[Any]:
    return sorted(sorted(trial.items()) for trial in trials)


@pytest.mark.no_cover
@given(sweeps())
def test_expanding_gives_each_wanted_combination_once_and_no_other(sweep: Sweep) -> None:
    assert in_order(params(sweep)) == in_order(plainly_expanded(sweep))
    assert len(ids(sweep)) == len(expand(sweep))
    assert is_empty(sweep) == (not expand(sweep))


@pytest.mark.no_cover
@given(sweeps())
def test_the_count_is_right_unless_search_values_are_excluded_and_then_an_upper_bound(
    sweep: Sweep,
) -> None:
    count = count_trials(sweep)
    if any(entry.keys() & sweep.search.keys() for entry in sweep.exclude):
        assert count >= len(expand(sweep))
    else:
        assert count == len(expand(sweep))


def turns(sweep: Sweep, trials: list[PlannedTrial]) -> list[int]:
    """Tell of each trial the how manieth seed of its cell it has."""
    seeds = {cell.cell_id: cell.seeds for cell in cells(sweep)}
    return [seeds[trial.config.cell_id].index(trial.seed) for trial in trials]


@pytest.mark.no_cover
@given(sweeps(), st.randoms(use_true_random=False))
def test_known_durations_change_the_order_within_a_turn_and_nothing_else(
    sweep: Sweep, random: Any
) -> None:
    trials = expand(sweep)
    known = {t.config.config_id: random.random() for t in trials if random.random() < 0.7}
    found = longest_first(trials, known)
    assert {trial.trial_id for trial in found} == ids(sweep)
    assert turns(sweep, found) == turns(sweep, trials) == sorted(turns(sweep, trials))
    places = [
        (turn, -known.get(trial.config.config_id, 2.0))
        for turn, trial in zip(turns(sweep, found), found, strict=True)
    ]
    assert places == sorted(places)


@given(st.dictionaries(st.text(min_size=1, max_size=4), VALUES, max_size=4), st.randoms())
def test_the_order_of_params_does_not_matter(params: dict[str, Any], random: Any) -> None:
    shuffled = list(params.items())
    random.shuffle(shuffled)
    assert identity("toy:train", dict(shuffled)) == identity("toy:train", params)


@given(st.integers(-(2**53), 2**53))
def test_an_integer_and_its_float_are_two_values_that_match(number: int) -> None:
    assert identity("t:t", {"x": number}) != identity("t:t", {"x": float(number)})
    assert identity("t:t", {"x": (number,)}) != identity("t:t", {"x": [float(number)]})
    assert matches({"x": number}, {"x": float(number)})
    assert matches({"x": (float(number),)}, {"x": number})


@given(VALUES, VALUES)
def test_values_have_one_text_only_if_they_are_one_value(one: Any, other: Any) -> None:
    assert (by_value(one) == by_value(other)) == (typed(one) == typed(other))
    assert (canonical(one) == canonical(other)) == (repr(one) == repr(other))


def typed(value: Any) -> Any:
    """Tell booleans from numbers, which Python takes for equal."""
    if isinstance(value, tuple):
        return tuple(map(typed, value))
    return isinstance(value, bool), value


# Exclusions


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["dataset", "order", "lr"]),
            st.one_of(
                st.sampled_from(["cifar10", "imagenet", "convention", "swap", 0.1, 0.01, 1, 1.0]),
                st.lists(
                    st.sampled_from(["cifar10", "imagenet", "swap", 0.1, 0.01]), min_size=1
                ).map(tuple),
            ),
            min_size=1,
        ),
        max_size=5,
    )
)
def test_compiled_exclusions_exclude_what_each_entry_does(entries: list[dict[str, Any]]) -> None:
    compiled = Exclusions(entries)
    of_factors = [entry for entry in entries if "lr" not in entry]
    about = compiled.about(["dataset", "order"])
    for config in (c for cell in cells(make()) for c in cell.configs):
        expected = any(matches(entry, config.values) for entry in entries)
        assert compiled.include(config.values) == expected
        only = any(matches(entry, config.factors) for entry in of_factors)
        assert about.include(config.factors) == only


def test_an_entry_of_many_combinations_is_compared_by_itself() -> None:
    wide = {"a": tuple(range(100)), "b": tuple(range(100))}
    compiled = Exclusions([wide])
    assert compiled.include({"a": 99, "b": 0})
    assert not compiled.include({"a": 99, "b": 100})
