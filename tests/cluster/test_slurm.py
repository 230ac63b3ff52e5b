"""Sweeps in allocations of a real Slurm, while things happen to their jobs.

The tests share two nodes. Their measurements go into docs/reliability.md, but none depends on them.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.comparing import assert_same, numbers
from support.measured import rewrite
from support.slurm import Slurm, missing
from support.waiting import HANG_SECONDS, until

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(2 * HANG_SECONDS),
    pytest.mark.skipif(missing() is not None, reason=f"no Slurm can be tested here: {missing()}"),
]

TRIALS, EPOCHS, CHECKPOINT_EVERY, SLOTS = 4, 16, 4, 2
SWEEP = f"""\
name: faults
trainable: patient:train
seeds: [0, 1]
factors: {{x: [1, 2]}}
fixed: {{epochs: {EPOCHS}}}
select: {{metric: score, mode: max}}
checkpoint_every: {CHECKPOINT_EVERY}
"""
PATIENT = '''\
"""Trials that take as long as those of a small network, and compute next to nothing."""

import json
import os
import random
import time
from pathlib import Path


def train(params, trial):
    state = json.loads(trial.load() or '{"epoch": 0, "total": 0.0}')
    for epoch in range(state["epoch"] + 1, params["epochs"] + 1):
        time.sleep(float(os.environ.get("NAP", "0.25")))
        key = f"{params['x']}/{params['seed']}/{epoch}"
        state = {"epoch": epoch, "total": state["total"] + random.Random(key).random()}
        with Path(f"{os.environ['ORCH_STORE']}.epochs").open("a") as computed:
            computed.write(key + "\\n")
        if trial.checkpoint_due:
            trial.save(json.dumps(state).encode())
        yield {"score": state["total"] / epoch}
'''
CLUSTER = """\
scheduler: slurm
nodes: 2
cpus_per_node: 1
gpus_per_node: 1
time: 30m
lead: 10m
"""
ON_SLURM = ("faults.yaml", "--cluster", "slurm.yaml")


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    """Start Slurm, with a working folder that its nodes share."""
    # Not in /tmp, of which each node has its own.
    made = Slurm(Path(tempfile.mkdtemp(prefix="orch-slurm-", dir="/var/tmp")))
    try:
        made.up()
        for name, text in (
            ("faults.yaml", SWEEP),
            ("patient.py", PATIENT),
            ("slurm.yaml", CLUSTER),
        ):
            (made.work / name).write_text(text)
        yield made
    finally:
        made.down()
        shutil.rmtree(made.folder)


@pytest.fixture(scope="module")
def undisturbed(slurm: Slurm) -> Path:
    """Run the sweep without Slurm, without naps; return its store."""
    slurm.orch("sweep", "faults.yaml", "--runner", "inline", ORCH_STORE="calm", NAP="0")
    return slurm.work / "calm/faults"


@dataclass(frozen=True)
class Row:
    """A line of the table in docs/reliability.md."""

    fault: str
    jobs: int
    lost: int
    seconds: float


@pytest.fixture(scope="module")
def rows() -> Iterator[list[Row]]:
    """Collect a row per fault, and write the table once all faults are survived."""
    found: list[Row] = []
    yield found
    if {row.fault for row in found} == FAULTS.keys():
        lines = ["| what happens | runs | epochs lost | whole sweep |", "|---|---|---|---|"]
        lines += [
            f"| {row.fault} | {row.jobs} | {row.lost} | {row.seconds:.0f} s |" for row in found
        ]
        rewrite("reliability.md", "\n".join(lines), by="tests/cluster/test_slurm.py")


@dataclass(frozen=True)
class Hit:
    """A job whose trials run, to which something happens."""

    slurm: Slurm
    job: str
    computed: Callable[[], int]
    """Counts the epochs that trials have computed."""

    def update_node(self, *changes: str) -> None:
        """Do to a node what its administrator may do."""
        self.slurm.call("scontrol", "update", "nodename=node2", *changes)

    def state(self) -> str:
        """Return the job's state."""
        return self.slurm.call("squeue", "--noheader", "--format=%T")


