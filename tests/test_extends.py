"""Sweep files that say only how they differ from another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import SpecError
from orchestrator.spec.grid import expand
from orchestrator.spec.loading import load, load_text

BASE = """
name: base
trainable: toy:train
seeds: [0, 1, 2]
factors:
  x: [1, 2]
  kind: [a, b]
search: {lr: [0.1, 0.01], decay: [0.5, null]}
fixed: {epochs: 200, sizes: [8, 16]}
variants:
  - when: {kind: b}
    fixed: {epochs: 100}
select: {metric: score, mode: max}
resources: {cpu: 2, gpu: 0.25}
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base.yaml"
    path.write_text(BASE)
    return path


def extend(base: Path, text: str, name: str = "mini") -> Path:
    path = base.parent / f"{name}.yaml"
    path.write_text(f"name: {name}\nextends: base.yaml\n{text}")
    return path


def test_mappings_merge_key_by_key_and_lists_and_values_replace(base: Path) -> None:
    mini = load(
        extend(base, "factors: {x: [3]}\nfixed: {epochs: 2}\nseeds: [7]\nresources: {gpu: 0}\n")
    )
    assert mini.name == "mini"
    assert mini.factors == {"x": (3,), "kind": ("a", "b")}
    assert mini.fixed == {"epochs": 2, "sizes": (8, 16)}
    assert mini.seeds == (7,)
    assert (mini.resources.cpu, mini.resources.gpu) == (2, 0)
    assert mini.search == {"lr": (0.1, 0.01), "decay": (0.5, None)}
    assert len(mini.variants) == 1


def test_a_param_that_moves_to_another_section_leaves_its_old_one(base: Path) -> None:
    mini = load(extend(base, "factors: {lr: [1, 2]}\nfixed: {kind: a}\nvariants: []\n"))
    assert mini.factors == {"x": (1, 2), "lr": (1, 2)}
    assert mini.search == {"decay": (0.5, None)}
    assert mini.fixed == {"epochs": 200, "sizes": (8, 16), "kind": "a"}


def test_extending_goes_on_over_several_files_in_several_folders(base: Path) -> None:
    (base.parent / "sub").mkdir()
    middle = base.parent / "sub" / "middle.yaml"
    middle.write_text("name: middle\nextends: ../base.yaml\nseeds: [5]\n")
    last = base.parent / "last.yaml"
    last.write_text("name: last\nextends: sub/middle.yaml\nfixed: {epochs: 1}\n")
    assert load(last).seeds == (5,)
    assert load(last).fixed["epochs"] == 1


def test_what_a_store_keeps_of_such_a_file_stands_alone(base: Path) -> None:
    from orchestrator.spec.extends import resolve

    path = extend(base, "fixed: {epochs: 2}\n")
    assert load_text(resolve(path).text, "sweep.yaml") == load(path)


def test_mistakes_are_told_with_the_file_and_line_where_they_stand(base: Path) -> None:
    base.write_text(BASE.replace("cpu: 2", "cpu: -2"))
    with pytest.raises(SpecError) as caught:
        load(extend(base, "fixed: {epochs: {}}\nselect: {mode: best}\n"))
    below, own, mode = sorted(str(caught.value).splitlines())
    assert below.startswith(f"{base}: line 14: `resources.cpu`")
    assert own.startswith(f"{base.parent / 'mini.yaml'}: line 3: `fixed.epochs`")
    assert mode.startswith(f"{base.parent / 'mini.yaml'}: line 4: `select.mode`")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: a\nextends: nowhere.yaml\n", "line 2: `extends`: there is no file"),
        ("name: a\nextends: a.yaml\n", "line 2: `extends`:"),
        ("name: a\nextends: [b.yaml]\n", "line 2: `extends`: expected the path"),
        ("extends: base.yaml\n", "needs a `name` of its own"),
    ],
    ids=["missing", "itself", "list", "nameless"],
)
def test_bad_extends_are_told(base: Path, text: str, words: str) -> None:
    path = base.parent / "a.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=words):
        load(path)


def test_files_that_extend_each_other_are_told(tmp_path: Path) -> None:
    for one, other in (("a", "b"), ("b", "a")):
        (tmp_path / f"{one}.yaml").write_text(f"name: {one}\nextends: {other}.yaml\n")
    with pytest.raises(SpecError, match=r"b\.yaml: line 2: .*a\.yaml extends this file in turn"):
        load(tmp_path / "a.yaml")


def test_an_axis_of_several_params_replaces_those_of_each(tmp_path: Path) -> None:
    (tmp_path / "below.yaml").write_text(
        "name: below\ntrainable: toy:train\nseeds: [0]\nselect: {metric: accuracy}\n"
        "search: {lr: [0.1, 0.01], depth: [1, 2]}\nfixed: {decay: 0}\n"
    )
    own = tmp_path / "own.yaml"
    own.write_text(
        'extends: below.yaml\nname: own\nsearch: {"lr, decay": [[0.1, 1], [0.2, 2], [0.3, 3]]}\n'
    )
    sweep = load(own)
    assert set(sweep.search_axes) == {"depth", "lr, decay"}
    assert sweep.fixed == {}
    assert len(expand(sweep)) == 6
    own.write_text("extends: own_below.yaml\nname: own\nfixed: {lr: 1}\n")
    (tmp_path / "own_below.yaml").write_text(
        'extends: below.yaml\nname: own_below\nsearch: {"lr, decay": [[0.1, 1], [0.2, 2]]}\n'
    )
    with pytest.raises(SpecError, match=r"`lr` is also under"):
        load(own)  # decay would have no value


def test_a_range_replaces_another_and_dotted_names_are_those_of_mappings(tmp_path: Path) -> None:
    base = tmp_path / "below.yaml"
    base.write_text(
        "name: below\ntrainable: toy:train\nseeds: [0]\nselect: {metric: accuracy}\nsamples: 2\n"
        "search: {lr: {loguniform: [0.1, 1.0]}}\nfixed: {optim.wd: 1, net: {w: 1}}\n"
    )
    own = tmp_path / "own.yaml"
    own.write_text(
        "extends: below.yaml\nname: own\nsearch: {lr: {uniform: [0, 1]}, net.w: [1, 2]}\n"
        "fixed: {optim: {wd: 2}}\n"
    )
    sweep = load(own)
    assert sweep.fixed == {"optim.wd": 2}
    assert sweep.search["net.w"] == (1, 2)
    assert max(sweep.search["lr"]) <= 1
