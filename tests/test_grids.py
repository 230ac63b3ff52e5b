"""Grids: paired axes, exceptions for search values, ranges, nested names, no factors at all."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import qmc
from support.commands import orch

from orchestrator import SpecError, load, open_store
from orchestrator.spec import Sweep, cells, expand
from orchestrator.spec.grid import count_trials

BASE: dict[str, Any] = {
    "name": "grid",
    "trainable": "toy:train",
    "seeds": [0],
    "select": {"metric": "score", "mode": "max"},
}


def sweep_of(**keys: Any) -> Sweep:
    return load({**BASE, **keys})


def searched(sweep: Sweep) -> list[dict[str, Any]]:
    return [dict(config.search) for cell in cells(sweep) for config in cell.configs]


def ids(sweep: Sweep) -> dict[str, str]:
    """The id of each trial, by its params."""
    return {json.dumps(t.params, sort_keys=True): t.trial_id for t in expand(sweep)}


def refused(said: str, **keys: Any) -> None:
    with pytest.raises(SpecError) as error:
        sweep_of(**keys)
    assert said in str(error.value).replace("`", "")


# Axes that go together


def test_params_of_one_axis_take_their_values_together() -> None:
    pairs = {"lr, warmup": [[0.1, 5], [0.01, 0]], "wd": [0, 1]}
    assert searched(sweep_of(search=pairs)) == [
        {"lr": lr, "warmup": warmup, "wd": wd}
        for lr, warmup in pairs["lr, warmup"]
        for wd in (0, 1)
    ]
    of_factors = sweep_of(factors={"opt, momentum": [["sgd", 0.9], ["adam", None]]})
    assert [dict(cell.factors) for cell in cells(of_factors)] == [
        {"opt": "sgd", "momentum": 0.9},
        {"opt": "adam", "momentum": None},
    ]
    assert of_factors.factors == {"opt": ("sgd", "adam"), "momentum": (0.9, None)}


def test_a_pair_has_the_ids_of_its_values_wherever_they_stand() -> None:
    paired = ids(sweep_of(search={"a, b": [[1, 2], [3, 4]]}))
    crossed = ids(sweep_of(search={"b": [2, 4], "a": [1, 3]}))
    assert paired.items() < crossed.items()
    assert len(paired) == 2


def test_claims_match_cells_on_the_factors_that_are_not_paired_with_the_compared_one() -> None:
    claim = {"name": "c", "compare": {"opt": ["sgd", "adam"]}, "metric": "score"}
    keys = {
        "factors": {"opt, momentum": [["sgd", 0.9], ["adam", None]], "x": [1, 2]},
        "claims": [{**claim, "expect": "greater", "over": "each"}],
    }
    assert len(cells(sweep_of(**keys))) == 4  # and `each` has cells to compare
    keys["claims"][0]["where"] = {"momentum": 0.9}
    refused("no cells to compare", **keys)
    keys["claims"][0]["over"] = "mean"
    refused("no cells to compare", **keys)


def test_a_condition_that_holds_in_one_of_several_cells_is_taken() -> None:
    sweep = sweep_of(
        factors={"x": [1, 2]},
        search={"a, b": [[1, 2], [3, 4]]},
        variants=[
            {"when": {"x": 1}, "search": {"a, b": [[5, 6]]}},
            {"when": {"a": 1, "b": 2}, "resources": {"cpu": 2}},
        ],
        exclude=[{"x": 2, "a": [3, 5]}],
    )
    assert searched(sweep) == [{"a": 5, "b": 6}, {"a": 1, "b": 2}]


def test_later_variants_win_whether_they_match_cells_or_search_values() -> None:
    sweep = sweep_of(
        factors={"x": [1, 2]},
        search={"opt": ["sgd", "adam"], "lr": [1]},
        variants=[
            {"when": {"opt": "adam"}, "search": {"lr": [3]}},
            {"when": {"x": 2}, "search": {"lr": [9]}},
        ],
    )
    first, second = ([c.search["lr"] for c in cell.configs] for cell in cells(sweep))
    assert (first, second) == ([1, 3], [9, 9])


# Exceptions for search values


def test_a_variant_for_a_search_value_adds_params_that_are_null_elsewhere() -> None:
    sweep = sweep_of(
        search={"lr": [0.1, 0.2], "opt": ["sgd", "adam"]},
        variants=[
            {
                "when": {"opt": "adam"},
                "search": {"beta2": [0.9, 0.99], "lr": [0.3]},
                "resources": {"cpu": 2},
            }
        ],
    )
    assert searched(sweep) == [
        {"lr": 0.1, "opt": "sgd", "beta2": None},
        {"lr": 0.2, "opt": "sgd", "beta2": None},
        {"lr": 0.3, "opt": "adam", "beta2": 0.9},
        {"lr": 0.3, "opt": "adam", "beta2": 0.99},
    ]
    assert sweep.search["beta2"] == (None, 0.9, 0.99)
    (cell,) = cells(sweep)
    assert [config.resources.cpu for config in cell.configs] == [1, 1, 2, 2]


def test_a_variant_for_cells_adds_params_too() -> None:
    sweep = sweep_of(
        factors={"opt": ["sgd", "adam"]},
        search={"lr": [0.1]},
        variants=[{"when": {"opt": "adam"}, "search": {"beta, eps": [[0.9, 1], [0.99, 2]]}}],
    )
    assert [(c["beta"], c["eps"]) for c in searched(sweep)] == [(None, None), (0.9, 1), (0.99, 2)]


SMALL = st.integers(0, 2)
VALUES = st.lists(SMALL, min_size=1, max_size=3, unique=True)
PAIRS = st.lists(st.tuples(SMALL, SMALL).map(list), min_size=1, max_size=3, unique_by=tuple)


@st.composite
def grids(draw: st.DrawFn) -> dict[str, Any]:
    search: dict[str, Any] = {"a": draw(VALUES), "p, q": draw(PAIRS)}
    factors: dict[str, Any] = draw(st.sampled_from([{}, {"f": [0, 1]}, {"f, g": [[0, 1], [1, 1]]}]))
    of_search = st.fixed_dictionaries({"a": st.sampled_from(search["a"])})
    of_cells = st.fixed_dictionaries({"f": st.sampled_from([0, 1])}) if factors else of_search
    variant = st.fixed_dictionaries(
        {
            "when": st.one_of(of_search, of_cells),
            "search": st.fixed_dictionaries({}, optional={"p, q": PAIRS, "new": VALUES}),
        }
    )
    return {
        "factors": factors,
        "search": search,
        "variants": draw(st.lists(variant, max_size=3)),
        "exclude": draw(st.lists(of_search, max_size=1)),
    }


def points(axes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Cross axes in the plainest way."""
    found = []
    for values in itertools.product(*axes.values()):
        point: dict[str, Any] = {}
        for key, value in zip(axes, values, strict=True):
            names = key.split(", ")
            point |= dict(zip(names, value if len(names) > 1 else [value], strict=True))
        found.append(point)
    return found


