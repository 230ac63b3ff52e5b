"""A trainable whose numbers follow from params, seed and epoch, and which can be made to fail.

Tests copy this file into the working folders of their sweeps. All params but `epochs` and `seed`
are optional; `fault` says how to fail, `fault_epoch` where, and `marks` names the folder through
which the trial and the test signal to each other.
"""

import json
import os
import random
import signal
import time
from pathlib import Path


def train(params, trial):
    fault, fault_epoch = params.get("fault"), params.get("fault_epoch", 2)
    state = json.loads(trial.load() or b'{"epoch": 0, "total": 0.0}')
    for epoch in range(state["epoch"] + 1, params["epochs"] + 1):
        if epoch == fault_epoch:
            misbehave(fault, params.get("marks"))
        chance = random.Random(f"{params['seed']}/{epoch}").random()
        total = state["total"] + chance
        trial.probe("chance", "only", chance, index=0)
        if trial.checkpoint_due:
            trial.save(json.dumps({"epoch": epoch, "total": total}).encode())
        state = {"epoch": epoch, "total": total}
        diverges = fault == "diverge" and epoch == fault_epoch
        yield {
            "score": total * params.get("x", 1) * params.get("lr", 1),
            "accuracy": chance,
            "loss": float("nan") if diverges else 1.0 / epoch,
        }


def misbehave(fault, marks):
    first = Path(f"{marks}/once-{fault}")
    if fault == "raise":
        raise RuntimeError("this trial always fails")
    if fault == "raise once" and not first.exists():
        first.touch()
        raise RuntimeError("this trial fails once")
    if fault == "die once" and not first.exists():
        first.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "wait":
        Path(f"{marks}/waiting-{os.getpid()}").touch()
        while not Path(f"{marks}/gate").exists():
            time.sleep(0.01)


def other(_params, _trial):
    """Do something else."""
    yield {"score": 1.0}


def check(params):
    if params.get("lr", 0) > 1:
        raise ValueError(f"the rate {params['lr']} is too large")


train.check = check
