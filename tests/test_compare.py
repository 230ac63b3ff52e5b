"""`orch compare`: which cells moved, by how much, and whether beyond the noise of seeds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from support.commands import orch
from support.documented import schema
from support.sharing import publish, sweep_in

TRAINABLE = """
import random

from helper import SHIFT


def train(params, trial):
    for epoch in range(2):
        noise = random.random()
        yield {"score": noise + params["x"] + SHIFT * (params["x"] == 2), "other": noise}
"""


def make(folder: Path, shift: float = 0.0, trainable: str = TRAINABLE, **changes: Any) -> Path:
    """Run a sweep whose cell x = 2 is higher by a shift, and return its store."""
    tables = [{"name": "all", "rows": ["x"], "values": ["score", "other"]}]
    helper = f"SHIFT = {shift}\n"
    sweep_in(folder, trainable, helper, **{"claims": [], "tables": tables, **changes})
    return folder / "results/noise"


def compared(before: Path | str, after: Path | str, *options: str, code: int = 0) -> dict[str, Any]:
    done = orch(Path.cwd(), "compare", before, after, "--format", "json", *options)
    assert done.exit_code == code, done.output
    found = json.loads(done.stdout)
    jsonschema.validate(found, schema("compare"))
    return found


def verdicts(found: dict[str, Any], value: str = "score") -> dict[int, str]:
    own = (change for change in found["changes"] if change["value"] == value)
    return {change["factors"]["x"]: change["verdict"] for change in own}


def test_a_publication_of_a_store_is_the_same(tmp_path: Path) -> None:
    store = make(tmp_path / "one")
    shared = publish(tmp_path / "one")
    found = compared(store, shared, "--fail-on-change")
    assert (verdicts(found), verdicts(found, "other")) == ({1: "same", 2: "same"},) * 2
    assert not found["has_moved"]


def test_a_cell_that_moved_beyond_noise_is_told_from_one_that_did_not(tmp_path: Path) -> None:
    before, after = make(tmp_path / "one"), make(tmp_path / "two", 0.25)
    found = compared(before, after, "--fail-on-change", code=1)
    assert verdicts(found) == {1: "same", 2: "moved"}
    (moved,) = (change for change in found["changes"] if change["verdict"] == "moved")
    assert moved["difference"] == pytest.approx(0.25)
    assert not compared(after, before)["changes"][1]["difference"] > 0
    done = orch(tmp_path, "compare", before, after)
    assert done.exit_code == 0
    assert "• 3 same; 1 moved\n" in done.stdout
    markdown = orch(tmp_path, "compare", before, after, "--format", "markdown").stdout
    assert "| x | before | after | change | 95 % interval | p |  |" in markdown


def test_other_seeds_are_compared_by_welchs_test_and_all_values_corrected(tmp_path: Path) -> None:
    before = make(tmp_path / "one")
    after = make(tmp_path / "two", 0.25, seeds=[5, 6, 7, 8])
    found = compared(before, after)
    assert {(c["before"]["n"], c["after"]["n"]) for c in found["changes"]} == {(5, 4)}
    p = []
    for change in found["changes"]:
        one, other = change["before"], change["after"]
        test = stats.ttest_ind_from_stats(
            *(one[k] for k in ("mean", "std", "n")),
            *(other[k] for k in ("mean", "std", "n")),
            equal_var=False,
        )
        assert change["p"] == pytest.approx(test.pvalue)
        assert change["difference"] == pytest.approx(other["mean"] - one["mean"])
        p.append(test.pvalue)
    corrected = multipletests(p, method="holm")[1]
    assert [change["p_holm"] for change in found["changes"]] == pytest.approx(list(corrected))


def test_the_same_seeds_are_paired(tmp_path: Path) -> None:
    before, after = make(tmp_path / "one"), make(tmp_path / "two", 1e-3)
    moved = compared(before, after)["changes"][1]
    assert moved["before"]["std"] > 0.1
    assert moved["p"] < 1e-10  # each seed moved by the same, to the last digits
    assert moved["interval"] == pytest.approx([1e-3, 1e-3])


def test_rounding_errors_are_no_move_even_if_all_seeds_have_the_same(tmp_path: Path) -> None:
    before, after = make(tmp_path / "one"), make(tmp_path / "two", 2**-51)
    found = compared(before, after, "--fail-on-change")
    assert verdicts(found) == {1: "same", 2: "within noise"}


def test_a_single_seed_tells_nothing_about_noise(tmp_path: Path) -> None:
    before = make(tmp_path / "one", seeds=[0])
    after = make(tmp_path / "two", 0.25, seeds=[0])
    found = compared(before, after, "--fail-on-change")
    assert verdicts(found) == {1: "same", 2: "unknown"}


@pytest.mark.parametrize(
    "instead",
    ["raise ValueError", "yield {'score': float('nan'), 'other': noise}", "yield {'score': noise}"],
    ids=["fails", "diverges", "does not measure it"],
)
def test_a_value_that_is_there_no_more_is_lost(tmp_path: Path, instead: str) -> None:
    before = make(tmp_path / "one")
    case = f"if params['x'] == 2:\n            {instead}\n            continue\n        yield"
    after = make(tmp_path / "two", trainable=TRAINABLE.replace("yield", case))
    found = compared(before, after, "--fail-on-change", code=1)
    assert "lost" in {verdicts(found)[2], verdicts(found, "other")[2]}
    assert found["has_moved"]


def test_a_store_that_measures_nothing_of_another_has_lost_it(tmp_path: Path) -> None:
    before = make(tmp_path / "one", tables=[])
    trainable = "def train(params, trial):\n    yield {'points': 1}\n"
    select = {"metric": "points", "mode": "max"}
    after = make(tmp_path / "two", trainable=trainable, tables=[], select=select)
    found = compared(before, after, "--fail-on-change", code=1)
    assert verdicts(found) == {1: "lost", 2: "lost"}


def test_a_figure_without_trials_beside_it_is_unknown(tmp_path: Path) -> None:
    published = {"source": "A paper", "columns": ["x", "score"], "rows": [[1, 0.5]]}
    tables = [{"name": "all", "rows": ["x"], "published": published}]
    trainable = "def train(params, trial):\n    assert params['x'] == 2\n    yield {'score': 1}\n"
    store = make(tmp_path, trainable=trainable, tables=tables)
    assert verdicts(compared(store, "published")) == {1: "unknown"}


def test_a_cell_that_no_side_has_a_value_of_is_unknown(tmp_path: Path) -> None:
    failing = "def train(params, trial):\n    yield {'score': 1 // (2 - params['x']), 'other': 0}\n"
    stores = (make(tmp_path / name, trainable=failing, retries=0) for name in ("one", "two"))
    assert verdicts(compared(*stores)) == {1: "same", 2: "unknown"}


def test_a_folder_may_have_an_at_sign_in_its_name(tmp_path: Path) -> None:
    store = make(tmp_path / "one", seeds=[0])
    copy = shutil.copytree(store, store.with_name("noise@v2"))
    assert verdicts(compared(store, copy)) == {1: "same", 2: "same"}


def test_cells_and_settings_that_are_not_the_same_are_named(tmp_path: Path) -> None:
    before = make(tmp_path / "one", fixed={"width": 4}, factors={"x": [1, 2, 3]})
    after = make(tmp_path / "two", fixed={"width": 8}, factors={"x": [2, 1, 4]})
    found = compared(before, after, "--fail-on-change", code=1)
    assert (found["only_before"], found["only_after"]) == (["x=3"], ["x=4"])
    assert "width was 4, is 8" in found["notes"]
    assert verdicts(found) == {1: "same", 2: "same"}


def test_a_factor_may_be_fixed_on_the_other_side(tmp_path: Path) -> None:
    before = make(tmp_path / "one", factors={"x": [1, 2], "width": [4, 8]}, tables=[])
    after = make(tmp_path / "two", fixed={"width": 8}, tables=[])
    found = compared(before, after)
    assert [change["factors"] for change in found["changes"]] == [
        {"x": 1, "width": 8},
        {"x": 2, "width": 8},
    ]


def test_a_cell_that_searches_a_param_is_none_of_its_values(tmp_path: Path) -> None:
    before = make(tmp_path / "one", factors={"x": [1, 2], "lr": [0.1, 0.2]})
    after = make(tmp_path / "two", search={"lr": [0.1, 0.2]})
    done = orch(tmp_path, "compare", before, after)
    assert done.exit_code == 2
    assert "have no cell in common" in done.stderr
    single = make(tmp_path / "three", search={"lr": [0.1]})
    assert len(compared(before, single)["changes"]) == 4


def test_two_versions_of_the_code_in_one_store(tmp_path: Path) -> None:
    store = make(tmp_path / "one", seeds=[0, 1, 2])
    folder = tmp_path / "one"
    (folder / "helper.py").write_text("SHIFT = 0.5\n")
    sweep = json.loads((folder / "noise.yaml").read_text())
    (folder / "noise.yaml").write_text(json.dumps({**sweep, "seeds": [0, 1, 2, 3, 4, 5]}))
    assert orch(folder, "sweep", "noise.yaml", "--runner", "inline").exit_code == 0
    trials = pd.read_parquet(store / "trials").sort_values("seed")
    old, new = (str(trials["code_digest"].iloc[i]) for i in (0, -1))
    found = compared(f"{store}@{old[:8]}", f"{store}@{new[:8]}")
    moved = next(c for c in found["changes"] if c["factors"]["x"] == 2)
    assert (moved["before"]["n"], moved["after"]["n"]) == (3, 3)
    assert moved["difference"] == pytest.approx(0.5, abs=0.5)
    refused = orch(tmp_path, "compare", f"{store}@ffff", store)
    assert refused.exit_code == 2
    assert "holds no trial of the code ffff; it holds " in refused.stderr
    assert f"{old[:12]} (6 trials)" in refused.stderr


def test_published_figures_are_compared_by_the_noise_of_our_seeds(tmp_path: Path) -> None:
    published = {
        "source": "A paper, Table 1",
        "columns": ["x", "score"],
        "rows": [[1, 1.5], [2, 40.0]],
    }
    tables = [{"name": "all", "rows": ["x"], "values": ["score"], "published": published}]
    store = make(tmp_path / "one", tables=tables)
    found = compared(store, "published", "--fail-on-change", code=1)
    assert verdicts(found) == {1: "within noise", 2: "moved"}
    assert found["changes"][1]["before"] == {"mean": 40, "std": None, "n": 0, "complete": True}
    assert "published: A paper, Table 1" in found["notes"]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "results/noise",
            "results/noise",
            "results/noise is compared with itself; for two versions",
        ),
        ("results/noise", "published", "the tables of noise have no `published` figures"),
        ("results/noise", "nowhere", "nowhere is not a store: it has no sweep.yaml"),
        (
            "results/noise",
            "other/results/noise",
            "have no cell in common: x=1 is a cell of the first, y=1",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(
    tmp_path: Path, before: str, after: str, message: str
) -> None:
    make(tmp_path / "one", seeds=[0])
    trainable = "def train(params, trial):\n    yield {'score': 1}\n"
    sweep_in(tmp_path / "one/other", trainable, factors={"y": [1]}, claims=[], seeds=[0])
    done = orch(tmp_path / "one", "compare", before, after)
    assert done.exit_code == 2
    assert message in done.stderr


def test_a_probe_is_compared_in_the_layers_that_tables_show(tmp_path: Path) -> None:
    table = {"name": "one", "rows": ["x"], "values": ["probe:size"]}
    tables = [table, {**table, "name": "two", "layers": "first"}]
    sweep_in(tmp_path, seeds=[0, 1], tables=tables, claims=[])
    found = compared(tmp_path / "results/noise", publish(tmp_path))
    values = dict.fromkeys(change["value"] for change in found["changes"])
    assert [*values] == ["score", "probe:size", "probe:size (first)"]