def nothing(_hit: Hit) -> None:
    """Let it run."""


def warn(hit: Hit) -> None:
    """Do what Slurm does before the time limit."""
    hit.slurm.call("scancel", "--batch", "--signal=USR1", hit.job)


def drain(hit: Hit) -> None:
    """Have a node take no further job for a while."""
    before = hit.computed()
    hit.update_node("state=drain", "reason=test")
    until(lambda: hit.computed() >= before + 8, what="trials that go on")
    hit.update_node("state=resume")


def take_down(hit: Hit) -> None:
    """Lose a node for a while."""
    hit.update_node("state=down", "reason=test")
    until(lambda: hit.state() == "PENDING", what="the job to wait")
    hit.update_node("state=resume")


def cancel(hit: Hit) -> None:
    """End the job."""
    hit.slurm.call("scancel", hit.job)


FAULTS = {
    "none": nothing,
    "time limit": warn,
    "node drained": drain,
    "node down": take_down,
    "scancel": cancel,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_sweep_ends_complete_and_bit_equal_whatever_happens_to_its_job(
    slurm: Slurm, undisturbed: Path, rows: list[Row], fault: str
) -> None:
    root, began = slurm.work / fault.replace(" ", "-"), time.monotonic()
    log = Path(f"{root}.epochs")

    def computed() -> int:
        return len(log.read_text().split()) if log.exists() else 0

    sweep = slurm.start("sweep", *ON_SLURM, ORCH_STORE=str(root))
    until(lambda: computed() > 2, sweep, what="trials that run")
    job = slurm.call("squeue", "--noheader", "--format=%i")
    FAULTS[fault](Hit(slurm, job, computed))
    output, _ = sweep.communicate(timeout=HANG_SECONDS)
    described = slurm.call("scontrol", "show", "--oneliner", "job", job)
    runs = 1 + int(re.findall(r"Restarts=(\d+)", described)[0])
    if fault == "scancel":
        assert sweep.returncode == 1, output
        assert f"error: job {job}: CANCELLED" in output
        output, runs = slurm.orch("sweep", *ON_SLURM, ORCH_STORE=str(root)), runs + 1
    else:
        assert sweep.returncode == 0, output
    assert f"{TRIALS} of {TRIALS} trials done" in output
    assert runs == (1 if fault in ("none", "node drained") else 2)
    assert_same(numbers(root / "faults"), numbers(undisturbed))
    lost = computed() - TRIALS * EPOCHS
    most = {"none": 0, "time limit": SLOTS, "node drained": 0}
    assert lost <= most.get(fault, CHECKPOINT_EVERY * SLOTS)
    rows.append(Row(fault, runs, lost, time.monotonic() - began))


def test_a_sweep_that_is_in_the_queue_is_followed_and_not_queued_twice(slurm: Slurm) -> None:
    (slurm.work / "held.yaml").write_text(CLUSTER + "sbatch: [--hold]\n")
    on_slurm = ("faults.yaml", "--cluster", "held.yaml", "--detach")
    job = re.findall(r"faults is job (\d+)", slurm.orch("sweep", *on_slurm))[0]
    waits = f"job {job}: PENDING (JobHeldUser)"
    assert f"faults is in the queue already: {waits}" in slurm.orch("sweep", *on_slurm)
    slurm.orch("sweep", "faults.yaml", "--runner", "inline", NAP="0", ORCH_STORE="results")
    status = slurm.orch("status", *on_slurm[:-1])
    assert waits in status
    assert "4 of 4 trials done" in status
    slurm.call("scancel", job)
    assert f"error: job {job}: CANCELLED" in slurm.orch("logs", *on_slurm[:-1], code=1)


def test_what_slurm_refuses_is_said_in_its_own_words(slurm: Slurm) -> None:
    (slurm.work / "refused.yaml").write_text(CLUSTER + "partition: nope\n")
    said = slurm.orch("sweep", "faults.yaml", "--cluster", "refused.yaml", code=2)
    assert "error: `sbatch`: invalid partition specified: nope; " in said
    assert "Traceback" not in said
