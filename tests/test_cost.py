"""What a sweep has cost, and has left to spend, whatever becomes of its attempts."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from support import toy
from support.simulation import FakeRunner, Simulation
from support.storing import Lab, make_sweep

from orchestrator.results import Results, open_store
from orchestrator.results.report import render
from orchestrator.running.status import SweepStatus, print_status
from orchestrator.spec import expand
from orchestrator.store import cost
from orchestrator.store.cost import Cost

TRIAL = 4.0
"""Simulated seconds of a trial: three epochs and its commit."""


@pytest.fixture
def simulation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Simulation:
    return Simulation(tmp_path, monkeypatch, resources={"cpu": 2, "gpu": 0.25})


def interrupt(_runner: FakeRunner) -> None:
    raise KeyboardInterrupt


def held(seconds: float) -> Cost:
    """Return what trials cost that hold two CPUs and a quarter of a GPU for so long in all."""
    return Cost(
        cpu_hours=pytest.approx(2 * seconds / 3600), gpu_hours=pytest.approx(seconds / 4 / 3600)
    )


def spent(simulation: Simulation) -> Cost:
    return open_store(simulation.folder / "results/toy").cost


def test_an_undisturbed_sweep_costs_what_its_trials_took(simulation: Simulation) -> None:
    simulation.run()
    assert spent(simulation) == held(4 * TRIAL)


def test_what_a_failed_attempt_did_counts(simulation: Simulation) -> None:
    """A worker dies two seconds after its start, and its trial goes on from its checkpoint."""
    simulation.keys["checkpoint_every"] = 3  # so that the two seconds are lost
    simulation.run({2: lambda runner: runner.crash(runner.live[0])})
    assert sorted(simulation.trials()["attempts"]) == [1, 1, 1, 2]
    assert spent(simulation) == held(4 * TRIAL + 2)


def test_a_trial_that_has_failed_for_good_counts(simulation: Simulation) -> None:
    def train(params: Mapping[str, Any], trial: Any) -> Iterator[Mapping[str, Any]]:
        yield from toy.train(params, trial)
        if params["x"] == 1:
            raise ValueError("no luck")

    simulation.keys["retries"] = 0
    simulation.run(train=train, keep_going=True)
    assert simulation.progress.given_up == 2
    assert spent(simulation) == held(4 * TRIAL)
    simulation.run(train=train, keep_going=True)
    again = 2.0  # seconds: each begins at its last epoch, and raises
    assert spent(simulation) == held(4 * TRIAL + 2 * again)


@pytest.mark.parametrize("second", [0, 1, 3, 4, 5])
def test_an_interrupted_run_counts_and_the_next_one_adds_to_it(
    simulation: Simulation, second: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        simulation.run({second: interrupt})
    assert spent(simulation) == held(2 * second)
    runner = simulation.run()
    assert spent(simulation) == held(2 * second + sum_of_seconds(runner))


def sum_of_seconds(runner: FakeRunner) -> float:
    """Return the simulated slot-seconds of a run that keeps both slots busy to its end."""
    return 2 * runner.clock.now


def test_trials_that_run_again_count_twice(simulation: Simulation) -> None:
    simulation.run()
    simulation.keys["fixed"] = {"epochs": 3}
    toy_file = simulation.folder / "toy.py"
    toy_file.write_text(f"{toy_file.read_text()}\nSEVEN = 7\n")
    simulation.run(rerun_stale=True)
    assert spent(simulation) == held(8 * TRIAL)


def test_a_killed_driver_loses_at_most_half_a_minute(simulation: Simulation) -> None:
    seen = []

    def look(_runner: FakeRunner) -> None:
        if (written := cost.read(simulation.store.files)) is not None:
            seen.append((simulation.clock.now, written))

    simulation.keys |= {"seeds": [*range(40)]}
    simulation.run(look=look)
    for now, written in seen:
        assert written.cpu_hours * 3600 >= 2 * 2 * (now - 30)  # two slots of two CPUs
    assert len({written for _, written in seen}) == int(80 * TRIAL / 2 / 30)


def test_what_is_left_is_told_by_the_driver_and_without_one_by_the_store(
    simulation: Simulation,
) -> None:
    told = []

    def look(_runner: FakeRunner) -> None:
        beat = simulation.beat()
        assert beat is not None
        told.append(beat.cost_left and Cost(**beat.cost_left))  # type: ignore[arg-type]

    with pytest.raises(KeyboardInterrupt):
        simulation.run({6: interrupt}, look=look)
    assert told[:4] == [None] * 4
    assert told[6] == held(4)  # two trials that have run for two seconds each
    results = open_store(simulation.folder / "results/toy")
    status = SweepStatus.of(results)
    assert status.driver is None
    assert status.cost_left is not None
    assert status.as_dict()["cost"]["spent"] == held(12).__dict__
    seconds = results.trials["seconds"][results.trials["status"] == "completed"].mean()
    assert status.cost_left == held(2 * seconds)


def test_status_and_report_say_it(simulation: Simulation) -> None:
    simulation.keys["resources"] = {"cpu": 3600, "gpu": 0}
    simulation.run()
    results = open_store(simulation.folder / "results/toy")
    out = io.StringIO()
    print_status(results, Console(file=out, width=80))
    assert "\n16 CPU-hours spent\n" in out.getvalue()
    assert "16 CPU-hours spent, failed attempts included" in render(results)


def test_copied_trials_cost_nothing(simulation: Simulation) -> None:
    simulation.run()
    simulation.keys["name"] = "other"
    simulation.keys["seeds"] = [0, 1, 2]
    simulation.run()
    assert open_store(simulation.folder / "results/other").cost == held(2 * TRIAL)


def test_a_store_that_no_driver_has_told_of_counts_its_trials(lab: Lab) -> None:
    sweep = make_sweep()
    assert Results(sweep, lab.store).cost == Cost(0, 0)
    lab.prepare(sweep)
    lab.commit(sweep, *expand(sweep))
    results = Results(sweep, lab.store)
    trials = results.trials
    assert results.cost.cpu_hours == pytest.approx(
        (trials["seconds"] * trials["threads"]).sum() / 3600
    )
    assert results.cost.cpu_hours > 0
    assert results.cost.gpu_hours == 0
    assert json.loads(json.dumps(SweepStatus.of(results).as_dict()))["cost"]["left"] is None


@pytest.mark.parametrize(
    ("hours", "text"),
    [
        (Cost(0.00012, 0), "0.43 CPU-seconds"),
        (Cost(12.34, 3.08), "12 CPU-hours and 3.1 GPU-hours"),
        (Cost(9.96, 0.0999), "10 CPU-hours and 360 GPU-seconds"),
        (Cost(12345.6, 100), "12,346 CPU-hours and 100 GPU-hours"),
    ],
)
def test_hours_are_printed_with_what_matters(hours: Cost, text: str) -> None:
    assert str(hours) == text
