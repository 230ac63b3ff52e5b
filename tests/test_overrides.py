"""`--set` and `--name`: what they change, what is stored, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.commands import orch

from orchestrator import SpecError, load
from orchestrator.errors import InputError
from orchestrator.spec import Sweep, load_text
from orchestrator.spec.loading import differences
from orchestrator.spec.overrides import Override

SWEEP = """# Kept.
name: toy
trainable: toy:train
seeds: &some [0, 1]  # replicates
factors: {order: [swap, convention]}
search:
  lr: [0.1, 0.2]
  optim.wd: [0.1]
fixed: &fixed {epochs: 2, net: {width: 8}}
select: {metric: accuracy}
variants:
  - {when: {order: swap}, seeds: *some, fixed: {epochs: 3}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "toy.yaml"
    path.write_text(SWEEP)
    return path


def changed(file: Path, *texts: str) -> Sweep:
    sweep = load(file, overrides=[*map(Override.parse, texts)])
    assert sweep.source is not None
    stored = load_text(sweep.source.text, "sweep.yaml")
    assert stored == sweep
    assert sweep.source.text.startswith("# Kept.")
    return sweep


def test_a_key_takes_a_yaml_value_and_what_is_stored_is_what_ran(file: Path) -> None:
    sweep = changed(file, "fixed.epochs=5", "search.lr=[1.0e-3]", "seeds=[7]", "name=other")
    assert sweep.fixed == {"epochs": 5, "net.width": 8}
    assert dict(sweep.search) == {"lr": (0.001,), "optim.wd": (0.1,)}
    assert (sweep.seeds, sweep.name) == ((7,), "other")
    assert sweep.variants[0].seeds == (0, 1)  # an alias of what was changed


def test_after_a_section_the_rest_of_a_key_is_the_name_of_one_param(file: Path) -> None:
    sweep = changed(file, "search.optim.wd=[0.2]", "fixed.net.width=16", "search.a, b=[[1, 2]]")
    assert dict(sweep.search) == {"lr": (0.1, 0.2), "optim.wd": (0.2,), "a": (1,), "b": (2,)}
    assert sweep.fixed["net.width"] == 16


@pytest.mark.parametrize(
    "fixed", ['{"net": {"opt": {"lr": 1}}}', '{"net": {"opt.lr": 1}}', '{"net.opt.lr": 1}']
)
def test_a_param_is_found_however_its_name_is_nested(tmp_path: Path, fixed: str) -> None:
    file = tmp_path / "nested.yaml"
    text = (
        "# Kept.\nname: toy\ntrainable: toy:train\nseeds: [0]\n"
        f"select: {{metric: score}}\nfixed: {fixed}\n"
    )
    file.write_text(text)
    assert dict(changed(file, "fixed.net.opt.lr=2").fixed) == {"net.opt.lr": 2}
    file.write_text(text.replace("1}", ".inf}"))
    with pytest.raises(SpecError, match=r"line 6: `fixed\.net\.opt\.lr`: expected a finite number"):
        load(file)


def test_an_axis_of_several_params_is_found_whatever_blanks_are_in_it(file: Path) -> None:
    file.write_text(SWEEP.replace("  lr: [0.1, 0.2]", '  "lr, mom": [[0.1, 0.9]]'))
    for name in ("lr,mom", "lr, mom", "lr ,  mom"):
        assert dict(changed(file, f"search.{name}=[[1, 2]]").search)["mom"] == (2,)


def test_entries_of_lists_have_numbers_and_mappings_are_added(file: Path) -> None:
    sweep = changed(file, "variants.0.fixed.epochs=9", "race.keep=0.5", "resources={cpu: 2}")
    assert sweep.variants[0].fixed == {"epochs": 9}
    assert sweep.race is not None
    assert (sweep.race.keep, sweep.resources.cpu) == (0.5, 2.0)


def test_entries_of_exclude_and_compare_have_numbers_before_the_name_of_a_param(
    file: Path,
) -> None:
    claim = "{name: c, compare: [{order: swap}, {order: convention}], metric: a, expect: less}"
    file.write_text(f"{SWEEP}exclude: [{{optim.wd: 0.1, lr: 0.1}}]\nclaims: [{claim}]\n")
    search = "search.optim.wd=[0.1, 0.2]"
    assert changed(file, search, "exclude.0.optim.wd=0.2").exclude == (
        {"optim.wd": 0.2, "lr": 0.1},
    )
    orders = ("claims.0.compare.0.order=convention", "claims.0.compare.1.order=swap")
    assert changed(file, *orders).claims[0].compare == ({"order": "convention"}, {"order": "swap"})


def test_files_that_extend_others_and_mappings_from_python_are_changed_too(file: Path) -> None:
    own = file.parent / "own.yaml"
    own.write_text("extends: toy.yaml\nname: own\nfixed: {epochs: 4}\n")
    overrides = [Override.parse("fixed.epochs=6"), Override.parse("search.lr=[3]")]
    sweep = load(own, overrides=overrides)
    assert (sweep.fixed["epochs"], sweep.search["lr"]) == (6, (3,))
    assert load({**json.loads(json.dumps(sweep.source.data))}, overrides=overrides) == sweep


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab: #", max_size=5),
    lambda inner: st.lists(inner, max_size=3),
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@settings(max_examples=40)
@given(values, st.sampled_from(["fixed.epochs", "fixed.new", "variants.0.fixed.epochs"]))
def test_any_value_is_read_back_from_what_is_stored(value: Any, key: str) -> None:
    sweep = load_text(SWEEP, "toy.yaml")
    assert sweep.source is not None
    override = Override.parse(f"{key}={json.dumps(value)}")
    source = sweep.source.with_value(override.key, override.value)
    assert load_text(source.text, "toy.yaml").source.data == source.data


@settings(max_examples=60)
@given(texts)
def test_any_text_is_read_back_from_what_is_stored(text: str) -> None:
    sweep = load_text(SWEEP, "toy.yaml")
    assert sweep.source is not None
    source = sweep.source.with_value(("description",), text)
    again = load_text(source.text, "toy.yaml").source
    assert again is not None
    assert again.data["description"] == text


def test_the_last_of_several_values_of_a_key_holds_in_what_is_stored_too(file: Path) -> None:
    sweep = changed(file, "resources={cpu: 2}", "resources.cpu=3", "resources={cpu: 4}")
    assert sweep.resources.cpu == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fixed.a=1\nname: x", "expected one value; put text with lines in quotes"),
        ("fixed.epochs", "--set fixed.epochs: expected KEY=VALUE, such as fixed.epochs=3"),
        ("=3", "--set =3: expected KEY=VALUE"),
        ("fixed.epochs=[1", "--set fixed.epochs=[1: not valid YAML: expected ',' or ']'"),
        ("fixed.epochs=!!python 1", "--set fixed.epochs=!!python 1: YAML tags"),
        ("seeds.7=1", "--set seeds.7=1: there is no `7` to change"),
        ("seeds.0.a=1", "--set seeds.0.a=1: there is no `a` to change"),
        ("name.a=1", "--set name.a=1: there is no `a` to change"),
        ("serch.a=1", "--set serch.a=1: `serch`: unknown key `serch`; did you mean `search`?"),
        ("race.kep=1", "--set race.kep=1: `race.kep`: unknown key `kep`; did you mean `keep`?"),
        ("fixed.epochs='3'", "--set fixed.epochs='3': `fixed.epochs`: a number in quotes"),
        ("retries=many", "--set retries=many: `retries`: expected an integer"),
        ("seeds.1=0", "--set seeds.1=0: `seeds`: the value 0 is repeated"),
        ("search.lr.a=[3]", "--set search.lr.a=[3]: `search.lr.a`: `lr` is a param, and `lr.a`"),
        ("search.epochs=[1]", "toy.yaml: line 9: `fixed.epochs`: `epochs` is also under `search`"),
    ],
)
def test_what_cannot_be_set_is_refused_naming_what_was_typed(
    file: Path, text: str, said: str
) -> None:
    with pytest.raises((SpecError, InputError)) as error:
        changed(file, text)
    assert said in str(error.value)


