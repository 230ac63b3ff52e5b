"""A cluster of two hosts comes up, runs sweeps while things die, and goes down.

The tests run in the order of this file, on one cluster. Their measurements go into
docs/cluster.md and docs/reliability.md, but no test depends on them.
"""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from support.cluster_runs import CHECKPOINT_EVERY, EPOCHS, TRIALS, Run
from support.comparing import assert_same, numbers
from support.lab import LAPTOP_ORCH, Host, Lab
from support.measured import rewrite
from support.waiting import HANG_SECONDS, until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(6 * HANG_SECONDS)]

CUT_SECONDS = 30
QUICKSTART = ("sweeps/quickstart.yaml", "--cluster", "lab.yaml")


@dataclass(frozen=True)
class Row:
    """A line of the table in docs/reliability.md."""

    fault: str
    noticed: float
    """Seconds until the driver, or the command that follows it, reports the fault."""
    interrupted: int
    lost: int
    seconds: float
    """From the start of the sweep to its end, over all commands."""


@pytest.fixture(scope="module")
def rows() -> Iterator[list[Row]]:
    """Collect a row per fault, and write the table once all faults are survived."""
    found: list[Row] = []
    yield found
    if {row.fault for row in found} == set(FAULTS) | {"none"}:
        rewrite("reliability.md", _table(found))


def _table(rows: list[Row]) -> str:
    lines = [
        "| fault | noticed after | trials interrupted | epochs lost | whole sweep |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        noticed = "" if row.fault == "none" else f"{row.noticed:.1f} s"
        lines.append(
            f"| {row.fault} | {noticed} | {row.interrupted} | {row.lost} | {row.seconds:.0f} s |"
        )
    return "\n".join(lines)


def test_the_dashboard_asks_for_the_token_and_listens_on_loopback_alone(cluster: Lab) -> None:
    head = cluster.hosts[0]
    token = (cluster.home / ".ray/auth_token").read_text()
    assert (cluster.home / ".ray/auth_token").stat().st_mode & 0o777 == 0o600
    for path in ("/api/jobs/", "/api/cluster_status", "/nodes?view=summary"):
        assert _status(head.name, f"http://127.0.0.1:8265{path}") == "401"
        assert _status(head.name, f"http://127.0.0.1:8265{path}", "wrong") == "403"
    assert _status(head.name, "http://127.0.0.1:8265/api/jobs/", token) == "200"
    assert _status("laptop", f"http://{head.address}:8265/api/jobs/", token) == "refused"


def _status(where: str, url: str, token: str | None = None) -> str:
    """Request a URL from one of the machines and return the HTTP status."""
    program = (
        "import sys, urllib.error, urllib.request\n"
        "headers = {'Authorization': 'Bearer ' + sys.argv[2]} if sys.argv[2] else {}\n"
        "try:\n"
        "    print(urllib.request.urlopen(urllib.request.Request(sys.argv[1], headers=headers),"
        " timeout=10).status)\n"
        "except urllib.error.HTTPError as error:\n"
        "    print(error.code)\n"
        "except urllib.error.URLError as error:\n"
        "    print('refused' if isinstance(error.reason, ConnectionRefusedError) else error)\n"
    )
    command = ["ip", "netns", "exec", where, LAPTOP_ORCH[0], "-c", program, url, token or ""]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_token_is_in_no_file_that_a_sweep_leaves(cluster: Lab, calm: Path) -> None:
    token = (cluster.home / ".ray/auth_token").read_bytes()
    assert [path for path in calm.rglob("*") if path.is_file() and token in path.read_bytes()] == []


def test_a_sweep_is_started_followed_and_looked_at_from_afar(
    cluster: Lab, transcript: list[str]
) -> None:
    detached = _noted(transcript, cluster, "sweep", *QUICKSTART, "--detach")
    assert "to follow it: orch logs sweeps/quickstart.yaml --cluster lab.yaml" in detached
    assert "24 of 24 trials done" in _noted(transcript, cluster, "logs", *QUICKSTART)
    assert "24 of 24 trials done" in _noted(transcript, cluster, "status", *QUICKSTART)
    trials = pd.read_parquet(cluster.store / "quickstart/trials")
    assert len(trials) == 24
    log = cluster.orch("logs", QUICKSTART[0], trials["trial_id"][0], *QUICKSTART[1:])
    assert "attempt 1, process" in log


def test_the_page_of_a_sweep_comes_from_the_head_and_ends_with_the_command(cluster: Lab) -> None:
    head = cluster.hosts[0]
    with cluster.start(*LAPTOP_ORCH, "watch", *QUICKSTART) as watch:
        assert watch.stdout is not None
        url = watch.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{40,}/", url), url + watch.stdout.read()
        assert head.processes("orchestrator watch")
        assert "24 completed" in _read("laptop", f"{url}report.html")
        watch.send_signal(signal.SIGINT)
        assert "the page has ended" in watch.stdout.read()
    assert watch.returncode == 130
    until(lambda: not head.processes("orchestrator watch"), what="the end of the page on the head")


def _read(where: str, url: str) -> str:
    """Read a page on one of the machines."""
    program = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())"
    command = ["ip", "netns", "exec", where, LAPTOP_ORCH[0], "-c", program, url]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("answer", ["", "y"], ids=["left-running", "stopped"])
