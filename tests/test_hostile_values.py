"""Values and names that a format could take for something else: each output shows what they are."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from pylatexenc.latexwalker import LatexWalker
from rich.console import Console
from support.commands import orch
from support.synthetic import make_trials, results_of

from orchestrator import load
from orchestrator.labels import label, printable, unit
from orchestrator.results.statistics import statistics
from orchestrator.results.tables import show
from orchestrator.spec.values import by_value

HOSTILE = [
    "null", "true", "1", "1e3", ".inf", "[1, 2]", "~", "", " x", '"null"', "—", "a\nb", "a\tb",
    "a|b", "[l](javascript:alert(1))", "<script>alert(1)</script>", "\x1b[2J", "\r", "&lt;b&gt;",
    "*b*", "_i_", "`c`", "~~s~~", "$x$", "[3] x", "* x", "\\", "\\\\[2ex]", "%", "a & b", "#", "{x",
    "^", "~a", "\u202eabc", "x\x00y", "![i](x)", "--", "''", "é日本",
]  # fmt: skip
TEXT = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.sampled_from("ab01nul[]{}()|*_`<>&$#%^~\\\"'\n\t\r\x1b\u202e -!.,:e+"), max_size=8),
    st.text(max_size=5),
)
VALUES = st.one_of(
    TEXT,
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
    st.lists(st.one_of(TEXT, st.integers(0, 3), st.booleans(), st.none()), max_size=3).map(tuple),
)


# Labels


@given(VALUES, VALUES)
@example("null", None)
@example("[1, 2]", (1, 2))
@example(("a, b",), ("a", "b"))
@example('"null"', "null")
@example("1e3", 1000.0)
@example("\u2028", ("[\u202e",))
def test_two_values_have_two_labels_of_one_line_that_no_terminal_obeys(
    one: Any, other: Any
) -> None:
    for value in (one, other):
        text = label(value)
        assert text
        assert text == printable(text)
        assert len(text.splitlines()) == 1
        text.encode()
    if by_value(_encodable(one)) != by_value(_encodable(other)):
        assert label(one) != label(other)


def _encodable(value: Any) -> Any:
    return json.loads(json.dumps(value))


def test_plain_text_is_written_as_it_is() -> None:
    for text in ("tanh", "swap", "a-b_c.d/e", "two words", "é日本", "x1", "v1.0.1", "5e-3x"):
        assert label(text) == text


# Formats


def printed(values: list[str], format_: str) -> str:
    keys = {
        "name": "hostile",
        "trainable": "t:train",
        "seeds": [0, 1],
        "factors": {"x": values, "y": [0]},
        "select": {"metric": "test_accuracy"},
        "tables": [{"name": "all", "rows": ["x"]}],
    }
    sweep = load(keys)
    trials = make_trials(sweep, lambda trial: 0.5 + trial.params["seed"] / 10)
    stream = io.StringIO()
    show(results_of(sweep, trials), Console(file=stream, width=400), format_)  # type: ignore[arg-type]
    return stream.getvalue()


NUMBER = re.compile(r"[-+]?[\d._]+(e[-+]?\d+)?|[-+]?\.inf|\.nan|0[xo][0-9a-f_]+", re.IGNORECASE)
"""Text that a sweep file may not hold in quotes, lest a number become a string."""
AXIS = st.lists(
    TEXT.filter(lambda text: not NUMBER.fullmatch(text.strip())),
    min_size=2,
    max_size=4,
    unique=True,
)


@given(AXIS)
def test_text_has_a_row_for_each_value(values: list[str]) -> None:
    text = printed(values, "text")
    assert text == printable(text)
    rows = [line.strip().partition("   ")[0] for line in text.splitlines() if "±" in line]
    assert [" ".join(row.split()) for row in rows[:-1]] == [
        " ".join(label(value).split()) for value in values
    ]


@given(AXIS)
def test_markdown_shows_each_value_and_nothing_else(values: list[str]) -> None:
    text = printed(values, "markdown")
    assert text == printable(text)
    tokens = MarkdownIt("gfm-like", {"linkify": False}).enable("table").parse(text)
    cells = [tokens[index + 1] for index, token in enumerate(tokens) if token.type == "td_open"]
    firsts = cells[::2][: len(values)]
    assert ["".join(c.content for c in cell.children or ()) for cell in firsts] == [
        label(value).strip() for value in values
    ]
    kinds = {child.type for cell in firsts for child in cell.children or ()}
    assert kinds <= {"text", "text_special"}


class _Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.tags: set[str] = set()
        self._in = False

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        self._in = tag == "th" and ("scope", "row") in attrs
        if self._in:
            self.cells.append("")

    def handle_endtag(self, _tag: str) -> None:
        self._in = False

    def handle_data(self, data: str) -> None:
        if self._in:
            self.cells[-1] += data


@given(AXIS)
def test_html_shows_each_value_and_no_tag_of_theirs(values: list[str]) -> None:
    text = printed(values, "html")
    parser = _Cells()
    parser.feed(text)
    assert parser.cells[: len(values)] == list(map(label, values))
    assert parser.tags <= {
        "section", "table", "caption", "thead", "tbody", "tr", "th", "td", "span", "p", "ul", "li",
        "b", "strong",
    }  # fmt: skip
    assert text == printable(text)


@given(AXIS)
def test_latex_parses_and_no_row_begins_with_an_argument(values: list[str]) -> None:
    text = printed(values, "latex")
    assert text == printable(text)
    LatexWalker(text, tolerant_parsing=False).get_latex_nodes()
    body = text.partition("\\midrule\n")[2].partition("\\bottomrule")[0].splitlines()
    assert len(body) == len(values)
    for row in body:
        assert re.match(r"[^\[*]", row)
        assert len(re.findall(r"(?<!\\)&", row)) == 1


@given(AXIS)
def test_csv_and_json_hold_each_value(values: list[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(printed(values, "csv"), newline="")))
    assert [row["x"] for row in rows] == list(map(printable, values))
    found = json.loads(printed(values, "json"))
    assert [row["x"] for row in found] == values


# Numbers


@pytest.mark.parametrize(
    ("mean", "std", "said"),
    [
        (3.0e-6, 2.1e-7, "0.00000300 ± 0.00000021"),
        (0.939, 0.0071, "0.9390 ± 0.0071"),
        (0.93912, 0.0996, "0.94 ± 0.10"),
        (12345.678, 2345.1, "12346 ± 2345"),
        (1.7e308, 1.7e306, "1.700e+308 ± 1.7e+306"),
        (3.0e-20, 2.0e-21, "3.00e-20 ± 2.0e-21"),
        (0.5, 0.0, "0.5000 ± 0.0000"),
        (3.0e-6, 0.0, "0.0000030 ± 0.0000000"),
        (0.1 + 0.2, 1e-17, "0.3000 ± 0.0000"),
        (0.0, 0.0, "0.0000 ± 0.0000"),
    ],
)
def test_digits_follow_the_deviation(mean: float, std: float, said: str) -> None:
    assert " ± ".join(unit("loss").pair(mean, std)) == said
    fixed = unit("loss", decimals=3).pair(0.93912, 0.0996)
    assert fixed == ("0.939", "0.100")


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=6))
@example([sys.float_info.max] * 3)
def test_statistics_of_any_finite_values_are_numbers_that_can_be_written(
    values: list[float],
) -> None:
    found = statistics(values)
    slack = 1e-15 * max(map(abs, values))  # of one rounding
    assert min(values) - slack <= found.mean <= max(values) + slack
    for text in unit("loss").pair(found.mean, found.std):
        assert 0 < len(text) < 30


def test_values_at_the_end_of_what_floats_hold_end_no_command(tmp_path: Path) -> None:
    (tmp_path / "big.py").write_text(
        "def train(params, trial):\n"
        "    for epoch in range(2):\n"
        "        trial.probe('p', 'l', params['v'], index=0)\n"
        "        yield {'score': params['v'] * (1 + 0.01 * params['seed']), 'loss': params['v']}\n"
    )
    text = """\
