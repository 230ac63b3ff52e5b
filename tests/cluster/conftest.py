"""A cluster of two hosts, brought up once by `orch cluster up`, and sweeps on it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cluster_runs import CHECKPOINT_EVERY, EPOCHS, REPOSITORY
from support.lab import Lab, missing

SWEEP = f"""\
name: faults
description: Enough to be hit in the middle, with a checkpoint every fourth epoch.
trainable: patient:train
seeds: [0, 1, 2]
factors:
  activation: [tanh, relu]
  order: [convention, swap]
fixed: {{epochs: {EPOCHS}}}
select: {{metric: test_accuracy}}
checkpoint_every: {CHECKPOINT_EVERY}
"""
PATIENT = '''\
"""Trials that take as long as those of a small network, and compute next to nothing."""

import json
import mmap
import random
import time


def train(params, trial):
    state = json.loads(trial.load() or '{"epoch": 0, "total": 0.0}')
    for epoch in range(state["epoch"] + 1, params["epochs"] + 1):
        with mmap.mmap(-1, 1 << 24) as batch:  # memory that it needs anew in each epoch
            batch[:: mmap.PAGESIZE] = b"x" * (len(batch) // mmap.PAGESIZE)
            time.sleep(0.25)
        key = f"{params['activation']}/{params['order']}/{params['seed']}/{epoch}"
        total = state["total"] + random.Random(key).random()
        state = {"epoch": epoch, "total": total}
        if trial.checkpoint_due:
            trial.save(json.dumps(state).encode())
        yield {"test_accuracy": total / epoch}
'''
"""A small network, trained for as long, would take five CPU-minutes a sweep; quickstart trains."""


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Create two hosts and a laptop, with a working copy and a cluster file on it."""
    if reason := missing():
        pytest.fail(f"the cluster cannot be tested here: {reason}")
    # Neither in /tmp nor in the home folder, of which each host has its own.
    folder = Path(tempfile.mkdtemp(prefix="orch-lab-", dir="/var/tmp"))
    work = folder / "work"
    _copy_checkout(work)
    (work / "sweeps/faults.yaml").write_text(SWEEP)
    (work / "patient.py").write_text(PATIENT)
    made = Lab(folder, work)
    (work / "lab.yaml").write_text(_filled_in(made))
    try:
        made.up()
        yield made
    finally:
        made.down()
        shutil.rmtree(folder, ignore_errors=True)


def _copy_checkout(work: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=REPOSITORY, capture_output=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, target = REPOSITORY / name, work / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def _filled_in(lab: Lab) -> str:
    """Fill in the cluster file for one's own hosts, as its comments say."""
    head, worker = (host.address for host in lab.hosts)
    text = (REPOSITORY / "clusters/on-prem.yaml").read_text()
    for old, new in (
        ("cluster_name: on-prem", f"cluster_name: {lab.folder.name}"),
        ("[192.0.2.11, 192.0.2.12]", f"[{worker}]"),
        ("192.0.2.10", head),
        ("ssh_user: ubuntu", "ssh_user: root"),
        ("~/.ssh/id_ed25519", str(lab.key)),
        ("/shared/results", str(lab.store)),
        ("ORCH_DATA_DIR=/data", f"ORCH_DATA_DIR={lab.data}"),
    ):
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="session")
def transcript() -> list[str]:
    """The commands and their output on the laptop, for docs/cluster.md."""
    return []


@pytest.fixture(scope="session")
def cluster(lab: Lab, transcript: list[str]) -> Lab:
    """Bring the cluster up."""
    output = lab.orch("cluster", "up", "lab.yaml")
    transcript.append(f"$ orch cluster up lab.yaml\n{output}")
    return lab
