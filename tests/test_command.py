"""Commands: what each word becomes for a trial, what is refused, and what ids are over."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.toys import SWEEP

from orchestrator.errors import SpecError
from orchestrator.spec import Sweep, expand, load_text
from orchestrator.spec.command import (
    TrialNames,
    possible,
    render,
    render_path,
)

TRIAL = TrialNames("/far/folder", "0123456789abcdef", 3)


def words(*templates: str, **params: Any) -> list[str]:
    return render(templates, params, TRIAL, "/far/params.json")


def swept(command: list[str], **keys: Any) -> str:
    """Write the toy's sweep with a command instead of its trainable, and more keys at its end."""
    more = "".join(f"{key}: {json.dumps(value)}\n" for key, value in keys.items())
    return SWEEP.replace("trainable: toy:train", f"command: {json.dumps(command)}") + more


def loaded(command: list[str], **keys: Any) -> Sweep:
    return load_text(swept(command, **keys), "sweep.yaml")


def refusal(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        load_text(text, "sweep.yaml")
    return str(caught.value)


# What words become.


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-4, "0.0001"),
        (1e-5, "1e-05"),
        (1e22, "1e+22"),
        (1, "1"),
        (1.0, "1.0"),
        (True, "true"),
        (False, "false"),
        ("a b", "a b"),
        ("", ""),
        ('é"', 'é"'),
        ([1, 2.5, "é", None, [True]], '[1,2.5,"é",null,[true]]'),
    ],
)
def test_a_value_is_written_as_programs_read_it(value: Any, text: str) -> None:
    assert words("--x={x}", "{x}", x=value) == [f"--x={text}", text]


def test_a_word_with_params_stands_once_per_param_without_null() -> None:
    params = {"lr": 0.1, "fast": False, "slow": True, "none": None, "seed": 0}
    assert words("--{params}", **params) == ["--lr=0.1", "--fast=false", "--slow=true", "--seed=0"]
    assert words("{params}", **params) == ["lr=0.1", "fast=false", "slow=true", "seed=0"]
    assert words("--set=+{params}", lr=1) == ["--set=+lr=1"]
    flags = ["--lr=0.1", "--no-fast", "--slow", "--seed=0"]
    assert words("--{params:flags}", **params) == flags


def test_a_flag_is_a_word_where_its_boolean_is_true() -> None:
    assert words("a", "{fast:--fast}", "b", fast=True) == ["a", "--fast", "b"]
    assert words("a", "{fast:--fast}", "b", fast=False) == ["a", "b"]


def test_an_option_of_null_is_left_out() -> None:
    assert words("--lr={lr}", "-l={lr}", "--a={a}", lr=None, a="") == ["--a="]


def test_what_is_the_trials_own_and_the_file_of_all_params_have_names() -> None:
    found = words("{trial.folder}/{trial.id}-{trial.attempt}", "@{params.json}", "--o={trial.id}")
    assert found == ["/far/folder/0123456789abcdef-3", "@/far/params.json", "--o=0123456789abcdef"]
    path = render_path("{trial.folder}/lr{lr}.csv", {"lr": 0.1}, TRIAL, "")
    assert path == "/far/folder/lr0.1.csv"


NAMES = st.text("abcxyz_", min_size=1, max_size=4).filter(lambda name: name != "seed")
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8).filter(lambda text: "\0" not in text),
)
LISTS = st.lists(st.one_of(st.none(), SCALARS), max_size=3)
VALUES = st.one_of(st.none(), SCALARS, LISTS, st.lists(LISTS, max_size=2))
PARAMS = st.dictionaries(NAMES, VALUES, min_size=1, max_size=5)


def is_read_as(text: str, value: Any) -> bool:
    """Say whether a program that knows the type reads the value itself."""
    return text == value if isinstance(value, str) else repr(json.loads(text)) == repr(value)


