"""Programs that know nothing of sweeps, swept by both runners; and what ends with them."""

from __future__ import annotations

import json
import os
import re
import signal
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from support.comparing import assert_same
from support.folder import Folder
from support.processes import alive
from support.waiting import HANG_SECONDS, until

SCRIPT = """
import argparse
import json
import random

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--x", type=int)
parser.add_argument("--epochs", type=int)
parser.add_argument("--seed", type=int)
args = parser.parse_args()
random.seed(args.seed)
for epoch in range(1, args.epochs + 1):
    score = args.x * args.lr + random.random() / epoch
    print(json.dumps({"epoch": epoch, "lr": args.lr, "score": score}))
"""
COMMAND = ["python", "script.py", "--{params}"]
KEYS = {
    "trainable": None,
    "command": COMMAND,
    "metrics": {"json": "stdout"},
    "fixed": {"epochs": 3},
}


@pytest.fixture
def script(cluster_folder: Folder) -> Folder:
    (cluster_folder.path / "script.py").write_text(SCRIPT)
    return cluster_folder


def test_a_script_as_it_stands_gets_the_same_numbers_from_both_runners(script: Folder) -> None:
    sweep = script.write(**KEYS)
    table = script.orch("sweep", sweep).stdout
    assert "score" in table
    inline = script.orch("sweep", sweep, "--runner", "inline", "--store", "inline")
    assert '"epoch": 3' in inline.stderr  # what programs print is shown
    assert_same(script.numbers(), script.numbers(root="inline"))
    trials = script.trials()
    assert list(trials["status"]) == ["completed"] * 8
    assert list(trials["epochs_run"]) == [3] * 8
    assert list(trials["logged/lr"]) == list(trials["lr"])
    log = script.path / "results/toy/logs" / f"{trials['trial_id'][0]}.log"
    assert '{"epoch": 1, ' in log.read_text()
    again = script.orch("sweep", sweep)
    assert "all 8 trials are already done" in again.stderr


def test_an_edit_of_a_script_makes_its_trials_stale_and_a_comment_does_not(script: Folder) -> None:
    sweep = script.write(**KEYS)
    script.orch("sweep", sweep, "--runner", "inline")
    file = script.path / "script.py"
    file.write_text(f"# a comment\n{SCRIPT}")
    assert stale(script, sweep) == 0
    file.write_text(SCRIPT.replace("/ epoch", "/ (epoch + 1)"))
    assert stale(script, sweep) == 8


def stale(folder: Folder, sweep: Path) -> int:
    return int(json.loads(folder.orch("plan", sweep, "--json").stdout)["stale"])


def test_an_option_that_the_script_does_not_know_stops_the_sweep_in_its_words(
    script: Folder,
) -> None:
    sweep = script.write(**{**KEYS, "command": [*COMMAND, "--depth=3"]})
    done = script.orch("sweep", sweep, code=2)
    assert done.stdout == ""
    assert "toy.yaml: line 7: `command`: the program ended with exit code 2: " in done.stderr
    assert "script.py: error: unrecognized arguments: --depth=3" in done.stderr


def test_a_file_that_trials_write_is_named_once_and_is_not_their_code(script: Folder) -> None:
    (script.path / "notes.txt").write_text("old")
    (script.path / "script.py").write_text(
        SCRIPT.replace('"--lr"', '"--notes")\nparser.add_argument("--lr"')
        + 'open(args.notes, "w").write(f"{args.x}")\n'
    )
    sweep = script.write(**{**KEYS, "command": [*COMMAND, "--notes=notes.txt"]})
    done = script.orch("sweep", sweep, "--runner", "inline")
    assert done.stderr.count("notes.txt, which a word of the command names, changes") == 1
    (script.path / "notes.txt").write_text("other")
    assert stale(script, sweep) == 0


def test_a_smoke_run_takes_one_epoch_of_each_cell(script: Folder) -> None:
    sweep = script.write(**KEYS)
    script.orch("sweep", sweep, "--smoke", "--runner", "inline")
    assert list(script.trials("toy--smoke")["epochs_run"]) == [1, 1]


def test_a_pilot_measures_a_command(script: Folder) -> None:
    script_with_memory = "held = b'x' * (300 << 20)\n" + SCRIPT
    (script.path / "script.py").write_text(script_with_memory)
    sweep = script.write(**KEYS)
    found = json.loads(script.orch("plan", sweep, "--pilot", "--json").stdout)
    assert [cell["whole_trial"] for cell in found["pilot"]] == [True, True]
    assert all(cell["memory"] > 300 << 20 for cell in found["pilot"])
    assert not (script.path / "results").exists()


WAITING = """
import os
import subprocess
import sys
import time

child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
with open(f"pids-{os.environ['ORCH_TRIAL_ID']}.part", "w") as file:
    file.write(f"{os.getppid()} {os.getpid()} {child.pid}")
os.rename(file.name, file.name.removesuffix(".part"))
time.sleep(1000)
"""


