"""The server of `orch watch`: what it sends, how much it reads, and whom it refuses."""

from __future__ import annotations

import json
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from support import commands
from support.buckets import Bucket
from support.comparing import in_order
from support.finished import write_finished
from support.folder import Folder, environment
from support.storing import Lab, make_sweep, score
from support.toys import TRAINABLE
from support.watching import Page, watching

from orchestrator import load
from orchestrator.labels import unit
from orchestrator.results import Results
from orchestrator.running.heartbeat import Heartbeat, beating
from orchestrator.spec import expand
from orchestrator.store import Store
from orchestrator.store.files import Files
from orchestrator.store.kept import Kept
from orchestrator.watching.curves import thinned
from orchestrator.watching.feed import State
from orchestrator.watching.look import Follower, Look
from orchestrator.watching.updates import Updates


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A folder with a finished sweep, in which a trial failed."""
    path = tmp_path_factory.mktemp("watch")
    (path / "toy.py").write_text(TRAINABLE)
    made = Folder(path, environment())
    faulty = {"when": {"x": 2}, "fixed": {"fault": "raise"}}
    sweep = made.write(seeds=[0], search={}, retries=0, fixed={"epochs": 3, "fault": None})
    text = sweep.read_text() + f"variants: [{json.dumps(faulty)}]\n"
    sweep.write_text(text.replace('"toy"', '"toy"\ndescription: "<b>bold</b>"', 1))
    made.orch("sweep", sweep, "--runner", "inline", code=1)
    return made


@pytest.fixture(scope="module")
def page(folder: Folder) -> Iterator[Page]:
    with watching(folder, "toy.yaml") as served:
        yield served


def test_it_shows_progress_failures_and_their_logs(page: Page) -> None:
    shown = page.shown()
    assert shown["problem"] is None
    progress = shown["progress"]
    assert (progress["done"], progress["trials"], progress["failed"]) == (1, 2, 1)
    assert progress["driver"] == "no driver is running"
    (failure,) = shown["failures"]
    assert failure["name"] == "x=2, seed=0"
    assert failure["error"] == "RuntimeError: this trial always fails"
    log = page.get(f"logs/{failure['id']}")
    assert log.headers["content-type"].startswith("text/plain")
    assert "RuntimeError: this trial always fails" in log.text


def test_it_saves_as_the_report(page: Page, folder: Folder) -> None:
    folder.orch("report", "toy.yaml", "-o", "report.html")
    saved = page.get("report.html")
    assert saved.text == (folder.path / "report.html").read_text()
    assert saved.headers["content-disposition"] == 'attachment; filename="toy.html"'


def test_its_sections_are_those_of_the_report(page: Page) -> None:
    report = page.get("report.html").text
    with page.updates() as updates:
        next(u for u in map(json.loads, updates) if len(u["sections"]) == 5)
    for name in ("summary", "tables", "figures"):
        assert page.get(f"sections/{name}").text in report
    cells = page.get("sections/cells").text
    assert "<td>1</td><td>1 of 1</td><td>1 of 1</td>" in cells


def test_what_the_sweep_says_is_text(page: Page) -> None:
    assert "&lt;b&gt;bold&lt;/b&gt;" in page.get().text


@pytest.mark.parametrize(
    ("headers", "status", "words"),
    [
        ({"Host": "evil.example"}, 403, "at 127.0.0.1 alone"),
        ({"Host": "127.0.0.1.evil.example"}, 403, "at 127.0.0.1 alone"),
        ({"Origin": "https://evil.example"}, 403, "answers no other page"),
        ({"Origin": "http://127.0.0.1:1"}, 403, "answers no other page"),
        ({"Origin": "null"}, 403, "answers no other page"),
        ({"method": "POST"}, 405, "can only be read"),
        ({"method": "DELETE"}, 405, "can only be read"),
    ],
)
def test_it_refuses_other_hosts_pages_and_methods(
    page: Page, headers: Any, status: int, words: str
) -> None:
    answer = page.get("updates", **headers)
    assert (answer.status, words in answer.text) == (status, True)


@pytest.mark.parametrize("path", ["", "updates", "report.html", "logs/0123456789abcdef"])
def test_without_its_token_it_says_nothing_of_the_sweep(page: Page, path: str) -> None:
    root, _, token = page.url.rstrip("/").rpartition("/")
    assert len(token) >= 40
    for wrong in ("", "x", token[:-1], token.swapcase()):
        answer = Page(f"{root}/{wrong}/", page.process).get(path)
        assert answer.status == 404
        assert "open the one that `orch watch` has printed" in answer.text


@pytest.mark.parametrize("path", ["logs/..%2f..%2fsweep.yaml", "logs/toy", "nothing", "sections/x"])
def test_it_gives_nothing_but_its_own_pages(page: Page, path: str) -> None:
    assert page.get(path).status == 404


def test_every_answer_may_be_neither_kept_nor_framed_nor_given_on(page: Page) -> None:
    for path in ("", "report.css", "watch.js", "report.html", "nothing"):
        headers = page.get(path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "connect-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy


def test_a_port_in_use_is_said_in_one_line(folder: Folder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = commands.orch(folder.path, "watch", "toy.yaml", "--port", port)
    assert done.exit_code == 2
    assert done.stderr == (
        f"error: port {port} of 127.0.0.1 is in use; choose another, or leave out --port for a "
        "free one\n"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_words_also_while_it_is_looked_at(
    folder: Folder, number: signal.Signals
) -> None:
    with watching(folder, "toy.yaml") as served, served.updates() as updates:
        next(updates)
        assert served.end(number) == 128 + number
    said = (folder.path / "watch.log").read_text()
    assert said.endswith("the page has ended; the sweep is not affected\n")
    assert "Traceback" not in said


def test_it_waits_for_a_sweep_that_has_not_started(folder: Folder) -> None:
    later = folder.write("later", search={}, seeds=[0])
    with watching(folder, later) as served, served.updates() as updates:
        first = next(u for u in map(json.loads, updates) if u["problem"])
        assert "no store of `later`" in first["problem"]
        assert served.get("report.html").status == 404
        folder.orch("sweep", later, "--runner", "inline")
        done = next(u for u in map(json.loads, updates) if u.get("progress", {}).get("done") == 2)
        assert done["problem"] is None


def test_it_reads_a_bucket(folder: Folder, s3: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.path)
    write_finished(Store(f"{s3.address}/toy"), load(folder.path / "toy.yaml"))
    with watching(folder, "toy.yaml", "--store", s3.address, **s3.environment) as served:
        assert served.shown()["progress"]["done"] == 2
        assert "2 completed" in served.get("report.html").text


@pytest.mark.slow
def test_an_update_is_as_large_with_10000_finished_trials_as_with_100(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.path)
    sizes = []
    for count in (100, 10_000):
        name = f"n{count}"
        file = folder.write(name, seeds=[0], factors={"x": [1]}, search={"lr": list(range(count))})
        write_finished(Store(str(folder.path / "results" / name)), load(file))
        with watching(folder, file) as served, served.updates() as updates:
            whole = next(u for u in updates if len(json.loads(u)["sections"]) == 5)
        assert json.loads(whole)["progress"]["done"] == count
        sizes.append(len(whole))
    assert sizes[1] - sizes[0] < 10


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count how often each file is read."""
    counts: Counter[str] = Counter()
    for name in ("read", "open"):
        original = getattr(Files, name)

        def counted(files: Files, target: str, original: Any = original) -> Any:
            counts[target] += 1
            return original(files, target)

        monkeypatch.setattr(Files, name, counted)
    return counts