@given(PARAMS)
def test_every_param_reaches_the_program_as_the_value_that_it_has(params: dict[str, Any]) -> None:
    read = dict(word.removeprefix("--").split("=", 1) for word in words("--{params}", **params))
    assert read.keys() == {name for name, value in params.items() if value is not None}
    assert all(is_read_as(text, params[name]) for name, text in read.items())
    one_by_one = [text for name in params for text in words(f"--{name}={{{name}}}", **params)]
    assert one_by_one == words("--{params}", **params)


@given(st.lists(st.one_of(st.text("ab={}:", max_size=3), NAMES.map(lambda name: (name,)))))
def test_braces_are_escaped_by_braces_wherever_they_stand(pieces: list[Any]) -> None:
    word, params = "", {}
    for piece in pieces:
        if isinstance(piece, tuple):
            word, params = f"{word}{{{piece[0]}}}", params | {piece[0]: f"<{piece[0]}>"}
        else:
            word += piece.replace("{", "{{").replace("}", "}}")
    expected = "".join(f"<{p[0]}>" if isinstance(p, tuple) else p for p in pieces)
    assert words(word, **params) == [expected]


@given(st.lists(st.text("ab{}:=.", min_size=1, max_size=8), min_size=1, max_size=3))
def test_any_words_are_taken_or_refused_in_words_with_their_line(command: list[str]) -> None:
    try:
        loaded([*command, "--{params}"])
    except SpecError as error:
        for line in str(error).splitlines():
            assert re.match(r"sweep\.yaml: line 2: `command\[\d\]`: ", line)


# What is refused.

ALL = "--{params}"
BAD_WORDS = {
    "no word": ([], "`command`: expected at least one entry"),
    "a number": (["a", 0.1, ALL], "`command[1]`: expected text; put numbers"),
    "a boolean": (["a", True, ALL], "`command[1]`: expected text; put numbers"),
    "a mapping": (["a", {"lr": None}], "put a word that begins with a brace in quotes"),
    "an empty word": (["a", "", ALL], "`command[1]`: expected at least one character"),
    "a zero byte": (["a", "\0", ALL], "`command[1]`: expected at least one character, and no zero"),
    "an unknown param": (
        ["a", "--deep={deph}", ALL],
        "`command[1]`: unknown placeholder `deph`; did you mean `depth`?",
    ),
    "an unknown nested param": (["a", "{lr.start}", ALL], "unknown placeholder `lr.start`"),
    "no name": (["a", "{}", ALL], "`command[1]`: unknown placeholder ``"),
    "JSON": (["a", '{"a": 1}', ALL], "a brace itself is `{{` or `}}`"),
    "an open brace": (["a", "{lr", ALL], "`command[1]`: a `{` without partner; a brace itself is"),
    "a closed brace": (["a", "lr}", ALL], "`command[1]`: a `}` without partner"),
    "params twice": (["a", "{params}{params}"], "`command[1]`: `{params}` stands once in a word"),
    "params in another form": (["a", "{params:x}"], "expected `{params}` or `{params:flags}`"),
    "a number's format": (["a", "{lr:.3f}", ALL], "`lr` is no boolean, but 0.1"),
    "a seed's flag": (["a", "{seed:--seed}", ALL], "`seed` is no boolean, but 0"),
    "an id's flag": (["a", "{trial.id:x}", ALL], "`{trial.id:x}`: `trial.id` takes no `:`"),
    "a program of the trial": (["{trial.folder}/a", ALL], "`command[0]`: is the program"),
    "a program that may be none": (["-a={lr}", ALL], "`command[0]`: is the program"),
    "a program for each param": ([ALL], "`command[0]`: is the program"),
    "a seed that does not reach": (
        ["a", "{order}", "{depth}", "--lr={lr}"],
        "`command`: `seed` reaches the program in no word, and so trials would be the same run; "
        'add words such as "--seed={seed}"',
    ),
    "axes that do not reach": (
        ["a", "{order}", "{seed}", "{{lr}}", "{epochs}"],
        "`command`: `depth`, `lr` reach the program in no word",
    ),
}


@pytest.mark.parametrize(("command", "said"), BAD_WORDS.values(), ids=BAD_WORDS)
def test_a_wrong_word_is_told_with_its_line_and_number(command: list[Any], said: str) -> None:
    message = refusal(swept(command))
    assert message.startswith("sweep.yaml: line 2: `command")
    assert said in message