@pytest.mark.no_cover
@pytest.mark.parametrize("killed", ["driver", "worker"])
@pytest.mark.parametrize("ray", ["own", "shared"])
def test_programs_and_their_children_end_with_what_drives_them(
    request: pytest.FixtureRequest, ray: str, killed: str
) -> None:
    folder: Folder = request.getfixturevalue("folder" if ray == "own" else "cluster_folder")
    (folder.path / "script.py").write_text(WAITING)
    sweep = folder.write(**KEYS, search={}, seeds=[0], factors={"x": [1]}, retries=0)
    driver = folder.start("sweep", sweep)
    until(lambda: written(folder), driver)
    reader, *pids = map(int, written(folder)[0].read_text().split())
    processes = [psutil.Process(pid) for pid in pids]
    if killed == "driver":
        driver.kill()
    else:
        warm = psutil.Process(reader).parent()
        assert warm is not None
        worker = warm.parent()
        assert worker is not None
        os.kill(worker.pid, signal.SIGKILL)
    until(lambda: not any(map(alive, processes)), what="the end of the program and its child")
    if killed == "driver":
        driver.wait(HANG_SECONDS)
    else:
        assert driver.wait(HANG_SECONDS) == 1


def written(folder: Folder) -> list[Path]:
    return [path for path in folder.path.glob("pids-*") if path.suffix != ".part"]


def test_a_report_shows_itself_for_a_command(script: Folder) -> None:
    sweep = script.write(**KEYS)
    script.orch("sweep", sweep, "--runner", "inline")
    for command in ("status", "table", "report"):
        script.orch(command, sweep)
    found = json.loads(script.orch("table", sweep, "--format", "json").stdout)
    assert found


# An example like PyTorch's of MNIST: the same options, the same data, the same words

MNIST = """
import argparse

import torch
from torch.nn.functional import nll_loss
from torchvision import datasets, transforms

options = argparse.ArgumentParser(description="PyTorch MNIST Example")
options.add_argument("--epochs", type=int, default=14)
options.add_argument("--lr", type=float, default=1.0)
options.add_argument("--gamma", type=float, default=0.7)
options.add_argument("--seed", type=int, default=1)
options.add_argument("--log-interval", type=int, default=10)
options.add_argument("--save-model", action="store_true")
args = options.parse_args()
torch.manual_seed(args.seed)
shown = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
train, test = (
    torch.utils.data.DataLoader(
        datasets.MNIST("../data", train=is_train, download=is_train, transform=shown),
        batch_size=64 if is_train else 1000,
        num_workers=int(is_train),
    )
    for is_train in (True, False)
)
network = torch.nn.Sequential(
    torch.nn.Flatten(), torch.nn.Linear(784, 10), torch.nn.LogSoftmax(dim=1)
)
optimizer = torch.optim.Adadelta(network.parameters(), lr=args.lr)
schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=args.gamma)
for epoch in range(1, args.epochs + 1):
    for batch, (images, digits) in enumerate(train):
        optimizer.zero_grad()
        loss = nll_loss(network(images), digits)
        loss.backward()
        optimizer.step()
        if batch % args.log_interval == 0:
            seen, all_of_them = batch * len(images), len(train.dataset)
            print(f"Train Epoch: {epoch} [{seen}/{all_of_them}]\\tLoss: {loss.item():.6f}")
    with torch.no_grad():
        outputs = [(network(images), digits) for images, digits in test]
    total = sum(nll_loss(output, digits, reduction="sum").item() for output, digits in outputs)
    right = sum((output.argmax(1) == digits).sum().item() for output, digits in outputs)
    count = len(test.dataset)
    words = f"{right}/{count} ({100 * right / count:.0f}%)"
    print(f"\\nTest set: Average loss: {total / count:.4f}, Accuracy: {words}\\n")
    schedule.step()
if args.save_model:
    torch.save(network.state_dict(), "mnist_cnn.pt")
"""
WORDS = [f"--{name}={{{name}}}" for name in ("lr", "gamma", "epochs", "seed")]


def make_up_mnist(folder: Path) -> None:
    """Write images in the files of MNIST, with a bar for each digit."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(0)
    for kind, count in (("train", 640), ("t10k", 200)):
        digits = draw.integers(0, 10, count, dtype=np.uint8)
        images = draw.integers(0, 200, (count, 28, 28), dtype=np.uint8)
        for image, digit in zip(images, digits, strict=True):
            image[:, 2 * digit + 2 : 2 * digit + 6] //= 2
        header = struct.pack(">4I", 2051, count, 28, 28)
        (folder / f"{kind}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        header = struct.pack(">2I", 2049, count)
        (folder / f"{kind}-labels-idx1-ubyte").write_bytes(header + digits.tobytes())


def test_an_example_of_pytorch_runs_without_a_change(cluster_folder: Folder) -> None:
    here = replace(cluster_folder, path=cluster_folder.path / "mnist")
    here.path.mkdir()
    make_up_mnist(cluster_folder.path / "data/MNIST/raw")
    (here.path / "main.py").write_text(MNIST)
    sweep = here.write(
        "mnist",
        trainable=None,
        command=["python", "main.py", *WORDS],
        metrics={"regex": r"Average loss: (?P<loss>\S+), Accuracy: (?P<correct>\d+)/"},
        factors={"gamma": [0.7, 0.9]},
        search={"lr": [1.0]},
        fixed={"epochs": 2},
        select={"metric": "correct", "mode": "max"},
    )
    here.orch("sweep", sweep)
    trials = here.trials("mnist")
    assert list(trials["epochs_run"]) == [2] * 4
    logs = [(here.path / f"results/mnist/logs/{i}.log").read_text() for i in trials["trial_id"]]
    said = [re.findall(r"Average loss: (\S+), Accuracy: (\d+)/200", log)[-1] for log in logs]
    found = zip(trials["loss"], trials["correct"], strict=True)
    assert [(f"{loss:.4f}", str(int(correct))) for loss, correct in found] == said
    assert trials["correct"].min() > 100
