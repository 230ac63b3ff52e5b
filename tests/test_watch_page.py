"""The page of `orch watch` in a browser, while a sweep runs under it and things go wrong."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.folder import Folder, environment
from support.toys import TRAINABLE
from support.waiting import HANG_SECONDS, Process
from support.watching import watching

sync_api = pytest.importorskip("playwright.sync_api")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("chromium"), reason="needs chromium"),
]

HOSTILE = "<img src=x onerror=alert(1)>"
INLINE = ("--runner", "inline")
FAULTS = [
    {"when": {"x": 1}, "fixed": {"fault": "raise"}},
    {"when": {"x": 3}, "fixed": {"fault": "wait"}},
]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "toy.py").write_text(TRAINABLE)
    return Folder(tmp_path, environment())


@pytest.fixture
def sweep(folder: Folder) -> Path:
    """A sweep whose first trial fails, whose second completes, and whose third waits."""
    return folder.write(
        description=HOSTILE,
        seeds=[0],
        factors={"x": [1, 2, 3]},
        search={"kind": [HOSTILE]},
        fixed={"epochs": 3, "fault": None, "marks": str(folder.path)},
        variants=FAULTS,
        retries=0,
        claims=[
            {"name": "grows", "compare": {"x": [3, 2]}, "metric": "score", "expect": "greater"}
        ],
    )


class Tabs:
    """Tabs of a browser, and what went wrong in them."""

    def __init__(self, browser: Any) -> None:
        self._browser = browser
        self.wrong: list[str] = []
        self.asked: list[str] = []

    def open(self, url: str, **settings: Any) -> Any:
        tab = self._browser.new_page(**settings)
        tab.set_default_timeout(1000 * HANG_SECONDS)
        tab.on("console", lambda message: self.wrong.append(message.text))
        tab.on("pageerror", lambda error: self.wrong.append(str(error)))
        tab.on("dialog", lambda dialog: self.wrong.append(dialog.message))
        tab.on("request", lambda request: self.asked.append(request.url))
        tab.goto(url)
        return tab


@pytest.fixture
def tabs() -> Iterator[Tabs]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox"],
            timeout=1000 * HANG_SECONDS,
        )
        yield Tabs(browser)
        browser.close()


def shows(tab: Any, selector: str, text: str) -> None:
    """Wait until something on the page has a text."""
    tab.wait_for_function(
        "([selector, text]) => [...document.querySelectorAll(selector)]"
        ".some((each) => !each.hidden && each.textContent.includes(text))",
        arg=[selector, text],
    )


@contextlib.contextmanager
def running(folder: Folder, sweep: Path, *options: str) -> Iterator[Process]:
    """Run a sweep, which does not outlive the block."""
    process = folder.start("sweep", sweep, "--keep-going", *options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def let_go(folder: Folder, process: Process) -> None:
    """Let the third trial go on to its end, and the sweep with it."""
    (folder.path / "gate").touch()
    assert process.wait(HANG_SECONDS) == 1


def test_it_follows_a_sweep_from_before_its_start_to_its_end_in_every_tab(
    folder: Folder, sweep: Path, tabs: Tabs, tmp_path: Path
) -> None:
    with watching(folder, sweep) as page:
        wide = tabs.open(page.url, viewport={"width": 1200, "height": 800})
        narrow = tabs.open(page.url, viewport={"width": 360, "height": 800}, color_scheme="dark")
        shows(wide, "#problem", "no store of `toy`")
        with running(folder, sweep, *INLINE) as process:
            for tab in (wide, narrow):
                shows(tab, "#counts", "1 of 3 trials done, 1 running, 1 failed")
                shows(tab, "#driver", "driven by process")
                shows(tab, ".trial", f"x=3, kind={HOSTILE}, seed=0")
                shows(tab, ".trial", "epoch 1, score")
                tab.wait_for_selector(".trial polyline", state="attached")
                shows(tab, "#failures td", "RuntimeError: this trial always fails")
                shows(tab, "#part-summary", "1 completed, 0 diverged, 1 failed, 1 missing")
                tab.wait_for_selector("#part-figures .chart svg")
            wide.get_by_label("Show all seeds").check()
            wide.get_by_text("Numbers").first.click()
            wide.locator("#part-cells th button").first.press("Enter")
            with wide.expect_popup() as opened:
                wide.locator("#failures a").click()
            shows(opened.value, "body", "RuntimeError: this trial always fails")
            let_go(folder, process)
        for tab in (wide, narrow):
            shows(tab, "#counts", "2 of 3 trials done, 0 running, 1 failed")
            shows(tab, "#driver", "no driver is running")
            shows(tab, "#idle", "No trial is running.")
            shows(tab, "#part-summary", "2 completed, 0 diverged, 1 failed, 0 missing")
            shows(tab, "#part-cells td", "1 of 1")
            shows(tab, "#part-claims td", "grows")
            width = tab.viewport_size["width"]
            assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert wide.get_by_label("Show all seeds").is_checked()
        wide.wait_for_selector("#part-figures details[open]")
        wide.wait_for_selector("#part-cells th[aria-sort=ascending]")
        assert wide.title() == "2/3 toy"
        with wide.expect_download() as saved:
            wide.get_by_text("Save as report").click()
        saved.value.save_as(tmp_path / "saved.html")
        folder.orch("report", sweep, "-o", tmp_path / "report.html")
        assert (tmp_path / "saved.html").read_bytes() == (tmp_path / "report.html").read_bytes()
        assert tabs.wrong == []
        assert all(url.startswith((page.url, "data:")) for url in tabs.asked)


def test_what_it_showed_stays_when_the_store_or_the_server_goes(
    folder: Folder, sweep: Path, tabs: Tabs
) -> None:
    with running(folder, sweep, *INLINE) as process, watching(folder, sweep) as page:
        tab = tabs.open(page.url)
        shows(tab, "#counts", "1 of 3 trials done, 1 running, 1 failed")
        shows(tab, "#part-summary", "1 completed")
        let_go(folder, process)
        shows(tab, "#counts", "2 of 3 trials done")
        shows(tab, "#part-summary", "2 completed")
        store = folder.path / "results/toy"
        store.rename(folder.path / "elsewhere")
        shows(tab, "#problem", "no store of `toy`")
        shows(tab, "#problem", "What stands below is as of")
        shows(tab, "#counts", "2 of 3 trials done")
        (folder.path / "elsewhere").rename(store)
        tab.wait_for_selector("#problem", state="hidden")
        assert tabs.wrong == []
        page.end()
        shows(tab, "#problem", "The connection to `orch watch` is lost")
        shows(tab, "#counts", "2 of 3 trials done")
        shows(tab, "#part-summary", "2 completed")


def test_a_driver_that_dies_is_no_longer_named(folder: Folder, sweep: Path, tabs: Tabs) -> None:
    with running(folder, sweep, *INLINE) as process, watching(folder, sweep) as page:
        tab = tabs.open(page.url)
        shows(tab, ".trial", "epoch 1")
        process.kill()
        process.wait()
        shows(tab, "#driver", "no driver is running")
        shows(tab, "#counts", "1 of 3 trials done, 0 running, 1 failed, 1 interrupted")


def test_it_follows_trials_on_ray(folder: Folder, tabs: Tabs) -> None:
    sweep = folder.write(search={}, fixed={"epochs": 3, "fault": "wait", "marks": str(folder.path)})
    with running(folder, sweep) as process, watching(folder, sweep) as page:
        tab = tabs.open(page.url)
        shows(tab, ".trial", "epoch 1")
        (folder.path / "gate").touch()
        assert process.wait(HANG_SECONDS) == 0
        shows(tab, "#counts", "4 of 4 trials done, 0 running")
    assert json.loads(folder.orch("status", sweep, "--json").stdout)["done"] == 4
