"""What `orch watch` costs on a store of 10,000 finished trials, in Chromium and in bytes.

The store is that of Store: 10,000 trials x 200 epochs x 3 probes x 8 layers. First paint is timed
from the request of the address, on a server that has just started, until the page says how many
trials are done; the server renders the other sections meanwhile. An update is a look at the store
after a trial has ended, what it sends, and what the page makes of it.
"""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from time import perf_counter
from typing import Any

from benchmarks import _big_store as big
from benchmarks import left_out
from benchmarks._measure import REPEATS, Record, absolute, at_most, main, ratio
from benchmarks._sweeps import Folder, folder
from orchestrator.results import Results
from orchestrator.spec.loading import load
from orchestrator.store import Store, Writer
from orchestrator.store.schema import Layout
from orchestrator.watching.feed import State
from orchestrator.watching.look import Follower
from orchestrator.watching.updates import Updates

FEW = 100


@contextlib.contextmanager
def served(here: Folder, name: str) -> Iterator[str]:
    """Serve the page of a sweep, and yield its address."""
    with subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "watch", f"{name}.yaml"],
        cwd=here.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield next(iter(process.stdout or ())).strip()
        finally:
            process.kill()


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """Start the browser."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        left_out("it needs playwright")
    if (path := shutil.which("chromium")) is None:
        left_out("it needs chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


KEEP_SOURCE = """
window.EventSource = class extends EventSource {
  constructor(url) { super(url); window.source = this; }
}
"""
SHOW = """text => {
  const started = performance.now();
  source.dispatchEvent(new MessageEvent("message", {data: text}));
  document.body.offsetHeight;  // has the browser lay the page out
  return (performance.now() - started) / 1000;
}"""


@contextlib.contextmanager
def opened(browser: Any, here: Folder, name: str) -> Iterator[Any]:
    """Open the page in a tab whose source of updates others can reach, too."""
    with served(here, name) as url:
        tab = browser.new_page()
        tab.add_init_script(KEEP_SOURCE)
        tab.goto(url)
        yield tab
        tab.close()


def first_paint(browser: Any, here: Folder, name: str) -> float:
    """Time a page until it says how far the sweep is."""
    with served(here, name) as url:
        tab = browser.new_page()
        started = perf_counter()
        tab.goto(url, wait_until="commit")
        tab.wait_for_function("document.getElementById('counts')?.textContent.includes(' done')")
        seconds = perf_counter() - started
        tab.close()
    return seconds


class Followed:
    """A store in which trials end, and a page that follows it."""

    def __init__(self, here: Folder, name: str) -> None:
        self._sweep = load(here.path / f"{name}.yaml")
        self._store = Store(str(here.path / "results" / name))
        self._follower = Follower(Results(self._sweep, self._store))
        self._updates = Updates()
        self._rows = self._store.snapshot().rows
        self._next = 0
        self.update()

    def update(self) -> str:
        """Look, and write what is sent."""
        return self._updates.next(State(self._follower.look())) or ""

    def end_a_trial(self) -> None:
        """Commit a trial, as a worker does; it is one that was there already."""
        (row,) = self._rows.slice(self._next, 1).to_pylist()
        self._next += 1
        layout = self._store.layout() or Layout.of(self._sweep)
        epochs, probes = (layout.schema(name).empty_table() for name in ("epochs", "probes"))
        Writer(self._store).commit(row, epochs, probes, layout)


def updates(followed: Followed, tab: Any) -> tuple[list[float], int]:
    """Time updates, and count the bytes of the last one."""
    seconds = []
    for _ in range(REPEATS):
        followed.end_a_trial()
        started = perf_counter()
        text = followed.update()
        seconds.append(perf_counter() - started + tab.evaluate(SHOW, text))
    return seconds, len(text)


def benchmark() -> Iterator[Record]:
    """Measure the large store, and a small one beside it."""
    with folder() as here, chromium() as browser:
        big.make(here, "large")
        here.orch("sweep", here.write("few", search={"y": list(range(FEW))}), "--runner", "inline")
        paints = [first_paint(browser, here, "large") for _ in range(REPEATS)]
        with opened(browser, here, "large") as tab:
            seconds, many = updates(Followed(here, "large"), tab)
        with opened(browser, here, "few") as tab:
            _, few = updates(Followed(here, "few"), tab)
    yield absolute("first paint with progress", paints, "s", at_most(2))
    yield absolute("update", [1000 * s for s in seconds], "ms", at_most(200))
    claim = f"an update with 10,000 finished trials against {FEW}"
    yield ratio(claim, [many], [few], "bytes", at_most(1.1))


if __name__ == "__main__":
    main(benchmark)