@pytest.mark.parametrize("finished", [2, 20])
def test_a_look_reads_only_the_trials_that_have_ended_since(
    lab: Lab, reads: Counter[str], finished: int
) -> None:
    sweep = make_sweep(seeds=tuple(range(20)))
    trials = expand(sweep)
    lab.prepare(sweep)
    lab.commit(sweep, *trials[:finished])
    follower = Follower(Results(sweep, lab.store))
    follower.look()
    follower.read().trials  # noqa: B018
    reads.clear()
    follower.look()
    assert not [name for name in reads if name.startswith("trials/")]
    lab.commit(sweep, trials[finished])
    reads.clear()
    assert follower.look().facts["progress"]["done"] == finished + 1
    results = follower.read()
    assert len(results.trials) == len(results.epochs) / 3 == finished + 1
    singles = [name for name in reads if name.startswith("trials/") and "schema" not in name]
    assert singles == [f"trials/{trials[finished].trial_id}.parquet"]
    reads.clear()
    assert len(follower.read().epochs) == 3 * (finished + 1)
    assert not [name for name in reads if name.startswith("epochs/") and "schema" not in name]


def test_a_look_finds_what_a_new_reader_finds_whatever_a_driver_does(lab: Lab) -> None:
    sweep = make_sweep(seeds=(0, 1, 2))
    trials = expand(sweep)
    kept = Kept()

    def check() -> None:
        looks = lab.store.snapshot(), lab.store.snapshot(kept)
        for table in ("trials", "epochs", "probes"):
            fresh, later = (in_order(getattr(look, table)()) for look in looks)
            pd.testing.assert_frame_equal(later, fresh, check_categorical=False)

    lab.prepare(sweep)
    lab.commit(sweep, *trials[:3])
    check()
    lab.fail(sweep, trials[3])
    check()
    lab.prepare(sweep)  # merges
    check()
    lab.commit(sweep, *trials[4:6])
    check()
    lab.prepare(sweep, {trials[0].trial_id, trials[3].trial_id})  # drops rows
    check()
    lab.commit(sweep, trials[0], digest="another")
    lab.save(sweep, trials[1])
    check()


