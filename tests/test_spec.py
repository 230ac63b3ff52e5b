"""The sweep file: what each key means when it is right, what is said when it is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.toys import SWEEP

from orchestrator.errors import InputError, SpecError
from orchestrator.spec.claim import Claim
from orchestrator.spec.loading import load, load_text, parse, parse_seeds, with_seeds
from orchestrator.spec.model import Resources, Select
from orchestrator.spec.shown import Figure, Table
from orchestrator.spec.source import read_text
from orchestrator.spec.values import by_value

CLAIM = "claims: [{name: c, metric: accuracy, "
TABLE = "tables: [{name: t, "
FIGURE = "figures: [{name: f, "


def refusal(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        load_text(text, "sweep.yaml")
    return str(caught.value)


def replaced(old: str, new: str) -> str:
    assert SWEEP.count(old) == 1
    return SWEEP.replace(old, new)


def fixed_value(text: str) -> Any:
    return load_text(replaced("epochs: 2", f"x: {text}"), "sweep.yaml").fixed["x"]


# What is right.


def test_a_short_file_has_the_documented_defaults() -> None:
    sweep = load_text(SWEEP, "sweep.yaml")
    assert sweep.name == "toy"
    assert sweep.trainable == "toy:train"
    assert sweep.module == "toy"
    assert sweep.seeds == (0, 1)
    assert sweep.factors == {"order": ("convention", "swap"), "depth": (1, 2)}
    assert sweep.search == {"lr": (0.1, 0.01)}
    assert sweep.fixed == {"epochs": 2}
    assert sweep.select == Select(metric="accuracy", mode="max", at="last")
    assert sweep.resources == Resources(cpu=1, gpu=0)
    assert (sweep.retries, sweep.checkpoint_every) == (2, 1)
    assert (sweep.description, sweep.variants, sweep.exclude) == ("", (), ())
    assert (sweep.claims, sweep.figures) == ((), ())


def test_without_tables_there_is_one_of_all_factors_and_the_selection_metric() -> None:
    (table,) = load_text(SWEEP, "sweep.yaml").tables
    assert table == Table(name="results", rows=("order", "depth"), values=("accuracy",))


def test_a_file_with_every_key_is_read_as_written(tmp_path: Path) -> None:
    file = tmp_path / "full.yaml"
    file.write_text("""\
# Comments, anchors and both styles of YAML are fine.
name: table1
description: Order of batch norm and activation.
trainable: trainables.classify:train
seeds: [0, 1, 2]
factors:
  dataset: [cifar10, imagenet]
  order:
    - convention
    - swap
search: {lr: &rates [0.1, 1e-2], weight_decay: [5e-4]}
fixed: {activation: tanh, epochs: 200, lr_drops: [100, 150], bn_weight_decay: null}
variants:
  - when: {dataset: imagenet}
    seeds: [0]
    search: {lr: *rates}
    fixed: {epochs: 100, lr_drops: [30, 60]}
    resources: {gpu: 1}
exclude:
  - {dataset: imagenet, order: [swap]}
select: {metric: test_loss, mode: min, at: best}
resources: {cpu: 2, gpu: 0.25}
retries: 0
checkpoint_every: 5
tables:
  - {name: main, rows: [dataset], columns: [order], values: [test_loss, "probe:skewness"],
     percent: false, precision: 3, best: min,
     published: {source: p, columns: [order, test_loss], rows: [[swap, 1], [convention, null]]}}
claims:
  - {name: c, compare: {order: [swap, convention]}, where: {dataset: [cifar10]}, probe: skewness,
     expect: close, margin: 0.5}
  - {name: d, compare: [{order: swap}, {order: convention}], metric: test_loss, epoch: 3,
     expect: less, over: each, test: pooled, smallest: 0.1}
  - {name: e, compare: {order: [swap, convention]}, between: {dataset: [cifar10, imagenet]},
     probe: skewness, layers: max, expect: greater}
figures:
  - {name: f, kind: curves, values: [test_loss], panels: dataset, where: {order: swap}, title: T,
     labels: {swap: Swap}}
