"""Sweeps into a bucket on a real S3 server: Ray's workers, kills, two drivers, and words."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from pyarrow import fs
from support.buckets import ACCESS, SECRET, Bucket, ask
from support.comparing import VOLATILE, assert_same, in_order
from support.finished import write_finished
from support.folder import Folder
from support.unreliable import Flaky, flaky
from support.waiting import HANG_SECONDS, Process, until

from orchestrator import load, open_store
from orchestrator.store import Store

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Remote:
    """A working folder whose sweeps go to a bucket, through a proxy that counts."""

    folder: Folder
    root: str
    proxy: Flaky

    def orch(self, command: str, sweep: Path, *more: object, code: int = 0) -> str:
        """Run a command on the bucket's store; return what it printed and said."""
        done = self.folder.process(command, sweep, "--store", self.root, *more, code=code)
        assert "Traceback" not in done.stderr
        assert SECRET not in done.stdout + done.stderr
        return done.stdout + done.stderr

    def start(self, sweep: Path, *more: object) -> Process:
        return self.folder.start("sweep", sweep, "--store", self.root, *more)

    @property
    def store(self) -> Store:
        return Store(f"{self.root}/toy")

    def assert_as_local(self, sweep: Path) -> None:
        """Compare every number with those of a sweep on a disk."""
        self.folder.process("sweep", sweep, "--runner", "inline", "--store", "local")
        found = self.store.snapshot()
        here = {t: in_order(getattr(found, t)()) for t in ("trials", "epochs", "probes")}
        assert_same(here, self.folder.numbers(root="local"))


@pytest.fixture
def remote(folder: Folder, s3: Bucket) -> Iterator[Remote]:
    with flaky(s3.server) as proxy:
        environment = folder.environment | s3.behind(proxy.url)
        yield Remote(Folder(folder.path, environment), f"{s3.address}/lab/runs", proxy)


def gated(remote: Remote, **keys: Any) -> Path:
    """Write a sweep whose trials wait after their first epoch until the gate is open."""
    fixed = {"epochs": 3, "fault": "wait", "marks": str(remote.folder.path)}
    return remote.folder.write(fixed=fixed, search={}, **keys)


def open_gate(remote: Remote) -> None:
    (remote.folder.path / "gate").touch()


def test_a_sweep_into_a_bucket_is_one_into_a_folder(remote: Remote) -> None:
    sweep = remote.folder.write()
    said = remote.orch("sweep", sweep)
    assert "8 of 8 trials done" in said
    remote.assert_as_local(sweep)
    assert "all 8 trials are already done" in remote.orch("sweep", sweep)
    planned = remote.folder.process("plan", sweep, "--json", "--store", remote.root).stdout
    assert json.loads(planned)["done"] == len(remote.store.snapshot().trials())
    assert "8 of 8 trials done" in remote.orch("status", sweep)
    local = remote.folder.process("table", sweep, "--store", "local").stdout
    assert remote.folder.process("table", sweep, "--store", remote.root).stdout == local
    remote.orch("report", sweep, "-o", "page.html")
    assert set(open_store(f"{remote.root}/toy").best()["x"]) == {1, 2}
    smaller = remote.folder.write(factors={"x": [1]})
    assert "4 trials moved to" in remote.orch("prune", smaller)
    assert len(remote.store.snapshot().trials()) == 4
    assert len(Store(f"{remote.root}/toy/retired").snapshot().trials()) == 4
    assert_no_secret(remote)


def assert_no_secret(remote: Remote) -> None:
    """Look into every object of the bucket, and every file here."""
    files = remote.store.files
    found = files.fs.get_file_info(fs.FileSelector(files.root, recursive=True))
    objects = [info.path for info in found if info.type == fs.FileType.File]
    assert len(objects) > 10
    contents = [files.fs.open_input_file(path).read() for path in objects]
    contents += [path.read_bytes() for path in remote.folder.path.rglob("*") if path.is_file()]
    for content in contents:
        assert SECRET.encode() not in content
        assert ACCESS.encode() not in content


