"""Trials on GPUs, as Ray hands them out: two that do not exist, on which nothing computes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.folder import Folder

GPU_TOY = '''
"""Notes which GPUs it was given, meets others, and fills a GPU of which it has too little."""

import os
import time
from pathlib import Path


class OutOfMemoryError(RuntimeError):
    """As torch's, by name."""


def train(params, trial):
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    trial.record(gpus=trial.gpus, visible=visible)
    here = Path(params["marks"], f"here-{os.getpid()}")
    here.touch()
    while len(list(here.parent.glob("here-*"))) < params.get("company", 1):
        time.sleep(0.01)
    if trial.gpus < params.get("needs", 0):
        raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    yield {"score": 1.0}
'''


@pytest.fixture(scope="module")
def gpu_address() -> Iterator[str]:
    """Keep a Ray of four CPUs and two GPUs, which it believes in."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 4, "num_gpus": 2, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    yield cluster.address
    cluster.shutdown()


@pytest.fixture
def gpus(folder: Folder, gpu_address: str) -> Folder:
    """Make a working folder whose sweeps run on those GPUs."""
    (folder.path / "gpu_toy.py").write_text(GPU_TOY)
    return Folder(folder.path, folder.environment | {"RAY_ADDRESS": gpu_address})


def sweep_of(folder: Folder, **keys: Any) -> Any:
    fixed = {"marks": str(folder.path), **keys.pop("fixed", {})}
    return folder.write(trainable="gpu_toy:train", search={}, fixed=fixed, **keys)


def facts(folder: Folder) -> list[dict[str, str]]:
    return [json.loads(facts) for facts in folder.trials()["facts"]]


def test_two_trials_of_half_a_gpu_share_one(gpus: Folder) -> None:
    """Each waits for the other three: were any of them kept waiting, none would end."""
    sweep = sweep_of(gpus, fixed={"company": 4}, resources={"cpu": 1, "gpu": 0.5})
    gpus.orch("sweep", sweep)
    found = facts(gpus)
    assert [fact["gpus"] for fact in found] == ["0.5"] * 4
    assert sorted(fact["visible"] for fact in found) == ["0", "0", "1", "1"]


def test_cells_may_ask_for_different_parts_of_gpus(gpus: Folder) -> None:
    asked = {"none": 0, "half": 0.5, "one": 1, "both": 2}
    variants = [{"when": {"kind": kind}, "resources": {"gpu": n}} for kind, n in asked.items()]
    gpus.orch("sweep", sweep_of(gpus, factors={"kind": list(asked)}, variants=variants))
    trials = gpus.trials()
    assert set(trials["status"]) == {"completed"}
    for kind, fact in zip(trials["kind"], facts(gpus), strict=True):
        assert float(fact["gpus"]) == asked[kind]
        assert len(fact["visible"].replace(",", "")) == -(-asked[kind] // 1)


def test_more_gpus_than_any_node_has_are_refused_in_words(gpus: Folder) -> None:
    done = gpus.orch("sweep", sweep_of(gpus, resources={"cpu": 1, "gpu": 3}), code=2)
    assert "a trial requests 1 CPUs and 3 GPUs, more than any node has" in done.stderr
    assert "(nodes: 4 CPUs and 2 GPUs); lower `resources`" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_gpu_is_tried_once_more_and_told_with_the_fraction_to_try(gpus: Folder) -> None:
    keys = {"factors": {"needs": [0, 0.5]}, "seeds": [0], "retries": 5}
    done = gpus.orch("sweep", sweep_of(gpus, resources={"gpu": 0.25}, **keys), code=1)
    trials = gpus.trials().set_index("needs")
    assert trials["status"][0] == "completed"
    assert trials["status"][0.5] == "failed"
    assert trials["attempts"][0.5] == 2
    words = "out of GPU memory at `resources.gpu: 0.25`; try 0.5, so that fewer trials share a GPU"
    assert trials["error"][0.5].startswith(words)
    assert words in done.stderr
    log = gpus.path / "results/toy/logs" / f"{trials['trial_id'][0.5]}.log"
    assert log.read_text().count("OutOfMemoryError: CUDA out of memory. Tried") == 2

    gpus.orch("sweep", sweep_of(gpus, resources={"gpu": 0.5}, **keys))
    assert set(gpus.trials()["status"]) == {"completed"}


def test_a_full_gpu_is_told_so_by_the_inline_runner_too(gpus: Folder) -> None:
    sweep = sweep_of(gpus, factors={"needs": [1]}, seeds=[0], resources={"gpu": 0.5})
    gpus.orch("sweep", sweep, "--runner", "inline", code=1)
    (error,) = gpus.trials()["error"]
    assert error.startswith("out of GPU memory at `resources.gpu: 0.5`; try 1,")


def test_a_pilot_tells_how_many_trials_fit_a_gpu_and_what_to_write(gpus: Folder) -> None:
    """It has the GPU for itself, whatever part of one the sweep asks for."""
    (gpus.path / "large.py").write_text(
        "def train(params, trial):\n"
        "    held = params['gib'] * 2**30 if trial.gpus == 1 else 0\n"
        "    trial.record(peak_memory_bytes=str(int(held)), gpu_memory_bytes=str(80 * 2**30))\n"
        "    yield {'score': 1.0}\n"
    )
    sweep = sweep_of(gpus, factors={"gib": [7.5, 19.5]}, resources={"gpu": 0.5})
    sweep.write_text(sweep.read_text().replace("gpu_toy:train", "large:train"))
    found = json.loads(gpus.orch("plan", sweep, "--pilot", "--json").stdout)["pilot"]
    assert [(cell["trials_per_gpu"], cell["resources_gpu"]) for cell in found] == [
        (10, 0.1),
        (4, 0.25),
    ]
    said = " ".join(gpus.orch("plan", sweep, "--pilot").stdout.split())
    assert "Set `resources.gpu: 0.25` for 4, `resources.gpu: 0.1` for 10." in said
    assert "4 missing trials on 4 CPUs and 2 GPUs" in said