name: big
trainable: big:train
seeds: [0, 1, 2]
factors: {v: [1.7e+308, -1.7e+308, 3.0e-6]}
search: {lr: [1, 2]}
select: {metric: score}
tables: [{name: a, values: [score, loss, "probe:p"]}]
claims:
  - {name: c, compare: {v: [1.7e+308, -1.7e+308]}, metric: score, expect: greater}
  - {name: d, compare: {v: [3.0e-6, -1.7e+308]}, metric: score, expect: close, margin: 1}
  - {name: e, compare: {v: [-1.7e+308, 3.0e-6, 1.7e+308]}, metric: score, expect: increasing}
"""
    (tmp_path / "big.yaml").write_text(text)
    done = orch(tmp_path, "sweep", "big.yaml", "--runner", "inline")
    assert done.exit_code == 0, done.stderr
    assert "1.717e+308 ± 1.7e+306 (3)" in done.stdout
    for words in (
        ["claims"], ["claims", "--json"], ["effects"], ["status"], ["figure"], ["report"],
        *(["table", "--format", each] for each in ("csv", "json", "latex", "html", "markdown")),
    ):  # fmt: skip
        command, *options = words
        done = orch(tmp_path, command, "big.yaml", *options)
        assert done.exit_code == 0, done.stderr
    verdicts = json.loads(orch(tmp_path, "claims", "big.yaml", "--json").stdout)["claims"]
    assert {claim["verdict"] for claim in verdicts} == {"undecided"}
    assert "not finite, or beyond 1e+150 in 3 of 3 seeds" in verdicts[0]["notes"]