def test_a_running_trial_is_shown_with_the_epochs_that_it_has_saved(lab: Lab) -> None:
    sweep = make_sweep()
    trial = expand(sweep)[0]
    lab.prepare(sweep)
    lab.save(sweep, trial)
    follower = Follower(Results(sweep, lab.store))
    before = follower.look()
    assert before.facts["running"] == []
    assert before.facts["progress"]["interrupted"] == 1
    beat = Heartbeat({trial.trial_id: 1}, seconds_left=60.0, quiet={trial.trial_id: 120.0})
    with beating(lab.store, lambda: beat):
        look = follower.look()
    assert look.facts["progress"]["left"] == "about 1 min left"
    (shown,) = look.facts["running"]
    assert shown["name"] == "x=1, kind=a, seed=0"
    assert shown["epoch"] == 2  # of the checkpoint, which is newer than what the driver says
    assert shown["quiet"] == "quiet for 2 min: does it hang?"
    assert [epoch for epoch, _ in look.curves[trial.trial_id]] == [1, 2]
    assert shown["value"] == unit("score").text(score(trial.trial_id, 2))


def _state(*points: tuple[int, float | None]) -> State:
    return State(Look({}, {"a": list(points)}))


def test_of_a_curve_only_new_points_are_sent() -> None:
    updates = Updates()

    def sent(state: State) -> Any:
        text = updates.next(state)
        return None if text is None else json.loads(text)["curves"]

    first = _state((1, 0.5))
    assert sent(first) == {"a": {"from": 0, "points": [[1, 0.5]]}}
    assert sent(first) is None
    assert sent(_state((1, 0.5), (2, None))) == {"a": {"from": 1, "points": [[2, None]]}}
    assert sent(_state((1, 0.5), (2, None))) == {}
    assert sent(_state((1, 0.25))) == {"a": {"from": 0, "points": [[1, 0.25]]}}


@pytest.mark.parametrize("length", [0, 1, 499, 500, 501, 1000, 12_345])
def test_a_long_curve_is_thinned_and_keeps_its_ends(length: int) -> None:
    curve = [(epoch, 0.0) for epoch in range(1, length + 1)]
    thin = thinned(curve)
    assert len(thin) <= 501
    assert thin[:1] == curve[:1]
    assert thin[-1:] == curve[-1:]
    assert length > 500 or thin == curve