@pytest.mark.parametrize(
    "command",
    [
        ["a", "--{params}"],
        ["a", "{params:flags}"],
        ["a", "{params.json}"],
        ["a", "{order}-{depth}", "--lr={lr}", "{seed}"],
        ["{order}/run", "{depth}{lr}{seed}"],
    ],
)
def test_each_way_in_which_seed_and_axes_may_reach_the_program_is_taken(command: list[str]) -> None:
    assert loaded(command).command == tuple(command)


def test_a_flag_reaches_the_program_and_is_a_boolean_in_every_cell() -> None:
    text = swept(["a", "{fast:--fast}", "{order}{depth}{seed}"])
    text = text.replace("lr: [0.1, 1e-2]", "fast: [true, false]")
    load_text(text, "sweep.yaml")
    variant = "variants: [{when: {depth: 1}, search: {fast: [null]}}]\n"
    assert "`fast` is no boolean, but null" in refusal(text + variant)
    assert "`{fast:--fast}` is a word of its own" in refusal(text.replace("{fast:", "x{fast:"))
    assert "expected text after `:`" in refusal(text.replace("{fast:--fast}", "{fast:}"))


def test_null_in_a_word_is_refused_by_the_cells_that_have_it() -> None:
    command, fixed = ["a", "--{params}", "{decay}"], "fixed: {epochs: 2, decay: 1}"
    text = swept(command).replace("fixed: {epochs: 2}", fixed)
    load_text(text, "sweep.yaml")
    variant = "variants: [{when: {depth: 2}, fixed: {decay: null}}]\n"
    assert refusal(text + variant) == (
        "sweep.yaml: line 2: `command[2]`: `decay` is null where order=convention, depth=2 and 1 "
        "other cell; null is left out by a word such as `--decay={decay}`, and by `--{params}`"
    )
    both = "{when: {depth: [1, 2]}, fixed: {decay: null}}, {when: {depth: 1}, fixed: {decay: 1}}"
    load_text(f"{text}variants: [{both}]\nexclude: [{{depth: 2}}]\n", "sweep.yaml")
    load_text(text.replace('"{decay}"', '"--decay={decay}"') + variant, "sweep.yaml")
    in_path = 'metrics: {csv: "-d={decay}"}\n'
    text = text.replace('"{decay}"', '"--decay={decay}"') + variant + in_path
    assert "sweep.yaml: line 12: `metrics.csv`: `decay` is null where" in refusal(text)


def test_one_of_trainable_and_command_runs_a_trial() -> None:
    neither = refusal(SWEEP.replace("trainable: toy:train\n", ""))
    assert neither == "sweep.yaml: line 1: `trainable`: this key, or `command`, is required"
    both = refusal(SWEEP + 'command: [a, "--{params}"]\n')
    assert both.startswith("sweep.yaml: line 11: `command`: stands beside a `trainable`")
    load_text(swept(["a", ALL], trainable=None), "sweep.yaml")
    assert "`factors.trial`: `trial` is reserved" in refusal(SWEEP.replace("depth:", "trial:"))
    assert "`factors.params`: `params` is reserved" in refusal(SWEEP.replace("depth:", "params:"))


# Metrics.