def test_ctrl_c_asks_whether_the_sweep_is_to_stop_too(cluster: Lab, answer: str) -> None:
    keyboard, stdin = pty.openpty()
    root = cluster.store / f"interrupted-{answer}"
    command = [*LAPTOP_ORCH, "sweep", "sweeps/faults.yaml", "--cluster", "lab.yaml"]
    run = Run(cluster, root, cluster.start(*command, "--store", root, stdin=stdin))
    run.until(run.running, "trials running")
    run.process.send_signal(signal.SIGINT)
    os.write(keyboard, f"{answer}\n".encode())
    assert run.end() == 130, run.output
    os.close(keyboard)
    os.close(stdin)
    following = ["logs", "sweeps/faults.yaml", "--cluster", "lab.yaml"]
    if answer:
        assert "stopped; finished trials are kept" in run.output
        assert "ended" in cluster.orch(*following, code=1)
    else:
        assert f"to follow it: orch {' '.join(following)}" in run.output
        assert f"{TRIALS} of {TRIALS} trials done" in cluster.orch(*following)


def _noted(transcript: list[str], lab: Lab, *arguments: str) -> str:
    output = lab.orch(*arguments)
    transcript.append(f"$ orch {' '.join(arguments)}\n{output}")
    return output


def _write_transcript(lab: Lab, transcript: list[str]) -> None:
    """Write it with the names of the shipped file."""
    text = "\n".join(transcript)
    for ours, theirs in (
        ("lab.yaml", "clusters/on-prem.yaml"),
        (str(lab.store), "/shared/results"),
        (str(lab.data), "/data"),
        (lab.folder.name, "on-prem"),
    ):
        text = text.replace(ours, theirs)
    lines = "\n".join(line.rstrip() for line in text.splitlines())
    rewrite("cluster.md", f"```\n{lines}\n```")


def test_a_node_without_the_code_or_the_store_is_named(cluster: Lab) -> None:
    worker = cluster.hosts[1]
    changed = worker.home / "orch/trainables/units.py"
    text = changed.read_text()
    changed.write_text(text + "\n")
    try:
        output = cluster.orch("cluster", "status", "lab.yaml", code=2)
    finally:
        changed.write_text(text)
    assert (
        f"error: {worker.address}: the package `trainables` of the working copy differs" in output
    )
    assert "`orch cluster up lab.yaml` copies it" in output


@pytest.fixture(scope="module")
def calm(cluster: Lab, rows: list[Row]) -> Path:
    """The store of an undisturbed sweep."""
    begun = time.monotonic()
    run = Run.start(cluster, cluster.store / "calm")
    assert run.end() == 0, run.output
    rows.append(Row("none", 0, 0, 0, time.monotonic() - begun))
    assert len(pd.read_parquet(run.store / "epochs")) == TRIALS * EPOCHS
    return run.store


def kill_raylet(lab: Lab, run: Run) -> float:
    """Kill Ray and the trials on the worker."""
    worker = lab.hosts[1]
    for process in worker.processes("raylet/raylet") + worker.processes("ray::"):
        with contextlib.suppress(ProcessLookupError):  # a trial ends with its raylet
            os.kill(process, signal.SIGKILL)
    return run.wait_for_line("will be retried", time.monotonic())


def kill_host(lab: Lab, run: Run) -> float:
    """Switch the worker off, and on again once the driver has noticed."""
    struck = time.monotonic()
    lab.hosts[1].off()
    noticed = run.wait_for_line("will be retried", struck)
    lab.hosts[1].on()
    return noticed


def cut_network(lab: Lab, run: Run) -> float:
    """Cut the worker's network link for half a minute."""
    struck = time.monotonic()
    lab.hosts[1].unplug()
    noticed = run.wait_for_line("will be retried", struck)
    time.sleep(max(0.0, struck + CUT_SECONDS - time.monotonic()))  # this is the fault
    lab.hosts[1].plug()
    return noticed


def kill_driver(lab: Lab, run: Run) -> float:
    """Kill the driver; the command that follows it ends."""
    struck = time.monotonic()
    for process in lab.hosts[0].processes("orchestrator sweep"):
        os.kill(process, signal.SIGKILL)
    assert run.end() != 0, run.output
    return time.monotonic() - struck