def differences_of(file: Path, *texts: str) -> list[str]:
    return list(differences(file, [*map(Override.parse, texts)]))


def test_the_differences_to_the_file_are_those_of_what_runs(file: Path) -> None:
    file.write_text(SWEEP.replace("epochs: 2,", "epochs: 2, k: 0, z: null,"))
    assert differences_of(file, "fixed.k=0.0") == ["fixed.k is 0.0, and is 0 in the file"]
    last = differences_of(file, "fixed.k=5", "fixed.k=6", "name=zz", "name=yy")
    assert last == ["fixed.k is 6, and is 0 in the file", "name is yy, and is toy in the file"]
    assert differences_of(file, "fixed.z=null", "fixed.k=0", "seeds=[0, 1]") == []
    assert differences_of(file, "fixed.z=[1.0, a]") == [
        'fixed.z is [1.0, "a"], and is null in the file'
    ]
    assert differences_of(file, "fixed.z=1", "fixed={k: 1}")[0].startswith('fixed is {"k": 1}, and')


def test_a_param_that_the_file_does_not_have_is_told_with_the_nearest_one(file: Path) -> None:
    missing = "is not set in the file"
    assert differences_of(file, "fixed.epoch=3", "fixed.net.widht=1", "fixed.dropout=0.5") == [
        f"fixed.epoch is 3, and {missing}; did you mean epochs?",
        f"fixed.net.widht is 1, and {missing}; did you mean width?",
        f"fixed.dropout is 0.5, and {missing}",
    ]
    assert differences_of(file, "retries=3") == [f"retries is 3, and {missing}"]