def test_a_sweep_through_a_bad_connection_ends_complete(remote: Remote) -> None:
    remote.proxy.one_in = 5
    remote.proxy.faults = ("500", "503", "dropped", "answer lost", "cut short")
    sweep = remote.folder.write()
    remote.orch("sweep", sweep)
    assert len(remote.proxy.dealt) > 30
    remote.proxy.one_in = 0
    trials = remote.store.snapshot().trials()
    assert set(trials["status"]) == {"completed"}
    assert set(trials["attempts"]) == {1}
    remote.assert_as_local(sweep)


def test_requests_per_trial_do_not_grow_with_the_store(remote: Remote) -> None:
    """Shared folders are listed per run; a trial lists its own at its start and end."""
    counts = []
    for seeds in ([0, 1], list(range(2, 22))):
        sweep = remote.folder.write(seeds=seeds, search={})
        remote.proxy.requests.clear()
        remote.orch("sweep", sweep, "--runner", "inline")
        listed = [
            p for _, p in remote.proxy.requests if "list-type" in p and "max-keys=1&" not in p
        ]
        own = [p for p in listed if re.search("prefix=[^&]*checkpoints%2F[0-9a-f]{16}", p)]
        trials = len(seeds) * 2
        assert len(own) <= 2 * trials
        below = [p for p in listed if "delimiter=%2F" not in p]
        of_artifacts = [p for p in below if "artifacts" in p]
        assert len(of_artifacts) == 1, "once a run"
        assert all("checkpoints" in p for p in below if p not in of_artifacts), (
            "only they and checkpoints are listed with what is below"
        )
        others = [p for _, p in remote.proxy.requests if ".driver.json" not in p]
        counts.append((len(listed) - len(own), (len(others) - len(listed)) / trials))
    (few, _), (many, each) = counts
    assert many <= few + 3
    assert each < 90  # three saves, of which each writes four files and deletes two


