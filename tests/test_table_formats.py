"""Tables as LaTeX and HTML."""

from __future__ import annotations

import math
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from support.synthetic import make_sweep, make_trials, results_of

from orchestrator.results.tables import Pivot, html, latex, pivot
from orchestrator.spec.grid import PlannedTrial


def accuracy(trial: PlannedTrial) -> float | None:
    if trial.config.factors["dataset"] == "letters" and trial.seed == 2:
        return None
    swap = trial.config.factors["order"] == "swap"
    return 0.5 + swap / 8 - trial.config.search["lr"] + 0.01 + (trial.seed - 1) / 64


def shown(**keys: Any) -> Pivot:
    layout = {"name": "main", "rows": ("dataset",), "columns": ("order",), "best": "max"}
    sweep = make_sweep(tables=(layout | keys,))
    trials = make_trials(sweep, accuracy)
    return pivot(results_of(sweep, trials), sweep.tables[0])


def test_latex_is_a_booktabs_table():
    text = latex([shown()])
    start = text.index(r"\begin{tabular}")
    assert text[start : text.index(r"\end{tabular}")].splitlines() == [
        r"\begin{tabular}{lrr}",
        r"\toprule",
        r"dataset & \multicolumn{1}{c}{convention} & \multicolumn{1}{c}{swap} \\",
        r"\midrule",
        r"digits & 50.0 $\pm$ 1.6 (3) & \textbf{62.5} $\pm$ 1.6 (3) \\",
        r"letters & 49.2 $\pm$ 1.1 (2)* & \textbf{61.7} $\pm$ 1.1 (2)* \\",
        r"\bottomrule",
    ]
    assert r"\caption{main: test\_accuracy (\%). Mean $\pm$ sample" in text


def test_latex_spans_labels_over_their_columns():
    text = latex([shown(rows=(), columns=("dataset", "order"))])
    assert r"\multicolumn{2}{c}{digits} & \multicolumn{2}{c}{letters} \\" in text
    assert r"\cmidrule(lr){1-2}\cmidrule(lr){3-4}" in text


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex")
def test_latex_compiles_as_it_is(tmp_path: Path):
    factors = {"odd": ("a_b", "50%", "x & y", "{", "\\", "~", "^", "#", "$", "<", "|")}
    sweep = make_sweep(factors=factors, tables=({"name": "odd", "rows": ("odd",)},))
    trials = make_trials(sweep, lambda _: 0.5)
    odd = pivot(results_of(sweep, trials), sweep.tables[0])
    wide = shown(rows=(), columns=("dataset", "order"), precision=12)
    (tmp_path / "tables.tex").write_text(latex([shown(), odd, wide]), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "Overfull" not in done.stdout


def test_latex_escapes_what_it_would_take_as_commands():
    factors = {"odd": ("a_b", "50%", "x & y", "{", "\\", "a~")}
    sweep = make_sweep(factors=factors, tables=({"name": "odd", "rows": ("odd",)},))
    trials = make_trials(sweep, lambda _: 0.5)
    text = latex([pivot(results_of(sweep, trials), sweep.tables[0])])
    for escaped in (r"a\_b", r"50\%", r"x \& y", r"\{", r"\textbackslash{}", r"a\textasciitilde{}"):
        assert f"\n{escaped} & " in text


def test_latex_tells_hyphens_from_dashes():
    sweep = make_sweep(factors={"odd": ("a--b", "c---d")}, tables=({"name": "odd"},))
    trials = make_trials(sweep, lambda t: None if t.config.factors["odd"] == "a--b" else 0.5)
    text = latex([pivot(results_of(sweep, trials), sweep.tables[0])])
    assert "\na-{}-b & \\textemdash{}* \\\\" in text
    assert "\nc-{}-{}-d & " in text


def test_html_is_well_formed_and_accessible():
    root = ElementTree.fromstring(html(shown()))  # noqa: S314 (our own text)
    table = root.find("table")
    assert table is not None
    assert table.findtext("caption") == "main: test_accuracy (%)"
    header = [(th.get("scope"), th.text) for th in table.iterfind("thead/tr/th")]
    assert header == [("col", "dataset"), ("col", "convention"), ("col", "swap")]
    first = table.find("tbody/tr")
    assert first is not None
    assert [(cell.tag, cell.get("scope")) for cell in first][:2] == [("th", "row"), ("td", None)]
    assert [float(td.get("data-value", math.nan)) for td in first.iterfind("td")] == [0.5, 0.625]
    assert "".join(first[2][0].itertext()) == "62.5 ± 1.6 (3)"
    assert first[2].findtext("span/strong") == "62.5"
    assert first[2][1].text == "60.9, 62.5, 64.1"


def test_html_spans_labels_and_escapes_values():
    text = html(shown(rows=(), columns=("dataset", "order")))
    assert '<th scope="colgroup" colspan="2">digits</th>' in text
    sweep = make_sweep(factors={"odd": ("<b>", "x & y")}, tables=({"name": "odd"},))
    trials = make_trials(sweep, lambda _: 0.5)
    text = html(pivot(results_of(sweep, trials), sweep.tables[0]))
    assert "&lt;b&gt;" in text
    assert "<b>" not in text