def test_commands_run_show_and_read_what_was_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy.py").write_text(
        'def train(params, trial):\n    yield {"accuracy": params["lr"] * params["epochs"]}\n'
    )
    (tmp_path / "toy.yaml").write_text(SWEEP)
    options = ["--set", "search.lr=[0.5]", "--set", "fixed.epochs=4", "--name", "tried"]
    plan = orch(tmp_path, "plan", "toy.yaml", *options).stdout
    assert "set: search.lr is [0.5], and is [0.1, 0.2] in the file" in " ".join(plan.split())
    assert "set: name is tried, and is toy in the file" in plan
    done = orch(tmp_path, "sweep", "toy.yaml", "--runner", "inline", *options)
    assert done.exit_code == 0
    assert done.stderr.startswith("set: search.lr is [0.5], and is [0.1, 0.2] in the file\n")
    stored = load(tmp_path / "results/tried/sweep.yaml")
    assert (stored.name, dict(stored.search)["lr"], stored.fixed["epochs"]) == ("tried", (0.5,), 4)
    for command in ("table", "status", "report"):
        shown = orch(tmp_path, command, "results/tried/sweep.yaml")
        assert shown.exit_code == 0, shown.output
        assert orch(tmp_path, command, "toy.yaml", *options).exit_code == 0
    refused = orch(tmp_path, "table", "toy.yaml", "--name", "tried")
    assert "differs" in refused.stderr
    assert "`fixed.epochs` was 4, is 2" in refused.stderr


def test_a_file_of_a_store_is_read_with_its_store_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy.py").write_text("def train(params, trial):\n    yield {'accuracy': 0.5}\n")
    (tmp_path / "toy.yaml").write_text(SWEEP)
    assert orch(tmp_path, "sweep", "toy.yaml", "--runner", "inline").exit_code == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shown = orch(elsewhere, "table", "../results/toy/sweep.yaml")
    assert shown.exit_code == 0, shown.stderr
    assert orch(tmp_path / "results/toy", "table", "sweep.yaml").stdout == shown.stdout
    named = orch(elsewhere, "table", "../results/toy/sweep.yaml", "--store", "results")
    assert "results has no store of `toy`" in named.stderr