def test_requests_of_a_command_are_as_many_for_ten_thousand_trials_as_for_ten(
    folder: Folder, s3: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.path)
    tables = [{"name": "both", "rows": ["x"], "values": ["score", "probe:chance"]}]
    counts: list[dict[str, int]] = []
    with flaky(s3.server) as proxy:
        remote = Folder(folder.path, folder.environment | s3.behind(proxy.url))
        for trials in (10, 10_000):
            root = f"{s3.address}/{trials}"
            seeds = list(range(trials // 2))
            sweep = remote.write(seeds=seeds, search={}, tables=tables)
            write_finished(Store(f"{root}/toy"), load(sweep))
            remote.orch("sweep", sweep, "--store", root)  # reads all through, once
            counts.append({})
            for command in ("status", "plan", "table", "sweep"):
                proxy.requests.clear()
                remote.orch(command, sweep, "--store", root)
                counts[-1][command] = len(proxy.requests)
    few, many = counts
    assert few == many
    assert max(few.values()) < 60


def worker_of(remote: Remote, trial_id: str) -> int:
    """Find in a trial's log, which may come after its first checkpoint, the trial's process."""

    def processes() -> list[str]:
        log = (remote.store.files.read(f"logs/{trial_id}.log") or b"").decode()
        return re.findall(r"process (\d+)", log)

    (pid,) = until(processes, what=f"the log of {trial_id}")
    return int(pid)


def test_a_killed_worker_goes_on_from_its_checkpoint_in_the_bucket(remote: Remote) -> None:
    sweep = gated(remote)
    driver = remote.start(sweep)
    until(lambda: len(remote.store.snapshot().checkpoint_ids) >= 2, driver)
    trial_id = remote.store.snapshot().checkpoint_ids[0]
    os.kill(worker_of(remote, trial_id), signal.SIGKILL)
    open_gate(remote)
    assert driver.wait(HANG_SECONDS) == 0
    trials = remote.store.snapshot().trials().set_index("trial_id")
    assert trials["attempts"][trial_id] == 2
    log = (remote.store.files.read(f"logs/{trial_id}.log") or b"").decode()
    assert "from the start" in log
    assert "attempt 2" in log
    assert "from epoch 2" in log
    remote.assert_as_local(sweep)


def test_a_killed_driver_is_followed_by_one_that_goes_on(remote: Remote) -> None:
    sweep = gated(remote)
    driver = remote.start(sweep)
    until(lambda: len(remote.store.snapshot().checkpoint_ids) >= 2, driver)
    workers = [worker_of(remote, trial_id) for trial_id in remote.store.snapshot().checkpoint_ids]
    driver.kill()
    driver.wait()
    # Else they would still commit their trials.
    until(lambda: not any(map(psutil.pid_exists, workers)), what="the end of all workers")
    assert "interrupted" in remote.orch("status", sweep)
    open_gate(remote)
    remote.orch("sweep", sweep)
    logs = [
        remote.store.files.read(f"logs/{i}.log")
        for i in remote.store.snapshot().trials()["trial_id"]
    ]
    assert sum(b"from epoch 2" in (log or b"") for log in logs) >= 2
    assert remote.store.snapshot().checkpoint_ids == []
    remote.assert_as_local(sweep)


def test_two_drivers_at_once_do_no_harm(remote: Remote) -> None:
    sweep = gated(remote)
    first = remote.start(sweep, "--runner", "inline")
    until(lambda: remote.store.snapshot().checkpoint_ids, first)
    second = remote.start(sweep, "--runner", "inline")
    until((remote.folder.path / f"waiting-{second.pid}").exists, second)
    open_gate(remote)
    ends = first.wait(HANG_SECONDS), second.wait(HANG_SECONDS)
    assert ends == (0, 0), remote.folder.said.read_text()
    remote.assert_as_local(sweep)
    assert len(remote.store.snapshot().trials()) == 4
    remote.orch("sweep", sweep)
    assert len(remote.store.files.names("trials")) == 2


def test_the_traceback_of_a_failed_trial_is_in_the_bucket(remote: Remote) -> None:
    fixed = {"epochs": 3, "fault": "raise", "marks": str(remote.folder.path)}
    sweep = remote.folder.write(fixed=fixed, factors={"x": [1]}, search={}, seeds=[0], retries=1)
    said = remote.orch("sweep", sweep, code=1)
    (trial_id,) = remote.store.snapshot().trials()["trial_id"]
    name = f"logs/{trial_id}.log"
    assert f"{remote.root}/toy/{name}" in said.replace("\n", "")
    log = (remote.store.files.read(name) or b"").decode()
    assert log.count("RuntimeError: this trial always fails") == 2
    assert log.count("Traceback") == 2
    assert list(remote.store.snapshot().trials()["error"]) == [
        "RuntimeError: this trial always fails"
    ]


@pytest.mark.parametrize("command", ["sweep", "status", "prune"])
def test_what_is_wrong_with_a_bucket_is_one_line(command: str, remote: Remote) -> None:
    sweep = remote.folder.write()
    with_secret = f"s3://{ACCESS}:{SECRET}@bucket/runs"
    without_bucket = remote.root.replace("/lab/", "-not/")
    for root in (without_bucket, with_secret):
        done = remote.folder.process(command, sweep, "--store", root, code=2)
        (line,) = done.stderr.strip().splitlines()
        assert line.startswith("error: ")
        assert done.stdout == ""
        assert SECRET not in line
        assert ACCESS not in line


def test_refused_credentials_and_lost_endpoints_are_one_line(
    remote: Remote, s3_server: str
) -> None:
    sweep = remote.folder.write()
    ask(f"http://{s3_server}/moto-api/reset-auth", "POST", b"0")
    try:
        said = remote.orch("sweep", sweep, code=2)
    finally:
        ask(f"http://{s3_server}/moto-api/reset-auth", "POST", b"inf")
    assert re.fullmatch(r"error: s3://\S+: access is refused; set credentials .*\n", said)
    lost = Folder(
        remote.folder.path,
        remote.folder.environment | {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
    )
    done = lost.process("status", sweep, "--store", remote.root, code=2)
    assert re.fullmatch(r"error: s3://\S+: it cannot be reached; .*\n", done.stderr)


def test_a_finished_trial_is_reused_from_a_store_beside_it_in_the_bucket(remote: Remote) -> None:
    remote.orch("sweep", remote.folder.write(), "--runner", "inline")
    other = remote.folder.write(name="other", seeds=[0, 1, 2])
    remote.orch("sweep", other, "--runner", "inline")
    trials = open_store(f"{remote.root}/other").trials
    assert trials["reused_from"].eq("toy").sum() == 8
    assert len(trials) == 12
    assert set(VOLATILE) <= set(trials.columns)