""")
    sweep = load(file)
    assert sweep.fixed["lr_drops"] == (100, 150)
    assert sweep.fixed["bn_weight_decay"] is None
    (variant,) = sweep.variants
    assert (variant.when, variant.seeds) == ({"dataset": "imagenet"}, (0,))
    assert variant.search == {"lr": (0.1, 0.01)}
    assert (variant.resources.cpu, variant.resources.gpu) == (None, 1)
    assert sweep.exclude == ({"dataset": "imagenet", "order": ("swap",)},)
    assert sweep.select == Select(metric="test_loss", mode="min", at="best")
    assert sweep.resources == Resources(cpu=2, gpu=0.25)
    assert (sweep.retries, sweep.checkpoint_every) == (0, 5)
    (table,) = sweep.tables
    assert (table.percent, table.precision, table.best) == (False, 3, "min")
    assert table.published is not None
    assert table.published.rows == (("swap", 1), ("convention", None))
    assert sweep.claims == (
        Claim(
            name="c",
            compare={"order": ("swap", "convention")},
            where={"dataset": ("cifar10",)},
            probe="skewness",
            expect="close",
            margin=0.5,
        ),
        Claim(
            name="d",
            compare=({"order": "swap"}, {"order": "convention"}),
            metric="test_loss",
            epoch=3,
            expect="less",
            over="each",
            test="pooled",
            smallest=0.1,
        ),
        Claim(
            name="e",
            compare={"order": ("swap", "convention")},
            between={"dataset": ("cifar10", "imagenet")},
            probe="skewness",
            layers="max",
            expect="greater",
        ),
    )
    assert sweep.figures == (
        Figure(
            name="f",
            kind="curves",
            values=("test_loss",),
            panels="dataset",
            where={"order": "swap"},
            title="T",
            labels={"swap": "Swap"},
        ),
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        ("-2.5e+3", -2500.0),
        (".5", 0.5),
        ("+7", 7),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("yes", "yes"),
        ("off", "off"),
        ("1:30", "1:30"),
        ("2026-01-31", "2026-01-31"),
        ("2026-99-99", "2026-99-99"),
        ("TRUE", True),
        ("false", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("'null'", "null"),
        ("[]", ()),
        ("[1, [a, null]]", (1, ("a", None))),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_values_are_read_as_yaml_1_2_means_them(text: str, value: Any) -> None:
    found = fixed_value(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("amounts", ["cpu: 0, gpu: 1", "cpu: 0, gpu: 0.1", "gpu: 2", "cpu: 0.5"])
def test_a_trial_may_need_only_a_gpu_parts_of_one_or_several(amounts: str) -> None:
    sweep = load_text(f"{SWEEP}resources: {{{amounts}}}\n", "sweep.yaml")
    asked = dict(part.split(": ") for part in amounts.split(", "))
    assert sweep.resources.cpu == float(asked.get("cpu", 1))
    assert sweep.resources.gpu == float(asked.get("gpu", 0))


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "windows.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + SWEEP.replace("\n", "\r\n").encode())
    assert load(file) == load_text(SWEEP, "sweep.yaml")


def test_a_later_anchor_may_take_over_a_name() -> None:
    text = SWEEP.replace("[1, 2]", "&x [1, 2]").replace("[0.1, 1e-2]", "&x [0.5]")
    sweep = load_text(text + "variants: [{when: {depth: 1}, search: {lr: *x}}]\n", "sweep.yaml")
    assert sweep.variants[0].search == {"lr": (0.5,)}


def test_axes_have_the_values_that_variants_add() -> None:
    text = SWEEP + "variants: [{when: {depth: 1}, search: {lr: [0.01, 3]}}]\n"
    assert load_text(text, "sweep.yaml").axes["lr"] == (0.1, 0.01, 3)


# What is wrong: one replacement in SWEEP, the line, and what the message says.

BAD_YAML = {
    "a tab": ("  lr", "\tlr", 8, "a tab; YAML is indented with spaces"),
    "a tab after spaces": ("  lr", "  \tlr", 8, "a tab; YAML is indented with spaces"),
    "a tag": ("epochs: 2", "epochs: !!int 2", 9, "tags (`!…`) are not supported"),
    "a tag for an object": ("epochs: 2", "epochs: !!python/object {}", 9, "tags"),
    "a directive": ("name: toy", "%YAML 1.1\n---\nname: toy", 1, "directives (`%…`)"),
    "a duplicate key": ("select:", "name: again\nselect:", 10, "duplicate key `name`", "in line 1"),
    "a duplicate param": ("epochs: 2", "a: 2, a: 3", 9, "duplicate key `a`"),
    "an unclosed list": ("[1, 2]", "[1, 2", 7, "not valid YAML"),
    "an unknown alias": ("epochs: 2", "epochs: *nope", 9, "not valid YAML", "'nope'"),
    "an alias in itself": ("epochs: 2", "x: &a [1, *a]", 9, "inside the value that it refers to"),
    "a number as a key": ("epochs: 2", "1: 2", 9, "the key `1` is not a name"),
    "a key of nothing": ("epochs: 2", ": 2", 9, "the key `` is not a name"),
    "a merge key": (
        "epochs: 2",
        "<<: {a: 1}",
        9,
        "`<<` merges keys in YAML 1.1 only; write the keys out, or see `extends`",
    ),
    "a list as a key": ("epochs: 2", "? [a, b] : 2", 9, "a list or mapping as a key"),
    "a key of two lines": ("epochs: 2", '"a\\nb": 2', 9, "the key 'a\\nb' is not a name"),
    "nesting": ("epochs: 2", f"x: {'[' * 5000}{']' * 5000}", 9, "nested more than 32 deep"),
    "an open nesting": ("epochs: 2", f"x: {'[' * 5000}", 9, "nested more than 32 deep"),
    "two documents": ("select:", "---\nselect:", 10, "another document"),
    "a bell": ("toy:train", "toy:tr\x07ain", 2, "a control character"),
    "a zero byte": ("toy:train", "toy:tr\0ain", 2, "a control character"),
    "an escape for nothing": ("epochs: 2", 'x: "\\UFFFFFFFF"', 9, "not valid YAML: an escape"),
    "an escape for half a character": ("epochs: 2", 'x: "\\ud800"', 9, "half a character"),
    "digits without end": ("epochs: 2", "x: " + "9" * 5000, 9, "`99999999999999999999…` is not"),
    "a number of no digits": ("epochs: 2", "x: 0x_", 9, "`0x_` is not a number"),
}

BAD_KEYS = {
    "an unknown key": ("search:", "serch:", 7, "`serch`: unknown key", "did you mean `search`?"),
    "seed for seeds": ("seeds:", "seed:", 3, "`seed`: unknown key", "did you mean `seeds`?"),
    "an unknown nested key": (
        "{metric: accuracy}",
        "{metric: a, mod: max}",
        10,
        "`select.mod`: unknown key",
        "did you mean `mode`?",
    ),
    "a missing key": ("select: {metric: accuracy}", "", 1, "`select`: this key is required"),
    "a missing nested key": ("{metric: accuracy}", "{}", 10, "`select.metric`: this key is requ"),
    "a name with a slash": ("name: toy", "name: a/b", 1, "`name`: expected a name of a-z"),
    "a name that climbs": ("name: toy", "name: ..", 1, "`name`: expected a name of a-z"),
    "a name in capitals": ("name: toy", "name: Toy", 1, "`name`: expected a name of a-z"),
    "a name too long": ("name: toy", f"name: {'x' * 65}", 1, "at most 64"),
    "a number as a name": ("name: toy", "name: 5", 1, "`name`: expected a string"),
    "a name of smoke runs": (
        "name: toy",
        "name: toy--smoke",
        1,
        "names that end in `--smoke`",
    ),
    "no function": ("toy:train", "toy", 2, "`trainable`: expected module:generator"),
    "a path": ("toy:train", "lib/toy.py:train", 2, "`trainable`: expected module:generator"),
    "one seed": ("[0, 1]", "3", 3, "`seeds`: expected a list"),
    "no seed": ("[0, 1]", "[]", 3, "`seeds`: expected at least one seed"),
    "a seed that is a fraction": ("[0, 1]", "[0, 1.5]", 3, "`seeds[1]`: expected an integer"),
    "a seed that is a float": ("[0, 1]", "[0, 1.0]", 3, "`seeds[1]`: expected an integer"),
    "a seed in words": ("[0, 1]", "[zero]", 3, "`seeds[0]`: expected an integer"),
    "a seed in quotes": ("[0, 1]", "['0']", 3, "`seeds[0]`: expected an integer"),
    "a seed that is true": ("[0, 1]", "[true]", 3, "`seeds[0]`: expected an integer"),
    "a negative seed": ("[0, 1]", "[-1]", 3, "`seeds`: expected seeds from 0"),
    "a seed twice": ("[0, 1]", "[4, 4]", 3, "`seeds`: the value 4 is repeated"),
    "a bad mode": ("accuracy}", "a, mode: best}", 10, "`select.mode`: expected 'max' or 'min'"),
    "a bad at": ("accuracy}", "a, at: end}", 10, "`select.at`: expected 'last' or 'best'"),
    "a loss without mode": ("accuracy}", "test_loss}", 10, "`select`: set `mode: max` or"),
    "a loss beside a gain": ("accuracy}", "accuracy_loss}", 10, "`select`: set `mode: max` or"),
    "a word in capitals": ("accuracy}", "testNLL}", 10, "`select`: set `mode: max` or"),
    "a name of no words": ("accuracy}", "m}", 10, "the name `m` does not say which"),
    "a metric alone": ("{metric: accuracy}", "accuracy", 10, "`select`: expected a mapping"),
}

BAD_PARAMS = {
    "an empty axis": ("[1, 2]", "[]", 6, "`factors.depth`: an empty axis"),
    "a value for an axis": ("[1, 2]", "3", 6, "`factors.depth`: expected a list of values", "[3]"),
    "a mapping as a value": ("[1, 2]", "[{a: 1}]", 6, "`factors.depth`: a mapping is no value"),
    "a value twice": ("[1, 2]", "[a, b, a]", 6, "`factors.depth`: the value a is repeated"),
    "one as two numbers": (
        "[1, 2]",
        "[1, 1.0]",
        6,
        "`factors.depth`: 1 and 1.0 are the same",
    ),
    "equal lists": ("[1, 2]", "[[1], [1.0]]", 6, "`factors.depth`: [1] and [1.0] are the same"),
    "null twice": ("[1, 2]", "[null, ~]", 6, "`factors.depth`: the value null is repeated"),
    "a number in quotes": ("[1, 2]", "['1', 2]", 6, "`factors.depth[0]`: a number in quotes"),
    "a power in quotes": ("1e-2]", '"1e-2"]', 8, "`search.lr[1]`: a number in quotes"),
    "a hexadecimal in quotes": ("epochs: 2", "x: '0x1F'", 9, "`fixed.x`: a number in quotes"),
    "infinity": ("[1, 2]", "[.inf]", 6, "`factors.depth`: expected a finite number"),
    "no number": ("epochs: 2", "x: .nan", 9, "`fixed.x`: expected a finite number"),
    "overflow": ("epochs: 2", "x: 1e400", 9, "`fixed.x`: expected a finite number"),
    "65 bits": ("epochs: 2", f"x: {2**63}", 9, "`fixed.x`: expected an integer of at most 64"),
    "a param in two sections": (
        "  lr:",
        "  depth:",
        8,
        "`search.depth`: `depth` is also under `factors`",
    ),
    "a fixed param in two": ("epochs: 2", "lr: 2", 9, "`fixed.lr`: `lr` is also under `search`"),
    "a seed as a factor": ("  depth:", "  seed:", 6, "`factors.seed`", "top-level `seeds`"),
    "a column of the store": ("  lr:", "  trial_id:", 8, "`search.trial_id`", "is reserved"),
    "a column of the tables": ("epochs: 2", "mean: 2", 9, "`fixed.mean`", "is reserved"),
    "a column of best values": ("epochs: 2", "best_x: 2", 9, "`fixed.best_x`", "is reserved"),
    "a param with a dash": ("epochs: 2", "a-b: 2", 9, "`fixed.a-b`", "letters, digits and _"),
}

BAD_ENDINGS = {
    "negative CPUs": ("resources: {cpu: -1}", "`resources.cpu`: expected a number greater than"),
    "negative GPUs": ("resources: {gpu: -0.5}", "`resources.gpu`: expected a number greater than"),
    "one and a half GPUs": (
        "resources: {gpu: 1.5}",
        "`resources.gpu`: expected a fraction below 1",
    ),
    "no CPU": ("resources: {cpu: 0}", "`resources`: a trial needs some CPU or GPU"),
    "CPUs in quotes": ("resources: {cpu: '1'}", "`resources.cpu`: expected a number"),
    "endless CPUs": ("resources: {cpu: .inf}", "`resources.cpu`: expected a finite number"),
    "an unknown resource": ("resources: {gpus: 1}", "unknown key `gpus`; did you mean `gpu`?"),
    "negative retries": ("retries: -1", "`retries`: expected a number greater than or equal to 0"),
    "half a retry": ("retries: 1.5", "`retries`: expected an integer"),
    "true retries": ("retries: true", "`retries`: expected an integer"),
    "checkpoints never": ("checkpoint_every: 0", "`checkpoint_every`: expected a number greater"),
    "a number as description": ("description: 3", "`description`: expected a string"),
    "variants without a list": ("variants: {when: {depth: 1}}", "`variants`: expected a list"),
    "a variant of nothing": ("variants: [{}]", "`variants[0].when`: this key is required"),
    "a variant of all": ("variants: [{when: {}}]", "`variants[0].when`: expected at least one"),
    "an unknown axis in variants": (
        "variants: [{when: {dpth: 1}}]",
        "`variants[0].when.dpth`: unknown factor or search param `dpth`; did you mean `depth`?",
    ),
    "other seeds for a search param": (
        "variants: [{when: {lr: 0.1}, seeds: [3]}]",
        "`variants[0].seeds`: may not depend on `lr`, which is searched within a cell",
    ),
    "an unknown value in variants": (
        "variants: [{when: {order: swp}}]",
        "`variants[0].when.order`: unknown value `swp`; did you mean `swap`?",
    ),
    "a fixed param in a variant's search": (
        "variants: [{when: {depth: 1}, search: {epochs: [1]}}]",
        "`variants[0].search.epochs`: `epochs` is under `fixed`; only a search param may",
    ),
    "a new fixed param in a variant": (
        "variants: [{when: {depth: 1}, fixed: {epoch: 1}}]",
        "`variants[0].fixed.epoch`: unknown top-level `fixed` param `epoch`",
    ),
    "an empty axis in a variant": (
        "variants: [{when: {depth: 1}, search: {lr: []}}]",
        "`variants[0].search.lr`: an empty axis",
    ),
    "no seeds in a variant": (
        "variants: [{when: {depth: 1}, seeds: []}]",
        "`variants[0].seeds`: expected at least one seed",
    ),
    "an unknown key in a variant": (
        "variants: [{when: {depth: 1}, serch: {}}]",
        "`variants[0].serch`: unknown key `serch`; did you mean `search`?",
    ),
    "no CPU in a variant": (
        "variants: [{when: {depth: 1}, resources: {cpu: 0}}]",
        "`variants[0].resources`: a trial needs some CPU or GPU",
    ),
    "exclude without a list": ("exclude: {depth: 1}", "`exclude`: expected a list"),
    "an unknown axis in exclude": (
        "exclude: [{ordr: swap}]",
        "`exclude[0].ordr`: unknown factor or search param `ordr`; did you mean `order`?",
    ),
    "an unknown value in exclude": (
        "exclude: [{lr: 3}]",
        "`exclude[0].lr`: unknown value `3` (known: 0.1, 0.01)",
    ),
    "a truth for a number": ("exclude: [{depth: true}]", "unknown value `true`"),
    "an empty exclude": ("exclude: [{}]", "`exclude[0]`: an empty entry would exclude every cell"),
    "every cell excluded": ("exclude: [{depth: [1, 2]}]", "`exclude`: excludes every trial"),
    "every config excluded": (
        "exclude: [{lr: 0.1}, {lr: 0.01}]",
        "`exclude`: excludes every trial",
    ),
    "a table without name": ("tables: [{rows: [order]}]", "`tables[0].name`: this key is required"),
    "an unknown axis in tables": (
        TABLE + "rows: [ordr]}]",
        "`tables[0].rows[0]`: unknown factor `ordr`; did you mean `order`?",
    ),
    "a search param in a table": (TABLE + "columns: [lr]}]", "unknown factor `lr`"),
    "a factor on both sides": (
        TABLE + "rows: [order], columns: [order]}]",
        "`tables[0].columns[0]`: the factor `order` is repeated",
    ),
    "a factor alone": (TABLE + "rows: order}]", "`tables[0].rows`: expected a list"),
    "a param as a value": (TABLE + "values: [lr]}]", "of that name is stored as `logged/lr`"),
    "a column of the store as a value": (TABLE + "values: [seed]}]", "is stored as `logged/seed`"),
    "a counter as a value": (TABLE + "values: [step]}]", "own counter, and no metric"),
    "a claim on a param": (
        "claims: [{name: c, metric: depth, compare: {order: [convention, swap]}, expect: less}]",
        "`claims[0].metric`: `depth` is a param or a column of the store",
    ),
    "a figure of a column of the store": (
        FIGURE + "kind: curves, values: [best_accuracy]}]",
        "is stored as `logged/best_accuracy`",
    ),
    "divergence on a param": ("diverged_on: [lr]", "is stored as `logged/lr`"),
    "a probe without name": (TABLE + "values: ['probe:']}]", "expected a metric or `probe:NAME`"),
    "two tables of a name": ("tables: [{name: t}, {name: t}]", "`tables[1].name`: the name `t` is"),
    "too many decimals": (TABLE + "precision: 20}]", "`tables[0].precision`: expected a number"),
    "published figures of an unknown factor": (
        TABLE + "published: {source: p, columns: [ordr], rows: [[1]]}}]",
        "`tables[0].published.columns[0]`: unknown factor, value of the table or param `ordr`",
    ),
    "a published row too short": (
        TABLE + "published: {source: p, columns: [order, accuracy], rows: [[swap]]}}]",
        "`tables[0].published.rows[0]`: expected 2 values, one per column",
    ),
    "a published value in words": (
        TABLE + "published: {source: p, columns: [order, accuracy], rows: [[swap, high]]}}]",
        "`tables[0].published.rows[0]`: `accuracy`: expected a number or null",
    ),
    "a claim of nothing": (
        CLAIM + "expect: greater}]",
        "`claims[0]`: expected one of `compare` and `relate`",
    ),
    "a claim of one value": (
        CLAIM + "compare: {order: [swap]}, expect: greater}]",
        "`claims[0].compare`: `expect: greater` compares two values",
    ),
    "a best of one": (
        CLAIM + "compare: {order: [swap]}, expect: best}]",
        "`claims[0].compare`: `expect: best` needs two values or more",
    ),
    "a claim on two factors": (
        CLAIM + "compare: {order: [swap, convention], depth: [1, 2]}, expect: less}]",
        "`claims[0].compare`: expected exactly one entry",
    ),
    "a claim on an unknown factor": (
        CLAIM + "compare: {ordr: [swap, convention]}, expect: less}]",
        "`claims[0].compare.ordr`: unknown factor `ordr`; did you mean `order`?",
    ),
    "a claim on an unknown value": (
        CLAIM + "compare: {order: [swap, conv]}, expect: less}]",
        "`claims[0].compare.order`: unknown value `conv`; did you mean `convention`?",
    ),
    "a claim on a value twice": (
        CLAIM + "compare: {depth: [1, 1.0]}, expect: less}]",
        "`claims[0].compare.depth`: a value is repeated",
    ),
    "a claim on a number in quotes": (
        CLAIM + "compare: {depth: ['1', 2]}, expect: less}]",
        "`claims[0].compare.depth[0]`: a number in quotes",
    ),
    "a claim where it compares": (
        CLAIM + "compare: {depth: [1, 2]}, where: {depth: 1}, expect: less}]",
        "`claims[0].where.depth`: is the compared factor; `where` takes the other factors",
    ),
    "an unknown expectation": (
        CLAIM + "compare: {depth: [1, 2]}, expect: more}]",
        "`claims[0].expect`: expected 'greater', 'less', 'close'",
    ),
    "close without margin": (
        CLAIM + "compare: {depth: [1, 2]}, expect: close}]",
        "`claims[0]`: `margin` is required for `expect: close`",
    ),
    "a margin for greater": (
        CLAIM + "compare: {depth: [1, 2]}, expect: greater, margin: 1}]",
        "`claims[0]`: `margin` is required for `expect: close`, and only allowed there",
    ),
    "a margin of nothing": (
        CLAIM + "compare: {depth: [1, 2]}, expect: close, margin: 0}]",
        "`claims[0].margin`: expected a number greater than 0",
    ),
    "a claim on one cell": (
        CLAIM + "compare: [{order: swap}], expect: less}]",
        "`claims[0].compare`: expected two mappings that name the same factors",
    ),
    "a claim on cells of different factors": (
        CLAIM + "compare: [{order: swap}, {depth: 1}], expect: less}]",
        "`claims[0].compare`: expected two mappings that name the same factors",
    ),
    "a claim on one cell twice": (
        CLAIM + "compare: [{order: swap, depth: 1}, {depth: 1.0, order: swap}], expect: less}]",
        "`claims[0].compare`: the two mappings are equal",
    ),
    "a claim on a cell of an unknown value": (
        CLAIM + "compare: [{order: swap}, {order: conv}], expect: less}]",
        "`claims[0].compare[1].order`: unknown value `conv`; did you mean `convention`?",
    ),
    "a trend of two cells": (
        CLAIM + "compare: [{order: swap}, {order: convention}], expect: increasing}]",
        "`claims[0].expect`: of two mappings: expected 'greater', 'less' or 'close'",
    ),
    "an interaction of two cells": (
        CLAIM + "compare: [{depth: 1}, {depth: 2}], between: {order: [swap, convention]}, "
        "expect: less}]",
        "`claims[0].between`: is only allowed where `compare` is one factor",
    ),
    "an interaction with one value": (
        CLAIM + "compare: {depth: [1, 2]}, between: {order: [swap]}, expect: less}]",
        "`claims[0].between.order`: expected two values",
    ),
    "an interaction with itself": (
        CLAIM + "compare: {depth: [1, 2]}, between: {depth: [2, 1]}, expect: less}]",
        "`claims[0].between.depth`: is the compared factor; name another one",
    ),
    "an interaction with an unknown factor": (
        CLAIM + "compare: {depth: [1, 2]}, between: {ordr: [swap, convention]}, expect: less}]",
        "`claims[0].between.ordr`: unknown factor `ordr`; did you mean `order`?",
    ),
    "an interaction on a number in quotes": (
        CLAIM + "compare: {order: [swap, convention]}, between: {depth: [1, '2']}, expect: less}]",
        "`claims[0].between.depth[1]`: a number in quotes",
    ),
    "an interaction as a trend": (
        CLAIM + "compare: {depth: [1, 2]}, between: {order: [swap, convention]}, "
        "expect: increasing}]",
        "`claims[0].expect`: with `between`: expected 'greater', 'less' or 'close'",
    ),
    "a claim where it is between": (
        CLAIM + "compare: {depth: [1, 2]}, between: {order: [swap, convention]}, "
        "where: {order: swap}, expect: less}]",
        "`claims[0].where.order`: is the compared factor",
    ),
    "a claim on each of no cells": (
        CLAIM + "compare: {depth: [1, 2]}, over: each, expect: less}]\nexclude: [{depth: 2}]",
        "`claims[0]`: no cells to compare: `where` and `exclude` leave none",
    ),
    "a claim on layers of a metric": (
        CLAIM + "compare: {depth: [1, 2]}, layers: max, expect: less}]",
        "`claims[0].layers`: only a probe has layers",
    ),
    "a claim at the start": (
        CLAIM + "compare: {depth: [1, 2]}, epoch: 0, expect: less}]",
        "`claims[0].epoch`: expected a number greater than or equal to 1",
    ),
    "a margin that is the smallest": (
        CLAIM + "compare: {depth: [1, 2]}, expect: close, margin: 1, smallest: 1}]",
        "`claims[0].smallest`: `margin` already says what matters",
    ),
    "a correlation along nothing": (
        "claims: [{name: c, relate: [accuracy, 'probe:x'], expect: less}]",
        "`claims[0]`: `relate` needs `along`",
    ),
    "a correlation along no factor": (
        "claims: [{name: c, relate: [accuracy, 'probe:x'], along: lr, expect: less}]",
        "`claims[0].along`: unknown factor `lr`",
    ),
    "a correlation along two values": (
        "claims: [{name: c, relate: [accuracy, 'probe:x'], along: depth, expect: less}]",
        "`claims[0].along`: `depth` has 2 values; a correlation needs 4",
    ),
    "a correlation of one value": (
        "claims: [{name: c, relate: [accuracy, accuracy], along: depth, expect: less}]",
        "`claims[0].relate`: expected two different values",
    ),
    "a correlation of a param": (
        "claims: [{name: c, relate: [accuracy, depth], along: depth, expect: less}]",
        "`claims[0].relate[1]`: `depth` is a param or a column of the store",
    ),
    "a correlation that is close": (
        "claims: [{name: c, relate: [accuracy, loss], along: depth, expect: close, margin: 0.1}]",
        "`claims[0].expect`: with `relate`: expected 'greater' or 'less'",
    ),
    "a correlation of more than 1": (
        "claims: [{name: c, relate: [accuracy, loss], along: depth, expect: less, margin: 2}]",
        "`claims[0].margin`: expected a correlation, less than 0.9999",
    ),
    "a correlation beyond those that are cut": (
        "claims: [{name: c, relate: [accuracy, loss], along: depth, expect: less, margin: 0.9999}]",
        "`claims[0].margin`: expected a correlation, less than 0.9999",
    ),
    "a pooled correlation": (
        "claims: [{name: c, relate: [accuracy, loss], along: depth, expect: less, test: pooled}]",
        "`claims[0].test`: a correlation has a spread of its own",
    ),
    "a correlation of a metric": (
        CLAIM + "relate: [accuracy, loss], along: depth, expect: less}]",
        "`claims[0].metric`: does not go together with `relate`",
    ),
    "a correlation that compares": (
        CLAIM + "relate: [accuracy, loss], along: depth, compare: {depth: [1, 2]}, expect: less}]",
        "`claims[0]`: expected one of `compare` and `relate`",
    ),
    "a comparison along a factor": (
        CLAIM + "compare: {depth: [1, 2]}, along: order, expect: less}]",
        "`claims[0].along`: is only allowed with `relate`",
    ),
    "a claim on a metric and a probe": (
        CLAIM + "probe: x, compare: {depth: [1, 2]}, expect: less}]",
        "`claims[0]`: expected one of `metric` and `probe`",
    ),
    "a claim on no metric": (
        "claims: [{name: c, compare: {depth: [1, 2]}, expect: less}]",
        "`claims[0]`: expected one of `metric` and `probe`",
    ),
    "a figure of an unknown kind": (
        FIGURE + "kind: pie, values: [accuracy]}]",
        "`figures[0].kind`: expected 'curves'",
    ),
    "a table of layers of a metric": (
        "tables: [{name: t, values: [loss], layers: max}]",
        "`tables[0].layers`: only a probe has layers",
    ),
    "layers of a metric": (
        FIGURE + "kind: layers, values: [accuracy]}]",
        "`figures[0].values`: `kind: layers` shows probes",
    ),
    "bars over an unknown factor": (
        FIGURE + "kind: bars, values: [accuracy], x: dpth}]",
        "`figures[0].x`: unknown factor `dpth`; did you mean `depth`?",
    ),
}


@pytest.mark.parametrize(
    "case",
    [*BAD_YAML.values(), *BAD_KEYS.values(), *BAD_PARAMS.values()],
    ids=[*BAD_YAML, *BAD_KEYS, *BAD_PARAMS],
)
def test_a_mistake_is_told_with_file_line_and_what_was_expected(case: tuple[Any, ...]) -> None:
    old, new, line, *said = case
    lines = refusal(replaced(old, new)).splitlines()
    told = "\n".join(text for text in lines if text.startswith(f"sweep.yaml: line {line}: "))
    for words in said:
        assert words in told


@pytest.mark.parametrize(("ending", "said"), BAD_ENDINGS.values(), ids=BAD_ENDINGS)
def test_a_mistake_in_an_optional_part_is_told_with_its_key(ending: str, said: str) -> None:
    message = refusal(f"{SWEEP}{ending}\n")
    assert message.startswith("sweep.yaml: line 11: `")
    assert said in message


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "line 1: the file is empty"),
        (b"# only a comment\n", "line 1: the file is empty"),
        (b"- name: toy\n", "line 1: expected a mapping"),
        (b"just words\n", "line 1: expected a mapping"),
        (b"name: toy\n\xff\xfe\n", "line 2: not a text file in UTF-8"),
        (b"name: toy\nx: \0\0\n", "line 2: a binary file"),
        ("name: toy\n".encode("utf-16"), "line 1: not a text file in UTF-8"),
        (b"\n" * 1_000_001, "line 1: more than 1,000,000 bytes"),
    ],
)
def test_a_file_that_holds_no_sweep_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_bytes(content)
    with pytest.raises(SpecError) as caught:
        load(file)
    assert str(caught.value).startswith(f"{file}: {said}")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no such file"):
        load(tmp_path / "none.yaml")
    with pytest.raises(SpecError, match="is a folder"):
        load(tmp_path)


def test_all_mistakes_are_told_at_once_in_file_order() -> None:
    text = SWEEP.replace("[0, 1]", "3").replace("[1, 2]", "[]").replace("metric:", "metrc:")
    lines = refusal(text).splitlines()
    assert [line.split(": ")[1] for line in lines] == ["line 3", "line 6", "line 10", "line 10"]


def test_the_line_is_that_of_the_item_in_a_list_over_several_lines() -> None:
    variants = "variants:\n  - when: {depth: 1}\n  - when:\n      depth: 2\n      ordr: swap\n"
    assert refusal(SWEEP + variants).startswith("sweep.yaml: line 15: `variants[1].when.ordr`")


# Sizes.


def axes(count: int, values: int) -> str:
    return "\n".join(f"  a{i}: {list(range(values))}" for i in range(count))


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("old", "new", "count"),
    [
        ("  depth: [1, 2]", axes(12, 10), "8,000,000,000,000"),
        ("  depth: [1, 2]", axes(200, 10), f"{8 * 10**200:,}"),
        ("  lr: [0.1, 1e-2]", axes(50, 100), f"{8 * 100**50:,}"),
        ("[0.1, 1e-2]", f"[0.1, 1e-2]\n{axes(1, 50)}\n  b: {list(range(2501))}", "2,000,800"),
    ],
)
def test_a_grid_too_large_is_counted_and_refused_without_expanding_it(
    old: str, new: str, count: str
) -> None:
    assert refusal(replaced(old, new)) == (
        f"sweep.yaml: line 4: `factors`: the grid has {count} trials; the limit is 1,000,000"
    )


def test_a_grid_too_large_without_factors_is_told_at_its_search() -> None:
    searched = f"search: {{a: {[*range(1001)]}, b: {[*range(1000)]}}}"
    text = f"name: toy\ntrainable: toy:train\nseeds: [0]\nselect: {{metric: accuracy}}\n{searched}"
    assert "line 5: `search`: the grid has 1,001,000 trials" in refusal(text)


@pytest.mark.no_cover
def test_exactly_the_largest_grid_is_accepted() -> None:
    text = replaced("[0.1, 1e-2]", f"{list(range(125))}\n{axes(1, 1000)}")
    load_text(text, "sweep.yaml")


@pytest.mark.no_cover
def test_what_exclude_and_variants_take_away_does_not_count() -> None:
    text = replaced("  lr: [0.1, 1e-2]", f"{axes(1, 600)}\n  b: {list(range(600))}")
    assert "2,880,000" in refusal(text)
    load_text(text + "exclude: [{depth: 2}, {order: swap}]\n", "sweep.yaml")
    load_text(text + "variants: [{when: {depth: [1, 2]}, search: {b: [1]}}]\n", "sweep.yaml")


def bomb() -> str:
    levels = [f"x{i + 1}: &x{i + 1} [{', '.join([f'*x{i}'] * 10)}]" for i in range(30)]
    return "\n".join(["x0: &x0 [1, 1]", *levels])


def chain() -> str:
    levels = [f"x{i + 1}: &x{i + 1} [*x{i}]" for i in range(2000)]
    return "\n".join(["x0: &x0 [1]", *levels])


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("ending", "said"),
    [
        (bomb(), "more than 100,000 values (each alias `*…` counts)"),
        (chain(), "lists and mappings are nested more than 32 deep"),
    ],
)
def test_an_alias_bomb_is_refused_before_it_is_built(ending: str, said: str) -> None:
    assert said in refusal(SWEEP + ending)


# Properties.

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text("abcxyz _-", max_size=8),
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=6)
AXES = st.lists(VALUES, min_size=1, max_size=4, unique_by=lambda value: by_value(value))


def frozen(value: Any) -> Any:
    return tuple(map(frozen, value)) if isinstance(value, list) else value


@pytest.mark.no_cover
@given(factor=AXES, search=AXES, fixed=VALUES, seeds=st.sets(st.integers(0, 2**63 - 1), min_size=1))
def test_whatever_params_a_file_holds_are_read_back_unchanged(
    factor: list[Any], search: list[Any], fixed: Any, seeds: set[int]
) -> None:
    text = json.dumps(  # which is YAML too
        {
            "name": "toy",
            "trainable": "toy:train",
            "seeds": list(seeds),
            "factors": {"a": factor},
            "search": {"b": search},
            "fixed": {"c": fixed},
            "select": {"metric": "score"},
        }
    )
    sweep = load_text(text, "sweep.yaml")
    assert repr(sweep.factors["a"]) == repr(frozen(factor))
    assert repr(sweep.search["b"]) == repr(frozen(search))
    assert repr(sweep.fixed["c"]) == repr(frozen(fixed))
    assert sweep.seeds == tuple(seeds)


@pytest.mark.no_cover
@given(st.text())
def test_any_text_is_refused_in_words_with_its_line(text: str) -> None:
    assert refusal(text).startswith("sweep.yaml: line ")


YAML_PIECES = st.sampled_from(
    [*"[]{}:,-?&*!|>%@#'\"\\\n\t ~_.0189abefxn+", "\n  ", ": ", "- ", "&a ", "*a", "1e5", "0x"]
)


@pytest.mark.no_cover
@given(st.lists(YAML_PIECES, max_size=12).map("".join))
def test_any_value_is_read_or_refused_in_words(value: str) -> None:
    message = ""
    try:
        load_text(replaced("epochs: 2", f"x: {value}"), "sweep.yaml")
    except SpecError as error:
        message = str(error)
    assert all(line.startswith("sweep.yaml: line ") for line in message.splitlines())


@given(st.lists(st.tuples(st.integers(0, 10**17), st.integers(0, 30)), min_size=1, max_size=6))
def test_seeds_are_read_as_a_list_of_numbers_and_ranges(parts: list[tuple[int, int]]) -> None:
    text = ",".join(f"{a}-{a + more}" if more else str(a) for a, more in parts)
    seeds = [a + i for a, more in parts for i in range(more + 1)]
    if len(set(seeds)) == len(seeds):
        assert parse_seeds(text) == tuple(seeds)
    else:
        with pytest.raises(InputError, match="is repeated"):
            parse_seeds(text)


@pytest.mark.parametrize(
    "text", ["", "a", "1.5", "-1", "3-1", "0-", "1,,2", "0-9999999", "1 2", "9" * 30]
)
def test_what_is_no_list_of_seeds_is_refused_and_repeated(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_seeds(text)
    assert str(caught.value).startswith(f"--seeds {text}: ")


@pytest.mark.no_cover
def test_other_seeds_are_refused_where_they_make_the_grid_too_large() -> None:
    sweep = load_text(SWEEP, "sweep.yaml")
    assert with_seeds(sweep, (5, 6, 7)).seeds == (5, 6, 7)
    with pytest.raises(InputError, match="the grid has 1,000,008 trials; the limit is 1,000,000"):
        with_seeds(sweep, tuple(range(125_001)))


def test_other_seeds_replace_those_of_the_text_and_leave_the_rest_of_it() -> None:
    text = (
        "# a comment\n"
        + replaced("[0, 1]", "&some [0, 1]  # as in the paper").replace(
            "epochs: 2", "d: 2026-99-99"
        )
        + "variants: [{when: {depth: 1}, seeds: *some}]\n"
    )
    source = read_text(text, "sweep.yaml").with_value(("seeds",), (7, 8))
    written = load_text(source.text, "sweep.yaml")
    assert written == parse(source)
    assert written.seeds == (7, 8)
    assert written.variants[0].seeds == (0, 1)
    assert written.fixed == {"d": "2026-99-99"}
    assert "# a comment" in source.text


def test_the_text_of_a_file_is_kept_to_the_byte() -> None:
    assert read_text(SWEEP, "sweep.yaml").text == SWEEP
