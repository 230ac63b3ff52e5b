"""What a pilot measures of one trial, and what follows from it for the sweep."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from support.toys import Toy

from orchestrator.pilot.pilot import CUDA_BYTES, Estimate, Pilot
from orchestrator.pilot.trial_profile import SECONDS, WARM_UP_STEPS, TrialProfile
from orchestrator.running.runners import Node
from orchestrator.spec import loading as spec
from orchestrator.spec.grid import expand
from orchestrator.spec.model import Resources

GIB = 2**30

TRAINABLES = '''
"""Trainables that never end by themselves, and one that fails."""

import itertools
import time

clock = 0.0
"""What the meter takes for the time, in seconds: the same on every machine."""


def tick(seconds):
    global clock
    time.sleep(seconds / 100)
    clock += seconds


def one_endless_epoch(params, trial):
    try:
        while True:
            tick(0.5)
            trial.step(8, of=8_000)
    finally:
        trial.record(peak_memory_bytes="5", gpu_memory_bytes="100")
    yield {"accuracy": 0.0}


def endless_epochs(params, trial):
    for epoch in itertools.count(1):
        while True:
            try:
                tick(0.5)
                break
            except Exception:
                continue  # as a trainable may that tries again whatever happened
        trial.probe("depth", "all", 1.0, index=0)
        trial.save(b"state")
        trial.log("an epoch")
        yield {"accuracy": 1 / epoch}


def failing(params, trial):
    yield {"accuracy": 0.0}
    raise RuntimeError("this trial fails")


def silent(params, trial):
    return iter(())
'''

MEASURE = """
import dataclasses, json, os, sys, types
import endless
from orchestrator import code
from orchestrator.running import job
from orchestrator.pilot import trial_profile
from orchestrator.spec import grid as plan
from orchestrator.spec import loading as spec
from orchestrator.store.schema import Layout

