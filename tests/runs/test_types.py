"""Numbers reach a trainable as the sweep file has them, and are told apart by their type."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.folder import Folder

TRAINABLE = """
def train(params, trial):
    part, x = params["part"], params["x"]
    images = 1 if isinstance(part, int) else part * 1000
    yield {"images": images, "integer": isinstance(x, int), "x_seen": x}
"""
KEYS: dict[str, Any] = {
    "trainable": "types_fit:train",
    "seeds": [0],
    "search": None,
    "factors": {"x": [1]},
    "select": {"metric": "images", "mode": "max"},
}


@pytest.fixture
def types(folder: Folder) -> Folder:
    (folder.path / "types_fit.py").write_text(TRAINABLE)
    return folder


def test_one_and_its_float_are_two_trials_of_two_sweeps(types: Folder) -> None:
    for name, part, images in (("whole", 1, 1.0), ("fraction", 1.0, 1000.0)):
        file = types.write(name, fixed={"part": part}, **KEYS)
        assert json.loads(types.orch("plan", file, "--json").stdout)["missing"] == 1
        types.orch("sweep", file, "--runner", "inline")
        assert list(types.trials(name)["images"]) == [images]


def test_numbers_keep_their_type_on_the_way_to_a_worker(cluster_folder: Folder) -> None:
    (cluster_folder.path / "types_fit.py").write_text(
        "def train(params, trial):\n"
        "    yield {f'{name}_is_float': float(type(params[name]) is float) for name in 'ab'}\n"
    )
    keys = {**KEYS, "select": {"metric": "a_is_float", "mode": "max"}}
    cluster_folder.orch("sweep", cluster_folder.write(fixed={"a": 1, "b": 1.0}, **keys))
    assert cluster_folder.trials()[["a_is_float", "b_is_float"]].values.tolist() == [[0.0, 1.0]]


def test_an_integer_stays_one_when_a_fraction_joins_it_on_its_axis(types: Folder) -> None:
    types.orch("sweep", types.write("axis", fixed={"part": 1}, **KEYS), "--runner", "inline")
    started = list(types.trials("axis")["started_at"])
    wider = types.write("axis", fixed={"part": 1}, **{**KEYS, "factors": {"x": [1, 0.5]}})
    assert json.loads(types.orch("plan", wider, "--json").stdout)["missing"] == 1
    types.orch("sweep", wider, "--runner", "inline")
    trials = types.trials("axis").set_index("x").sort_index()
    assert trials.index.dtype == "float64"
    assert trials["integer"].to_dict() == {0.5: 0.0, 1.0: 1.0}
    assert trials.loc[1.0, "started_at"] == started[0]