def kill_head(lab: Lab, run: Run) -> float:
    """Switch the head off and on, and bring the cluster up again."""
    struck = time.monotonic()
    lab.hosts[0].off()
    assert run.end() != 0, run.output
    noticed = time.monotonic() - struck
    lab.hosts[0].on()
    lab.orch("cluster", "up", "lab.yaml")
    return noticed


def kill_by_memory(lab: Lab, run: Run) -> float:
    """Give one trial's process too little memory, so that the kernel kills it."""
    worker = lab.hosts[1]
    inside = {run.attempts(trial)[-1].process for trial in run.running_on(worker)}
    forked = worker.processes("orchestrator.running.processes.warm")
    victim = next(process for process in forked if _inner(process) in inside)
    struck = time.monotonic()
    with _memory_limit(victim):
        return run.wait_for_line("will be retried", struck)


def _inner(process: int) -> int:
    """The id of a process inside its host."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"^NSpid:.*\s(\d+)$", status, re.MULTILINE).group(1))  # type: ignore[union-attr]


@contextlib.contextmanager
def _memory_limit(process: int) -> Iterator[None]:
    """Limit a process to less memory than its next step needs, as long as it lives."""
    unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    parent = Path("/sys/fs/cgroup" if unified else "/sys/fs/cgroup/memory")
    group = parent / f"orch-lab-{process}"
    group.mkdir()
    try:
        if unified:
            (parent / "cgroup.subtree_control").write_text("+memory")
        limit = "memory.max" if unified else "memory.limit_in_bytes"
        (group / limit).write_text(str(1_000_000))
        (group / "cgroup.procs").write_text(str(process))
        yield
    finally:
        group.rmdir()


def fill_disk(lab: Lab, run: Run) -> float:
    """Fill the store's disk until trials have failed, then free it."""
    struck = time.monotonic()
    ballast = lab.disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1024))
    noticed = run.wait_for_line("No space left", struck)
    ballast.unlink()
    return noticed


FAULTS: dict[str, Callable[[Lab, Run], float]] = {
    "raylet": kill_raylet,
    "host": kill_host,
    "partition": cut_network,
    "driver": kill_driver,
    "head": kill_head,
    "trial-oom": kill_by_memory,
    "disk": fill_disk,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_lost(cluster: Lab, calm: Path, rows: list[Row], fault: str) -> None:
    _whole(cluster)
    root = cluster.disk if fault == "disk" else cluster.store / fault
    begun = time.monotonic()
    run = Run.start(cluster, root)
    run.until(lambda: _under_way(run, cluster.hosts), "trials under way on both hosts")
    before = run.running()
    noticed = FAULTS[fault](cluster, run)
    if run.end() != 0:
        run = Run.start(cluster, root)
        assert run.end() == 0, run.output
    seconds = time.monotonic() - begun
    assert_same(numbers(run.store), numbers(calm))
    # Some may have started after the fault: memory may run out a trial later in that process.
    hit = [trial for trial in run.trials() if len(run.attempts(trial)) > 1]
    assert hit, "no trial was interrupted"
    lost = sum(max(0, before.get(t, 0) - (run.attempts(t)[-1].epoch - 1)) for t in hit)
    rows.append(Row(fault, noticed, len(hit), lost, seconds))


def _under_way(run: Run, hosts: list[Host]) -> bool:
    """Whether each host runs a trial that has a checkpoint and some epochs left.

    The driver reports every two seconds, in which a fast machine trains eight epochs: the range
    of epochs has room for several reports.
    """
    far = range(CHECKPOINT_EVERY, EPOCHS - 12)
    return all(any(epoch in far for epoch in run.running_on(host).values()) for host in hosts)


def _whole(lab: Lab) -> None:
    """Wait until both hosts belong to the cluster again."""
    outputs = []

    def is_whole() -> bool:
        process = lab.start(*LAPTOP_ORCH, "cluster", "status", "lab.yaml")
        outputs.append(process.communicate(timeout=HANG_SECONDS)[0])
        return process.returncode == 0

    until(is_whole, what="both hosts in the cluster", output=lambda: outputs[-1])


def test_it_goes_down_with_all_its_processes(cluster: Lab, transcript: list[str]) -> None:
    assert "is down" in _noted(transcript, cluster, "cluster", "down", "lab.yaml")
    for host in cluster.hosts:
        until(lambda: not host.processes("raylet/raylet"), what=f"no Ray on {host.name}")  # noqa: B023
    output = cluster.orch("sweep", *QUICKSTART, code=2)
    assert "error: the job API of lab.yaml cannot be reached" in output
    _write_transcript(cluster, transcript)