def plainly(keys: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Do what the keys say, for each cell and each value of `a`: later variants win."""
    new = {"new": None} if any("new" in v["search"] for v in keys["variants"]) else {}
    found = []
    for factors in points(keys["factors"]):
        for a in keys["search"]["a"]:
            own = {**keys["search"], "a": [a]}
            for variant in keys["variants"]:
                if variant["when"].items() <= {**factors, "a": a}.items():
                    own |= variant["search"]
            if not any(entry["a"] == a for entry in keys["exclude"]):
                found += [{**factors, **new, **point} for point in points(own)]
    return found


@given(grids())
def test_grids_are_expanded_as_the_plainest_way_does(keys: dict[str, Any]) -> None:
    if not plainly(keys):
        refused("excludes every trial", **keys)
        return
    for variant in keys["variants"]:
        if not any(variant["when"].items() <= config.items() for config in plainly(keys)):
            refused("when: never matches", **keys)
            return
    sweep = sweep_of(**keys)
    found = [{**config.factors, **config.search} for c in cells(sweep) for config in c.configs]
    in_order = [sorted(config.items()) for config in found]
    assert sorted(in_order, key=str) == sorted((sorted(c.items()) for c in plainly(keys)), key=str)
    assert len(set(ids(sweep).values())) == len(found)
    assert count_trials(sweep) >= len(found)
    assert count_trials(sweep) == len(found) or keys["exclude"]


# Ranges

RANGES: dict[str, Any] = {
    "lr": {"loguniform": [1.0e-4, 1.0e-1]},
    "drop": {"uniform": [0.0, 0.5]},
    "depth": {"integers": [1, 8]},
}


@pytest.mark.parametrize("bounds", [[1.0e-310, 1.0e10], [5.0e-324, 1.0]])
def test_a_range_of_magnitudes_may_be_as_wide_as_numbers_are(bounds: list[float]) -> None:
    found = searched(sweep_of(search={"lr": {"loguniform": bounds}}, samples=8))
    assert len({point["lr"] for point in found}) == 8
    assert sum(point["lr"] < (bounds[0] * bounds[1]) ** 0.5 for point in found) == 4


def test_an_unknown_point_is_told_with_the_nearest_one() -> None:
    keys = {"search": {"a": {"uniform": [0.0, 1.0]}}, "samples": 8}
    for point in searched(sweep_of(**keys)):
        exclude = [{"a": point["a"] * 1.001}]
        refused(f"; did you mean {point['a']}?", **keys, exclude=exclude)


def test_a_mapping_in_fixed_is_no_range() -> None:
    assert sweep_of(fixed={"x": {"uniform": [0, 1]}}).fixed == {"x.uniform": (0, 1)}


def test_samples_are_points_of_a_shifted_sobol_sequence() -> None:
    found = searched(sweep_of(search=RANGES, samples=16))
    shares = qmc.Sobol(3, scramble=False).random(16)
    for dimension, name in enumerate(RANGES):
        bits = hashlib.sha256(f"orch-sample {dimension}".encode()).hexdigest()
        shift = Fraction(int(bits, 16) >> 256 - 53, 2**53)
        moved = [float((Fraction(float(share)) + shift) % 1) for share in shares[:, dimension]]
        assert [point[name] for point in found] == [AT[name](share) for share in moved]
    assert found[:3] == GOLDEN
    assert {point["depth"] for point in found} == set(range(1, 9))


AT = {
    "lr": lambda share: float(f"{1e-4 * 1000**share:.6g}"),
    "drop": lambda share: float(f"{share / 2:.6g}"),
    "depth": lambda share: 1 + math.floor(8 * share),
}
GOLDEN = [
    {"lr": 0.000111286, "drop": 0.340892, "depth": 5},
    {"lr": 0.00351917, "drop": 0.0908915, "depth": 1},
    {"lr": 0.0197897, "drop": 0.465892, "depth": 7},
]


@given(st.integers(1, 40), st.integers(1, 40))
def test_more_samples_another_name_and_another_axis_move_no_point(first: int, second: int) -> None:
    few, many = sorted((first, second))
    before = searched(sweep_of(search=RANGES, samples=few))
    more = {**RANGES, "last": {"uniform": [0, 1]}, "opt": ["a", "b"]}
    after = searched(sweep_of(name="other", search=more, samples=many))
    points = [{name: point[name] for name in RANGES} for point in after if point["opt"] == "a"]
    assert points[: len(before)] == before
    for point in after:
        assert 1e-4 <= point["lr"] <= 1e-1
        assert 0 <= point["drop"] <= 0.5
        assert point["depth"] in range(1, 9)


def test_every_cell_and_seed_has_the_same_points_and_a_repeated_one_counts_once() -> None:
    sweep = sweep_of(
        seeds=[0, 1], factors={"x": [1, 2]}, search={"k": {"integers": [1, 3]}}, samples=8
    )
    (first, second) = cells(sweep)
    assert [c.search for c in first.configs] == [c.search for c in second.configs]
    assert sorted(c.search["k"] for c in first.configs) == [1, 2, 3]
    assert count_trials(sweep) == len(expand(sweep)) == 2 * 3 * 2


def test_plan_says_how_many_points_are_left(tmp_path: Path) -> None:
    def planned(**keys: Any) -> str:
        (tmp_path / "a.yaml").write_text(json.dumps({**BASE, "trainable": "t:train", **keys}))
        (tmp_path / "t.py").write_text("def train(params, trial):\n    yield {'score': 1}\n")
        return orch(tmp_path, "plan", "a.yaml").stdout

    assert "points" not in planned(search={"k": [1, 2]})
    assert "configs 4, points 4, trials" in planned(search=RANGES, samples=4)
    said = planned(search={"k": {"integers": [1, 3]}}, samples=8)
    assert "configs 3, points 3, trials" in said
    assert "of 8 samples, 3 are left: the others repeat a point" in said
    said = planned(
        factors={"x": [1, 2]},
        search={"k": {"integers": [1, 3]}},
        samples=8,
        variants=[{"when": {"x": 2}, "search": {"k": {"integers": [1, 100]}}}],
    )
    assert "of 8 samples, 3 are left in some cells" in said


def test_a_variants_range_keeps_the_dimension_of_its_param() -> None:
    wider = {"lr": {"loguniform": [1.0e-8, 1.0e-1]}}
    sweep = sweep_of(
        factors={"x": [1, 2]},
        search=RANGES,
        samples=4,
        variants=[{"when": {"x": 2}, "search": wider}],
    )
    first, second = ([dict(c.search) for c in cell.configs] for cell in cells(sweep))
    assert [p["drop"] for p in first] == [p["drop"] for p in second]
    for near, far in zip(first, second, strict=True):
        share = math.log(near["lr"] / 1e-4) / math.log(1e3)
        assert math.log(far["lr"] / 1e-8) / math.log(1e7) == pytest.approx(share, abs=1e-5)


# Nested names


def test_names_with_dots_and_mappings_are_the_same_and_reach_the_trainable_nested() -> None:
    dotted = sweep_of(search={"optim.lr": [0.1]}, fixed={"optim.wd": 1, "net.widths": [8, 16]})
    nested = sweep_of(
        search={"optim.lr": [0.1]}, fixed={"optim": {"wd": 1}, "net": {"widths": [8, 16]}}
    )
    assert ids(dotted) == ids(nested)
    (trial,) = expand(nested)
    assert trial.params == {
        "optim": {"lr": 0.1, "wd": 1},
        "net": {"widths": [8, 16]},
        "seed": 0,
    }


# Bad input


@pytest.mark.parametrize(
    ("said", "keys"),
    [
        (
            "search.lr, wd[1]: expected a list of 2 values, one for each of lr, wd",
            {"search": {"lr, wd": [[1, 2], [3]]}},
        ),
        ("search.lr: lr is also under search.lr, wd", {"search": {"lr, wd": [[1, 2]], "lr": [1]}}),
        ("search.a, a: a param stands twice in it", {"search": {"a, a": [[1, 2]]}}),
        ("search.a, : expected a param name", {"search": {"a, ": [[1, 2]]}}),
        ("search.a, b: 1 and 1.0 are the same number", {"search": {"a, b": [[1, 2], [1.0, 3]]}}),
        ("search.a, b: the value [1, 2] is repeated", {"search": {"a, b": [[1, 2], [1, 2]]}}),
        ("search.a: a range needs samples", {"search": {"a": {"uniform": [0, 1]}}}),
        ("samples: no param in search has a range", {"search": {"a": [1]}, "samples": 4}),
        (
            "search.a: uniform: expected two finite numbers, the smaller one first",
            {"search": {"a": {"uniform": [1, 0]}}, "samples": 4},
        ),
        (
            "search.a: loguniform: expected numbers above 0",
            {"search": {"a": {"loguniform": [0, 1]}}, "samples": 4},
        ),
        (
            "search.a: integers: expected two integers",
            {"search": {"a": {"integers": [0, 1.5]}}, "samples": 4},
        ),
        (
            "search.a: unknown kind of range unifrm; did you mean uniform?",
            {"search": {"a": {"unifrm": [0, 1]}}, "samples": 4},
        ),
        (
            "search.a: uniform: expected the smallest and the largest value",
            {"search": {"a": {"uniform": [0]}}, "samples": 4},
        ),
        (
            "search.a, b: a range is for one param",
            {"search": {"a, b": {"uniform": [0, 1]}}, "samples": 4},
        ),
        (
            "factors.x: expected a list of values; a range is for a param of search",
            {"factors": {"x": {"uniform": [0, 1]}}},
        ),
        ("search.x: a mapping is no value; list", {"search": {"x": [{"lr": 1}, {"lr": 2}]}}),
        ("factors.x: a mapping is no value; list", {"factors": {"x": [1, {"lr": 2}]}}),
        ("samples: expected a number greater than or equal to 1", {"samples": 0}),
        (
            "is one range too many: 64 at most",
            {"search": {f"a{i}": {"uniform": [0, 1]} for i in range(65)}, "samples": 2},
        ),
        (
            "variants[0].when: never matches: no config has these values together",
            {
                "search": {"a, b": [[1, 2], [3, 4]]},
                "variants": [{"when": {"a": 1, "b": 4}, "resources": {"cpu": 2}}],
            },
        ),
        (
            "exclude[0]: never matches: no config has these values together",
            {"search": {"a, b": [[1, 2], [3, 4]]}, "exclude": [{"a": 1, "b": 4}]},
        ),
        (
            "exclude[0]: never matches",
            {"factors": {"a, b": [[1, 2], [3, 4]]}, "exclude": [{"a": 1, "b": 4}]},
        ),
        (
            "variants[0].when: never matches",
            {
                "factors": {"x": [1, 2]},
                "exclude": [{"x": 1}],
                "variants": [{"when": {"x": 1}, "resources": {"cpu": 2}}],
            },
        ),
        (
            "variants[0].when: never matches",
            {
                "factors": {"x": [1, 2]},
                "search": {"lr": [0.1, 0.2]},
                "variants": [
                    {"when": {"lr": 0.1}, "resources": {"cpu": 2}},
                    {"when": {"x": [1, 2]}, "search": {"lr": [0.3]}},
                ],
            },
        ),
        (
            "exclude[0]: never matches",  # of the first cell there is no b
            {
                "factors": {"x": [1, 2]},
                "search": {"a": [1]},
                "variants": [{"when": {"x": 2}, "search": {"b": [5]}}],
                "exclude": [{"x": 1, "b": 5}],
            },
        ),
        (
            "variants[0].fixed: may not depend on a, which is searched within a cell",
            {
                "search": {"a": [1]},
                "fixed": {"k": 0},
                "variants": [{"when": {"a": 1}, "fixed": {"k": 1}}],
            },
        ),
        (
            "variants[0].search.a: is what when matches; it cannot change too",
            {"search": {"a": [1]}, "variants": [{"when": {"a": 1}, "search": {"a": [2]}}]},
        ),
        (
            "variants[0].when.a: has a range; match params whose values are listed",
            {
                "search": {"a": {"integers": [1, 2]}},
                "samples": 4,
                "variants": [{"when": {"a": 1}, "resources": {"cpu": 2}}],
            },
        ),
        (
            "variants[0].search.a: a is part of the axis a, b, which changes as a whole",
            {
                "factors": {"x": [1]},
                "search": {"a, b": [[1, 2]]},
                "variants": [{"when": {"x": 1}, "search": {"a": [2]}}],
            },
        ),
        (
            "variants[1].when.beta: only exceptions add beta, and none may depend on another one",
            {
                "search": {"opt": ["a", "b"], "lr": [1]},
                "variants": [
                    {"when": {"opt": "a"}, "search": {"beta": [1, 2]}},
                    {"when": {"beta": 1}, "search": {"lr": [5]}},
                ],
            },
        ),
        (
            "variants[0].search.b: is what another exception matches",
            {
                "search": {"a": [1, 2], "b": [1, 2], "c": [0]},
                "variants": [
                    {"when": {"a": 1}, "search": {"b": [7]}},
                    {"when": {"b": 1}, "search": {"c": [5]}},
                ],
            },
        ),
        (
            "variants[1].search.p, q: p is part of the axis p, which changes as a whole",
            {
                "factors": {"x": [1]},
                "variants": [
                    {"when": {"x": 1}, "search": {"p": [1, 2]}},
                    {"when": {"x": 1}, "search": {"p, q": [[3, 4]]}},
                ],
            },
        ),
        ("fixed.seed.a: seed.a is reserved", {"fixed": {"seed.a": 1}}),
        ("search.k: integers: expected", {"search": {"k": {"integers": [0, "x"]}}, "samples": 2}),
        (
            "search.k: expected an integer of at most 64 bits",
            {"search": {"k": {"integers": [0, 10**20]}}, "samples": 2},
        ),
        (
            "search.k: uniform: expected two finite numbers",
            {"search": {"k": {"uniform": [-1e308, 1e308]}}, "samples": 2},
        ),
        (
            "claims[0]: several cells have one value of opt, whose axis also sets lr",
            {
                "factors": {"opt, lr": [["sgd", 0.1], ["sgd", 0.2], ["adam", 0.3]]},
                "claims": [
                    {
                        "name": "c",
                        "compare": {"opt": ["sgd", "adam"]},
                        "metric": "score",
                        "expect": "greater",
                    }
                ],
            },
        ),
        ("fixed: optim.lr stands twice", {"fixed": {"optim": {"lr": 1}, "optim.lr": 2}}),
        ("optim is a param, and optim.lr a param in it", {"fixed": {"optim": 1, "optim.lr": 2}}),
        ("fixed.optim: expected a number, string", {"fixed": {"optim": {}}}),
        ("search.trial.folder: trial.folder is reserved", {"search": {"trial.folder": [1]}}),
        ("search.a..b: expected a param name", {"search": {"a..b": [1]}}),
    ],
)
def test_what_cannot_be_meant_is_refused(said: str, keys: dict[str, Any]) -> None:
    refused(said, **keys)


# From the file to the table

TRAINABLE = """
def train(params, trial):
    optim = params["optim"]
    yield {"score": optim["lr"] + (optim["momentum"] or 0) + 0.01 * params["seed"]}
"""


def test_a_sweep_without_factors_is_one_cell_in_every_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "opt.py").write_text(TRAINABLE)
    sweep = {
        **BASE,
        "trainable": "opt:train",
        "seeds": [0, 1, 2],
        "search": {
            "optim.kind, optim.momentum": [["sgd", 0.9], ["adam", None]],
            "optim.lr": [0.1, 0.2],
        },
        "confirm": 2,
    }
    file = tmp_path / "grid.yaml"
    file.write_text(json.dumps(sweep))
    shown = orch(tmp_path, "sweep", "grid.yaml", "--runner", "inline").stdout
    assert "11.1050 ± 0.0071 (2)" in shown
    results = open_store(tmp_path / "results/grid")
    assert len(results.trials) == 4 * 3 + 2
    assert {"optim.kind", "optim.momentum", "optim.lr"} <= set(results.trials)
    (row,) = results.best().to_dict("records")
    assert (row["optim.kind"], row["optim.lr"], row["n"]) == ("sgd", 0.2, 2)
    for command in (
        ["plan", "grid.yaml"],
        ["status", "grid.yaml"],
        ["effects", "grid.yaml"],
        ["figure", "grid.yaml"],
        ["report", "grid.yaml"],
        *(
            ["table", "grid.yaml", "--format", f]
            for f in ("markdown", "latex", "html", "csv", "json")
        ),
    ):
        assert orch(tmp_path, *command).exit_code == 0, command
