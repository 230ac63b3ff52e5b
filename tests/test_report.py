"""The commands that judge, draw and report, and their page, in a browser too."""

from __future__ import annotations

import json
import math
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.synthetic import make_sweep, make_trials, results_of
from support.waiting import HANG_SECONDS

from orchestrator.cli import reading
from orchestrator.errors import InputError
from orchestrator.results.figures import Panel, Plot, Point, Series
from orchestrator.results.report import SCRIPT
from orchestrator.results.report._charts import DASHES, chart
from orchestrator.results.report._page import _templates
from orchestrator.results.report._sections import _drawn
from orchestrator.running.run import run

TRAINABLE = """
def train(params, trial):
    if params["order"] == "swap" and params["lr"] == 0.1 and params["seed"] == 1:
        raise RuntimeError("<out> of luck")
    for epoch in (1, 2):
        accuracy = (0.5 + (params["order"] == "swap") / 8 + params["seed"] ** 2 / 100) * epoch / 2
        for index in (0, 1):
            trial.probe("skewness", f"block{index}", index + params["seed"], index=index)
        yield {"test_accuracy": accuracy - params["lr"]}
"""

FILE = """
name: small
description: Is <b>swap</b> better?
trainable: toy:train
seeds: [0, 1, 2]
factors:
  order: [convention, swap]
search:
  lr: [0.1, 0.01]
select: {metric: test_accuracy}
retries: 0
tables:
  - {name: main, columns: [order], values: [test_accuracy, "probe:skewness"], best: max}
claims:
  - {name: helps, compare: {order: [swap, convention]}, metric: test_accuracy, expect: greater}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder with a sweep that was run and whose one trial failed."""
    place = tmp_path_factory.mktemp("report")
    (place / "toy.py").write_text(TRAINABLE, encoding="utf-8")
    (place / "small.yaml").write_text(FILE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.syspath_prepend(place)
        run("small.yaml", runner="inline", progress=False)
        yield place


@pytest.fixture(scope="module")
def page(folder: Path) -> Path:
    """The report of that sweep."""
    assert invoke(reading.report, "small.yaml", "-o", "out/page.html").stdout == "out/page.html\n"
    return folder / "out/page.html"


def invoke(command: Any, *arguments: str) -> Result:
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.usefixtures("folder")
def test_claims_prints_verdicts_and_json():
    assert "swap greater than" in invoke(reading.claims, "small.yaml").stdout
    (claim,) = json.loads(invoke(reading.claims, "small.yaml", "--format", "json").stdout)
    assert claim["effect"] == pytest.approx(0.125)
    assert (claim["n"], claim["verdict"], claim["p"]) == (3, "undecided", None)
    assert claim["notes"][0].startswith("no spread")


@pytest.mark.usefixtures("folder")
def test_claims_takes_the_smallest_effect_that_matters():
    told = invoke(reading.claims, "small.yaml", "--format", "json", "--smallest", "0.01")
    (claim,) = json.loads(told.stdout)
    assert claim["smallest"] == 0.01
    refused = CliRunner().invoke(reading.claims, ["small.yaml", "--smallest", "0"])
    assert refused.exit_code == 2
    assert "0.0 is not in the range x>0" in refused.stderr


def test_figure_draws_all_or_one(folder: Path):
    lines = invoke(reading.figure, "small.yaml").stdout.split()
    assert lines == [
        f"figures/small/{name}.{kind}"
        for name in ("curves", "layers-skewness")
        for kind in ("svg", "png")
    ]
    assert all((folder / line).stat().st_size > 1000 for line in lines)
    one = invoke(reading.figure, "small.yaml", "curves", "-o", "one").stdout
    assert one == "one/small/curves.svg\none/small/curves.png\n"
    with pytest.raises(InputError, match="did you mean `curves`"):
        invoke(reading.figure, "small.yaml", "curve")


class Page(HTMLParser):
    """Collects what a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def test_report_is_one_accessible_page_that_asks_for_nothing(page: Path):
    assert page.stat().st_size < 6_000_000
    parsed = Page(page.read_text(encoding="utf-8"))
    assert ("html", {"lang": "en"}) in parsed.tags
    assert parsed.count("h1") == 1
    ids = {attributes.get("id") for _, attributes in parsed.tags}
    for _, attributes in parsed.tags:
        assert "src" not in attributes
        if (href := attributes.get("href")) is not None:
            assert href == "data:," or href[1:] in ids, href
    scopes = [attributes.get("scope") for tag, attributes in parsed.tags if tag == "th"]
    assert None not in scopes
    assert parsed.count("table") == parsed.count("caption")


def test_report_says_what_ran_what_failed_and_how_to_make_it_again(page: Path):
    text = page.read_text(encoding="utf-8")
    assert "12: 11 completed, 0 diverged, 1 failed, 0 missing" in text
    assert "0 trials ran other code" in text
    assert "Is &lt;b&gt;swap&lt;/b&gt; better?" in text
    assert "RuntimeError: &lt;out&gt; of luck" in text
    assert "orch sweep small.yaml --seeds 0,1,2 --store results" in text
    assert "no spread: all seeds give the same difference" in text
    assert "* 1 of 2 cells incomplete: 0 trials missing, 1 failed." in text
    assert "Unfinished: of 12 trials, 1 failed. Tables mark what they lack." in text


def test_a_report_of_failed_trials_alone_says_so(folder: Path):
    text = FILE.replace("name: small", "name: unlucky").replace(
        "order: [convention, swap]", "order: [swap]"
    )
    text = text.replace("lr: [0.1, 0.01]", "lr: [0.1]").replace("seeds: [0, 1, 2]", "seeds: [1]")
    (folder / "unlucky.yaml").write_text(text[: text.index("claims:")], encoding="utf-8")
    run("unlucky.yaml", runner="inline", progress=False)
    invoke(reading.report, "unlucky.yaml", "-o", "unlucky.html")
    page = (folder / "unlucky.html").read_text(encoding="utf-8")
    assert "1: 0 completed, 0 diverged, 1 failed, 0 missing" in page
    assert "<dt>Time</dt>" not in page


@pytest.mark.parametrize(
    ("shown", "note"),
    [
        ("tables", "Mean ± sample standard deviation over seeds (number of seeds)."),
        ("figures", "Means over seeds; bands and bars are ± one sample standard deviation."),
    ],
)
def test_notes_of_all_tables_or_figures_stand_once_below_them(folder: Path, shown: str, note: str):
    second = "  - {name: second, rows: [order]}\nclaims:"
    (folder / "two.yaml").write_text(FILE.replace("claims:", second), encoding="utf-8")
    invoke(reading.report, "two.yaml", "-o", "two.html")
    text = (folder / "two.html").read_text(encoding="utf-8")
    below = text.partition(f"<p>All {shown}:</p>")[2].partition("</ul>")[0]
    assert f"<li>{note}</li>" in below
    assert text.count(note) == 1


def test_a_verdict_is_marked_for_the_page_to_show_a_sign(page: Path):
    text = page.read_text(encoding="utf-8")
    assert re.findall(r'data-verdict="([a-z]+)', text) == ["undecided"]


def test_a_legend_shows_the_dashes_of_the_lines_in_the_order_of_the_figure():
    def panel(*labels: str) -> Panel:
        points = (Point(1, 50.0, 1.0, 3), Point(2, 51.0, 1.0, 3))
        return Panel("", "epoch", "accuracy", tuple(Series(label, points) for label in labels))

    plot = Plot("name", "curves", "title", ((panel("a", "b"), panel("b", "c")),), ())
    for each in plot.panels[0]:
        spec = chart(plot, each)
        assert spec is not None
        assert spec["encoding"]["color"]["scale"]["domain"] == ["a", "b", "c"]
        (line,) = (layer for layer in spec["layer"] if layer["mark"]["type"] == "line")
        scale = line["encoding"]["strokeDash"]["scale"]
        assert scale == {"domain": ["a", "b", "c"], "range": [list(dash) for dash in DASHES]}


def test_report_of_a_store_without_results_has_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    sweep = make_sweep(claims=())
    trials = make_trials(sweep, lambda _: None)
    (tmp_path / "a file.yaml").write_text("")
    monkeypatch.chdir(tmp_path)
    text = results_of(sweep, trials).report("a file.yaml")
    assert "24: 0 completed, 0 diverged, 0 failed, 24 missing" in text
    assert "No cell has a selected config yet." in text
    assert "orch report &#39;a file.yaml&#39; --store results" in text


@pytest.mark.parametrize(
    ("epochs", "marked"), [([1], [1]), ([1, 2], [1, 2]), ([1, 60], [10, 20, 30, 40, 50, 60])]
)
def test_a_chart_marks_whole_epochs(epochs: list[int], marked: list[int]):
    points = tuple(Point(epoch, 50.0, 1.0, 3) for epoch in epochs)
    panel = Panel("", "epoch", "accuracy", (Series("", points),))
    spec = chart(Plot("name", "curves", "title", ((panel,),), ()), panel)
    assert spec is not None
    assert spec["encoding"]["x"]["axis"] == {"values": marked, "format": ",d"}


def test_an_error_bar_does_not_have_the_colour_of_its_bar():
    panel = Panel("", "order", "accuracy", (Series("", (Point("swap", 50.0, 1.0, 3),)),))
    spec = chart(Plot("name", "bars", "title", ((panel,),), ()), panel)
    assert spec is not None
    _, rule = spec["layer"]
    assert rule["encoding"]["color"] == {"value": "gray"}


def test_charts_leave_out_what_there_is_nothing_of():
    def series(std: float) -> Plot:
        points = (Point("convention", 50.0, std, 3), Point("swap", math.nan, math.nan, 3))
        panel = Panel("", "order", "accuracy", (Series("tanh", points), Series("relu", ())))
        return Plot("name", "relation", "title", ((panel,),), ())

    def marks(plot: Plot) -> list[str]:
        spec = chart(plot, plot.panels[0][0])
        assert spec is not None
        json.dumps(spec, allow_nan=False)
        return [layer["mark"]["type"] for layer in spec["layer"]]

    assert marks(series(1.5)) == ["area", "line", "point"]
    assert marks(series(math.nan)) == ["line", "point"]
    lone = Panel("", "epoch", "accuracy", (Series("", (Point(1, 50.0, 1.5, 3),)),))
    assert marks(Plot("name", "curves", "title", ((lone,),), ())) == ["rule", "line", "point"]
    empty = Panel("", "order", "accuracy", (Series("relu", ()),))
    assert chart(series(1.0), empty) is None


def test_numbers_of_a_chart_have_no_errors_of_rounding():
    points = (Point(100 * 0.57, 1.0, math.nan, 1), Point(1_234_567.0, 2.0, math.nan, 1))
    panel = Panel("", "test accuracy (%)", "skewness", (Series("", points),))
    content = _drawn(Plot("name", "relation", "title", ((panel,),), ()))
    text = _templates().get_template("figure.html").module.drawn(content)
    assert re.findall("<tr><td></td><td>(.*?)</td>", text) == ["57", "1234567"]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
def test_report_works_in_a_browser(page: Path, tmp_path: Path):
    sync_api = pytest.importorskip("playwright.sync_api")
    heard: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox"],
            timeout=1000 * HANG_SECONDS,
        )
        for scheme, width in (("light", 1200), ("dark", 360)):
            tab = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 800})
            tab.set_default_timeout(1000 * HANG_SECONDS)
            tab.on("console", lambda message: heard.append(message.text))
            tab.on("pageerror", lambda error: heard.append(str(error)))
            tab.on("request", lambda request: heard.append(request.url))
            tab.goto(page.as_uri())
            tab.wait_for_selector("html[data-drawn]")
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
            tab.screenshot(path=tmp_path / f"{scheme}.png", full_page=True)
            _use(tab)
        browser.close()
    assert heard == [page.as_uri()] * 2


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium")
def test_tables_are_sorted_by_their_numbers_and_what_has_none_comes_last():
    sync_api = pytest.importorskip("playwright.sync_api")
    means = [(repr(value), "") for value in (0.5, math.nan, -0.1, 1e-07)]
    texts = [
        (None, text)
        for text in (
            *("0.45 points (one seed)", "—", "-0.3 points", "1,234 of 2,000", "0.15 points"),
            *("-1.2 points", "999 of 2,000", "53.9†"),
        )
    ]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox"],
            timeout=1000 * HANG_SECONDS,
        )
        assert _sorted(browser, means) == ["-0.1", "1e-07", "0.5", "nan"]
        assert _sorted(browser, means, presses=2) == ["0.5", "1e-07", "-0.1", "nan"]
        assert _sorted(browser, texts) == [texts[i][1] for i in (5, 2, 4, 0, 7, 6, 3, 1)]
        browser.close()


def _sorted(browser: Any, cells: list[tuple[str | None, str]], presses: int = 1) -> list[str]:
    """Sort a table of one column in a browser."""
    rows = "".join(
        f"<tr><td>{text}</td></tr>" if value is None else f"<tr><td data-value='{value}'></td></tr>"
        for value, text in cells
    )
    tab = browser.new_page()
    tab.set_content(
        f"<table><thead><tr><th>a</th></tr></thead><tbody>{rows}</tbody></table>"
        f"<script>{SCRIPT}</script>"
    )
    for _ in range(presses):
        tab.locator("th button").click()
    shown = tab.evaluate(
        "[...document.querySelectorAll('td')].map((td) => td.dataset.value ?? td.textContent)"
    )
    tab.close()
    return list(shown)


def _use(tab: Any) -> None:
    """Sort a table by keyboard, show all seeds, and take a series away."""
    table = tab.locator("table", has_text="Selected")
    first = table.locator("tbody tr td").first
    assert first.inner_text() == "convention"
    for expected in ("convention", "swap"):
        table.locator("th button").first.press("Enter")
        assert first.inner_text() == expected
    value = tab.locator("td[data-value]").first
    assert "±" in value.inner_text()
    tab.get_by_label("Show all seeds").check()
    assert value.inner_text().count(",") == 2
    lines = tab.locator(".chart").first.locator("path[aria-roledescription='line mark']")
    assert lines.count() == 2
    tab.get_by_label("swap").first.uncheck()
    tab.wait_for_function(
        "document.querySelector('.chart')"
        ".querySelectorAll(\"path[aria-roledescription='line mark']\").length === 1"
    )
