"""A trainable's own tests, with a trial in memory."""

from __future__ import annotations

import ast
import contextlib
import json
import random
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import toy

from orchestrator import testing
from orchestrator.errors import NotLoadedError, TrialError
from orchestrator.testing import Trial, run

PARAMS = {"seed": 3, "epochs": 5}


def test_an_epoch_holds_what_its_yield_made_durable() -> None:
    trial = Trial(checkpoint_every=2)
    metrics = run(toy.train, PARAMS, trial)
    assert [epoch.number for epoch in trial.epochs] == [1, 2, 3, 4, 5]
    assert [epoch.metrics for epoch in trial.epochs] == metrics
    assert [epoch.state is not None for epoch in trial.epochs] == [False, True, False, True, False]
    chances = [(p.epoch, p.probe, p.value) for epoch in trial.epochs for p in epoch.probes]
    assert chances == [(n, "chance", m["accuracy"]) for n, m in enumerate(metrics, start=1)]


@given(after=st.integers(0, 5), checkpoint_every=st.integers(1, 5))
def test_a_resumed_trial_starts_from_the_last_durable_state(
    after: int, checkpoint_every: int
) -> None:
    trial = Trial(checkpoint_every=checkpoint_every)
    metrics = run(toy.train, PARAMS, trial)
    again = trial.resumed(after=after)
    saved = after // checkpoint_every * checkpoint_every
    assert run(toy.train, PARAMS, again) == metrics[saved:]
    assert again.epochs == trial.epochs


def test_a_resume_that_forgets_something_is_found() -> None:
    def forgetful(params: dict[str, Any], trial: Trial) -> Iterator[dict[str, float]]:
        rng = random.Random(params["seed"])
        for epoch in range(int(trial.load() or b"0"), 4):
            trial.save(json.dumps(epoch + 1).encode())
            yield {"loss": rng.random()}

    trial = Trial()
    metrics = run(forgetful, PARAMS, trial)
    assert run(forgetful, PARAMS, trial.resumed(after=2)) != metrics[2:]


def test_a_save_without_a_yield_is_dropped_as_in_a_sweep() -> None:
    def breaks(_: dict[str, Any], trial: Trial) -> Iterator[dict[str, float]]:
        trial.save(b"one")
        yield {"loss": 1.0}
        trial.save(b"two")
        raise ValueError("broken")

    trial = Trial()
    with pytest.raises(ValueError, match="broken"):
        run(breaks, PARAMS, trial)
    assert trial.resumed().load() == b"one"
    assert trial.resumed(after=0).load() is None


def test_everything_that_a_trainable_says_is_kept() -> None:
    def talks(_: dict[str, Any], trial: Trial) -> Iterator[dict[str, Any]]:
        trial.log(f"{trial.threads} threads, {trial.gpus} GPUs, smoke {trial.smoke}")
        trial.record(device="abacus")
        trial.step(8, of=16)
        yield {"train": {"loss": 1}, "step": 10}

    trial = Trial(threads=2, gpus=0.5, smoke=True)
    assert run(talks, PARAMS, trial) == [{"train/loss": 1.0}]
    assert trial.lines == ["2 threads, 0.5 GPUs, smoke True"]
    assert trial.steps == [(8, 16)]
    assert (trial.epochs[0].step, trial.epochs[0].facts) == (10.0, {"device": "abacus"})
    assert not trial.checkpoint_due


def test_a_resumed_trial_is_the_next_attempt_in_the_same_folder(tmp_path: Path) -> None:
    trial = Trial(attempt=2, folder=tmp_path, threads=3)
    again = trial.resumed()
    assert (again.attempt, again.folder, again.threads) == (3, tmp_path, 3)
    with pytest.raises(TrialError, match="gives it one"):
        _ = Trial().folder


@pytest.mark.parametrize("handed", [iter([0.5]), 0.5, "good"])
def test_what_a_sweep_refuses_is_refused(handed: object) -> None:
    with pytest.raises(TrialError, match=r"hands over .* an epoch is a mapping of metrics"):
        run(lambda _params, _trial: handed, PARAMS, Trial())


def test_a_function_reports_from_any_thread_and_returns_its_last_epoch() -> None:
    def train(params: Mapping[str, Any], trial: Trial) -> Mapping[str, Any]:
        trial.probe("norm", "only", 0.25, index=0)
        trial.save(b"first")
        trial.report({"val/loss": 0.5}, score=params["seed"])
        thread = threading.Thread(target=trial.report, kwargs={"score": 2})
        thread.start()
        thread.join()
        return {"score": 3}

    trial = Trial()
    assert run(train, {"seed": 1}, trial) == [
        {"val/loss": 0.5, "score": 1},
        {"score": 2},
        {"score": 3},
    ]
    assert [epoch.number for epoch in trial.epochs] == [1, 2, 3]
    assert [epoch.state for epoch in trial.epochs] == [b"first", None, None]
    assert [len(epoch.probes) for epoch in trial.epochs] == [1, 0, 0]


def test_what_a_generator_returns_is_its_last_epoch() -> None:
    def train(_params: Mapping[str, Any], _trial: Trial) -> Any:
        yield {"score": 1}
        return {"score": 2}

    assert run(train, PARAMS, Trial()) == [{"score": 1}, {"score": 2}]


def test_a_function_that_has_reported_may_return_anything_else() -> None:
    def train(_params: Mapping[str, Any], trial: Trial) -> object:
        trial.report(score=1)
        return object()

    trial = Trial()
    assert run(train, PARAMS, trial) == [{"score": 1}]
    assert trial.lines == [
        "what the trainable returned is no mapping of metrics, but of type object"
    ]


def test_a_function_that_resumes_after_its_last_epoch_may_return_anything_too() -> None:
    def train(_params: Mapping[str, Any], trial: Trial) -> object:
        if trial.load() is None:
            trial.save(b"done")
            trial.report(score=1)
        return object()

    trial = Trial()
    run(train, PARAMS, trial)
    assert run(train, PARAMS, trial.resumed()) == []


def test_a_refused_report_fails_the_trial_even_if_the_trainable_catches_the_error() -> None:
    def train(_params: Mapping[str, Any], trial: Trial) -> Mapping[str, Any]:
        with contextlib.suppress(Exception):
            trial.report(score="high")
        return {"score": 1}

    with pytest.raises(TrialError, match="hands over `score` as 'high' of type str"):
        run(train, PARAMS, Trial())


def test_the_exported_names_are_documented_and_need_neither_ray_nor_torch() -> None:
    assert testing.__all__ == ["Epoch", "Probe", "Trial", "run"]
    code = "import sys, orchestrator.testing; print(sys.modules.keys() & {'ray', 'torch'})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert ast.literal_eval(done.stdout.replace("set()", "[]")) == []
    page = Path(__file__).parent.parent / "docs" / "trainable.md"
    assert "from orchestrator.testing import Trial, run" in page.read_text()


def test_a_trainable_that_does_not_load_its_state_fails_as_in_a_sweep() -> None:
    def train(_params: Mapping[str, Any], trial: Trial) -> Iterator[Mapping[str, float]]:
        for epoch in range(3):
            trial.save(b"state")
            yield {"score": float(epoch)}

    trial = Trial()
    run(train, {"seed": 0}, trial)
    with pytest.raises(NotLoadedError, match="resumes after epoch 1, but"):
        run(train, {"seed": 0}, trial.resumed(after=1))