BAD_METRICS = {
    "nothing": ({}, "`metrics`: expected one of `json`, `regex`, `csv`, `tensorboard`"),
    "two kinds": ({"json": "stdout", "csv": "a"}, "`metrics`: expected one of `json`"),
    "another stream": ({"json": "stderr"}, "`metrics.json`: expected 'stdout'"),
    "an unknown kind": (
        {"jsn": "stdout"},
        "`metrics.jsn`: unknown key `jsn`; did you mean `json`?",
    ),
    "the field behind a key": ({"lines": "stdout"}, "`metrics.lines`: unknown key `lines`"),
    "a broken regex": (
        {"regex": "acc (?P<a>"},
        "`metrics.regex`: is no regular expression: missing ), unterminated subpattern at "
        "character 5",
    ),
    "an endless regex": ({"regex": "a{99999999999999999999}"}, "the repetition number is too"),
    "a regex without names": ({"regex": "acc (.*)"}, "`metrics.regex`: expected a named group"),
    "a counter that is no group": (
        {"regex": "(?P<step_>.)", "step": "step"},
        "`metrics.step`: unknown group of the regex `step`; did you mean `step_`?",
    ),
    "a path of an unknown param": ({"csv": "{nr}"}, "`metrics.csv`: unknown placeholder `nr`"),
    "a path per param": (
        {"tensorboard": "{params}"},
        "`metrics.tensorboard`: `{params}` is for words, not for a path",
    ),
    "a number for a path": ({"csv": 3}, "`metrics.csv`: expected text"),
    "an empty path": ({"csv": ""}, "`metrics.csv`: expected at least one character"),
}


@pytest.mark.parametrize(("metrics", "said"), BAD_METRICS.values(), ids=BAD_METRICS)
def test_wrong_metrics_are_told_with_line_and_key(metrics: dict[str, Any], said: str) -> None:
    message = refusal(swept(["a", ALL], metrics=metrics))
    assert message.startswith("sweep.yaml: line 11: `metrics")
    assert said in message


def test_metrics_are_a_commands() -> None:
    message = refusal(SWEEP + "metrics: {json: stdout}\n")
    assert message.startswith("sweep.yaml: line 11: `metrics`: is for a `command`")


@pytest.mark.parametrize(
    "metrics",
    [
        {"json": "stdout"},
        {"json": "stdout", "step": "batch"},
        {"regex": r"acc (?P<accuracy>[\d.]+)"},
        {"csv": "{trial.folder}/{order}.csv"},
        {"tensorboard": "runs/{trial.id}", "step": "global_step"},
    ],
)
def test_what_runs_has_the_keys_that_the_file_has(metrics: dict[str, str]) -> None:
    sweep = loaded(["a", ALL], metrics=metrics)
    assert sweep.runs == {"command": ("a", ALL), "metrics": metrics}
    assert loaded(["a", ALL]).runs == {"command": ("a", ALL)}
    assert load_text(SWEEP, "sweep.yaml").runs == "toy:train"


# Ids.


def test_an_id_is_that_of_words_metrics_and_params() -> None:
    sweep = loaded(["python", "fit.py", ALL], metrics={"json": "stdout"})
    text = (
        '[{"command":["python","fit.py","--{params}"],"metrics":{"json":"stdout"}},'
        '{"depth":1,"epochs":2,"lr":0.1,"order":"convention","seed":0}]'
    )
    trial = expand(sweep)[0]
    assert trial.trial_id == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert trial.trial_id == "2db0ac1f71c9a4c8"


def test_each_word_and_each_key_of_metrics_moves_the_ids() -> None:
    sweeps = [
        load_text(SWEEP, "sweep.yaml"),
        loaded(["a", ALL]),
        loaded(["a", "-v", ALL]),
        loaded(["a", ALL], metrics={"json": "stdout"}),
        loaded(["a", ALL], metrics={"json": "stdout", "step": "batch"}),
        loaded(["a", ALL], metrics={"csv": "stdout"}),
    ]
    assert len({expand(sweep)[0].trial_id for sweep in sweeps}) == len(sweeps)


# What a word may be.


def test_the_texts_of_a_word_are_those_of_the_trials_that_the_file_asks_for() -> None:
    sweep = loaded(
        ["a", "{order}/{depth}.py", "--{params}", "{trial.folder}/x"],
        variants=[{"when": {"depth": 1}, "seeds": [7], "fixed": {"epochs": 9}}],
        exclude=[{"order": "swap", "depth": 2}],
    )
    _, path, every, nowhere = (possible(sweep, word) for word in sweep.command or ())
    assert path == ["convention/1.py", "convention/2.py", "swap/1.py"]
    assert {"--epochs=9", "--epochs=2", "--seed=7", "--seed=0", "--lr=0.01"} <= set(every)
    assert "--depth=3" not in every
    assert nowhere == ["/dev/null//x"]