trial_profile.time = types.SimpleNamespace(perf_counter=lambda: endless.clock)
sweep = spec.load("sweep.yaml").model_copy(update={"trainable": f"endless:{sys.argv[1]}"})
trials = plan.expand(sweep)[:1]
scope = code.Scope(os.getcwd())
work = job.make_job(sweep, trials, "", Layout.of(sweep), code.code_of(sweep.module), scope)
print(json.dumps(dataclasses.asdict(trial_profile.profile_trial(work, trials[0].trial_id))))
"""


def measured(toy: Toy, name: str) -> dict[str, Any]:
    """Measure in a process of its own, of whose only timer pytest has no need."""
    (toy.folder / "endless.py").write_text(TRAINABLES)
    command = [sys.executable, "-c", MEASURE, name]
    done = subprocess.run(command, cwd=toy.folder, capture_output=True, text=True, check=True)
    reading: dict[str, Any] = json.loads(done.stdout)
    return reading


def test_steps_are_enough_where_no_epoch_ends(toy: Toy) -> None:
    reading = measured(toy, "one_endless_epoch")
    assert reading["epochs"] == []
    assert reading["steps"] > WARM_UP_STEPS + SECONDS / 0.5
    assert reading["images"] == 8_000
    assert reading["images_per_second"] == 8 / 0.5
    assert (reading["gpu_peak"], reading["gpu_total"]) == (5, 100), "the trial did not tidy up"
    assert (reading["ended"], reading["error"]) == (False, None)


def test_whole_epochs_are_timed_where_no_step_is_told(toy: Toy) -> None:
    reading = measured(toy, "endless_epochs")
    assert len(reading["epochs"]) > SECONDS / 0.5
    assert set(reading["epochs"]) == {0.5}
    assert (reading["ended"], reading["error"]) == (False, None)
    assert (reading["images"], reading["images_per_second"]) == (None, None)
    assert {path.name for path in toy.folder.iterdir()} <= {
        *("sweep.yaml", "toy.py", "endless.py", "__pycache__")
    }


def test_a_trial_that_fails_is_told_in_words(toy: Toy) -> None:
    assert measured(toy, "failing")["error"] == "RuntimeError: this trial fails"
    assert "ended without a metric" in measured(toy, "silent")["error"]


@pytest.fixture
def estimate(toy: Toy) -> Estimate:
    """A cell of 10 missing trials of 2 epochs, of which nothing is known."""
    return Estimate(expand(spec.load(toy.file))[0], 10, TrialProfile())


@pytest.mark.parametrize(
    ("profile", "per_epoch", "seconds"),
    [
        (TrialProfile(), None, None),
        (TrialProfile(epochs=(5.0,)), 5, 10),
        (TrialProfile(epochs=(5.0, 1.0, 3.0)), 2, 7),
        (TrialProfile(epochs=(5.0, 1.0, 3.0), ended=True), 2, 9),
        (TrialProfile(epochs=(5.0,), error="RuntimeError: no"), 5, None),
        (TrialProfile(steps=9, images=1_000, images_per_second=250.0), 4, 8),
    ],
)
def test_a_trial_is_extrapolated_from_what_was_seen_of_it(
    estimate: Estimate, profile: TrialProfile, per_epoch: float | None, seconds: float | None
) -> None:
    estimate = replace(estimate, profile=profile)
    assert estimate.seconds_per_epoch == per_epoch
    assert estimate.seconds == seconds


@pytest.mark.parametrize(
    ("peak", "fit", "resources"), [(1.5, 40, 0.025), (19.5, 4, 0.25), (30.0, 2, 0.5), (79.9, 1, 1)]
)
def test_as_many_trials_fit_a_gpu_as_its_memory_holds_with_cuda(
    estimate: Estimate, peak: float, fit: int, resources: float
) -> None:
    assert CUDA_BYTES == GIB / 2
    profile = TrialProfile(gpu_peak=int(peak * GIB), gpu_total=80 * GIB)
    found = replace(estimate, profile=profile).as_dict()
    assert (found["trials_per_gpu"], found["resources_gpu"]) == (fit, resources)


def expected(estimate: Estimate, cpu: float, gpu: float, *nodes: Node) -> tuple[float, float]:
    config = replace(estimate.trial.config, resources=Resources(cpu=cpu, gpu=gpu))
    trial = replace(estimate.trial, config=config)
    profile = TrialProfile(epochs=(60.0, 40.0), ended=True)
    pilot = Pilot([replace(estimate, trial=trial, profile=profile)], nodes)
    return pilot.seconds(in_turns=False), pilot.seconds(in_turns=True)


def test_hours_follow_from_the_slots_of_every_node(estimate: Estimate) -> None:
    assert expected(estimate, 1, 0, Node(1, 0)) == (1000, 1000)
    assert expected(estimate, 1, 0, Node(2, 0), Node(3, 1)) == (200, 200)
    assert expected(estimate, 2, 0, Node(3, 0), Node(3, 0)) == (500, 500)
    assert expected(estimate, 1, 1, Node(64, 4), Node(64, 1)) == (200, 200)
    assert expected(estimate, 1, 2, Node(64, 5)) == (500, 500)
    assert expected(estimate, 0.1, 0, Node(4, 0)) == (100, 100), "no less than one trial takes"


def test_trials_that_share_a_gpu_are_as_fast_as_alone_at_best_and_take_turns_at_worst(
    estimate: Estimate,
) -> None:
    assert expected(estimate, 1, 0.25, Node(64, 1)) == (250, 1000)
    assert expected(estimate, 1, 0.2, Node(64, 2)) == (100, 500)
    assert expected(estimate, 4, 0.25, Node(8, 1)) == (500, 1000), "two fit by their CPUs"


def test_trials_of_later_seeds_cost_as_much_as_those_that_could_run_now(
    estimate: Estimate,
) -> None:
    slow, fast = (
        replace(estimate, profile=TrialProfile(epochs=(seconds,), ended=True))
        for seconds in (90.0, 10.0)
    )
    pilot = Pilot([slow, fast], [Node(2, 0)])
    assert pilot.seconds(in_turns=True) == 500
    assert pilot.seconds(in_turns=True, trials=60) == 1500
    assert pilot.as_dict(60)["seconds"] == [1500, 1500]


def test_cells_that_failed_are_no_part_of_the_hours(estimate: Estimate) -> None:
    good = replace(estimate, profile=TrialProfile(epochs=(60.0, 40.0), ended=True))
    bad = replace(estimate, profile=TrialProfile(error="RuntimeError: no"))
    pilot = Pilot([good, bad], [Node(1, 0)])
    assert pilot.failed == [bad]
    assert pilot.seconds(in_turns=True) == 1000
