"""What a trial does to its process, and how it ends, is no other trial's business."""

from __future__ import annotations

import json

import pytest
from support.folder import Folder

NEIGHBOURS = """
import os
import random
import sys
import threading
import time

import numpy as np
import torch


def train(params, trial):
    kind = params["kind"]
    drawn = random.random(), float(np.random.rand()), float(torch.rand(1))
    seen = (
        os.getcwd() == "/",
        os.environ.get("LEAK", ""),
        str(torch.get_default_dtype()),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_num_threads(),
        "/nowhere" in sys.path,
        threading.active_count(),
        drawn,
    )
    if kind == "folder":
        os.chdir("/")
    if kind == "environment":
        os.environ["LEAK"] = "yes"
    if kind == "torch":
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        torch.use_deterministic_algorithms(True)
        torch.set_num_threads(3)
    if kind == "thread":
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    if kind == "path":
        sys.path.insert(0, "/nowhere")
    trial.record(seen=repr(seen))
    yield {"score": drawn[0]}
"""

ENDINGS = """
import argparse
import os
import signal
import sys


class Coded(Exception):
    def __init__(self, code, reason):
        super().__init__(f"{reason} ({code})")


def train(params, trial):
    yield {"score": 1.0}
    match params["end"]:
        case "zero":
            sys.exit(0)
        case "usage":
            argparse.ArgumentParser(prog="fit").parse_args(["--no-such-flag"])
        case "coded":
            raise Coded(404, "no such file")
        case "interrupted":
            raise KeyboardInterrupt
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
"""

WORDS = {
    "zero": "SystemExit: 0 before the trial was over",
    "usage": "fit: error: unrecognized arguments: --no-such-flag",
    "coded": "Coded: no such file (404)",
    "interrupted": "KeyboardInterrupt, raised by the trainable",
}


def seen(folder: Folder) -> dict[str, str]:
    """What each trial found in its process, by its kind."""
    facts = folder.trials().set_index("kind")["facts"].map(json.loads)
    return {str(kind): fact["seen"] for kind, fact in facts.items()}


def test_every_trial_finds_its_process_as_the_first_one_does(cluster_folder: Folder) -> None:
    folder = cluster_folder
    (folder.path / "neighbours.py").write_text(NEIGHBOURS)
    kinds = ["plain", "folder", "environment", "torch", "thread", "path", "last"]
    keys = {"trainable": "neighbours:train", "search": {}, "seeds": [0], "fixed": {}}
    sweep = folder.write(factors={"kind": kinds}, resources={"cpu": 2}, **keys)
    folder.orch("sweep", sweep)
    assert len(set(seen(folder).values())) == 1


@pytest.mark.parametrize("runner", ["tune", "inline"])
def test_a_bad_end_fails_its_trial_alone_in_its_own_words(
    cluster_folder: Folder, runner: str
) -> None:
    folder = cluster_folder
    (folder.path / "endings.py").write_text(ENDINGS)
    ends = ["none", *reversed(WORDS), *(["killed"] if runner == "tune" else [])]
    sweep = folder.write(
        trainable="endings:train",
        factors={"end": ends},
        search={},
        seeds=[0],
        fixed={},
        retries=0,
    )
    done = folder.orch("sweep", sweep, "--runner", runner, code=1)
    trials = folder.trials().set_index("end")
    assert trials["status"].to_dict() == {
        end: "completed" if end == "none" else "failed" for end in ends
    }
    for end, words in WORDS.items():
        assert words in trials["error"][end]
        assert words in done.stderr
    assert trials["error"]["zero"] == WORDS["zero"], "not what an earlier trial said"
    if runner == "tune":
        assert trials["error"]["killed"].startswith("its process was killed by SIGKILL")
        assert "Traceback" not in done.stderr


LEFT = """
import os
import sys
import tempfile


def train(params, trial):
    if os.fork() == 0:
        sys.exit(0)
    os.wait()
    yield {"score": float(os.path.exists("left.py"))}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
    if params["x"]:
        raise ValueError("no luck")
"""


def test_inline_trials_start_in_the_sweeps_folder_and_their_forks_end(folder: Folder) -> None:
    (folder.path / "left.py").write_text(LEFT)
    keys = {"trainable": "left:train", "search": {}, "fixed": {}, "retries": 0}
    sweep = folder.write(factors={"x": [0, 1]}, **keys)
    done = folder.process("sweep", sweep, "--runner", "inline", code=1)
    assert done.stdout.count("results: score") == 1
    assert sorted(folder.trials()["score"].dropna()) == [1.0, 1.0]
    assert set(folder.trials()["error"].dropna()) == {"ValueError: no luck"}
