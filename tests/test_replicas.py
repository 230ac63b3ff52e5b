"""Trials that are equal to the bit although a seed or a param differs are named, no others."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

import hypothesis.strategies as st
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from support.storing import make_sweep

from orchestrator.results.replicas import equal_to_the_bit, lost_trials
from orchestrator.running.processor import cpu_name, processor_of
from orchestrator.spec import PlannedTrial, expand
from orchestrator.store.epochs import metrics_digest, table_of

SWEEP = make_sweep(
    factors={"order": ("convention", "swap"), "depth": (11,)},
    search={"lr": (0.1, 0.01)},
    seeds=(0, 1, 2),
    select={"metric": "score", "mode": "max"},
)


def trials_with(
    digest: Callable[[PlannedTrial], str | None], *, epochs: int = 3, status: str = "completed"
) -> pd.DataFrame:
    rows = [
        {
            "trial_id": trial.trial_id,
            "status": status,
            "epochs_run": epochs,
            "metrics_digest": digest(trial),
            "score": 0.5,
            "best_score": 0.5,
        }
        for trial in expand(SWEEP)
    ]
    return pd.DataFrame(rows)


def named(digest: Callable[[PlannedTrial], str | None], **keys: object) -> list[str]:
    return equal_to_the_bit(SWEEP, trials_with(digest, **keys))


def text(trial: PlannedTrial, *names: str) -> str:
    return str([trial.params[name] for name in names])


def test_distinct_trials_are_not_named() -> None:
    assert named(lambda trial: trial.trial_id) == []


def test_a_seed_that_is_not_used_is_named_once() -> None:
    assert named(lambda trial: text(trial, "order", "lr")) == [
        "seeds 0, 1 and 2 are equal to the bit in every epoch: is `seed` used?"
    ]


def test_a_param_that_is_not_used_is_named_once() -> None:
    assert named(lambda trial: text(trial, "order", "seed")) == [
        "lr 0.1 and 0.01 are equal to the bit in every epoch: is `lr` used?"
    ]


def test_two_seeds_of_one_config_are_named_with_the_config() -> None:
    def digest(trial: PlannedTrial) -> str:
        is_same = trial.seed < 2 and text(trial, "order", "lr") == "['swap', 0.1]"
        return "same" if is_same else trial.trial_id

    assert named(digest) == [
        "seeds 0 and 1 of order=swap, lr=0.1 are equal to the bit in every epoch: is `seed` used?"
    ]


def test_a_param_that_one_cell_does_not_use_is_named_with_the_first_trial_and_the_count() -> None:
    def digest(trial: PlannedTrial) -> str:
        return text(trial, "seed") if trial.params["order"] == "swap" else trial.trial_id

    assert named(digest) == [
        "lr 0.1 and 0.01 of order=swap, seed=0, and in 2 other of 6 comparisons, "
        "are equal to the bit in every epoch: is `lr` used?"
    ]


def test_numbers_of_one_epoch_are_named_only_if_all_agree() -> None:
    def two_of_three(trial: PlannedTrial) -> str:
        return text(trial, "order", "lr") + str(trial.seed == 2)

    assert named(two_of_three, epochs=1) == []
    assert len(named(two_of_three, epochs=2)) == 1
    assert named(lambda trial: text(trial, "order", "lr"), epochs=1) == [
        "seeds 0, 1 and 2 are equal to the bit in every epoch: is `seed` used?"
    ]


def test_two_metrics_of_one_epoch_are_no_coincidence() -> None:
    frame = trials_with(lambda trial: text(trial, "order", "lr") + str(trial.seed == 2), epochs=1)
    (remark,) = equal_to_the_bit(SWEEP, frame.assign(loss=1.0))
    assert remark.startswith("seeds 0 and 1 are equal to the bit")


def test_lost_networks_are_ignored_and_a_metric_that_no_trial_has_finite_tells_nothing() -> None:
    nan, inf = math.nan, math.inf
    columns = {
        "trial_id": ["fine", "null", "lost", "huge"],
        "loss": [0.5, None, nan, inf],
        "never": [nan, nan, nan, None],
    }
    rows = pa.table(columns)
    assert lost_trials(rows, ["loss", "never"]) == {"lost", "huge"}
    frame = trials_with(lambda _: "same")
    assert equal_to_the_bit(SWEEP, frame)
    assert equal_to_the_bit(SWEEP, frame, set(frame["trial_id"])) == []


@pytest.mark.parametrize(
    "frame",
    [trials_with(lambda _: None), trials_with(lambda _: "same", status="diverged")],
    ids=["first format", "diverged"],
)
def test_trials_without_a_digest_or_that_did_not_complete_are_ignored(frame: pd.DataFrame) -> None:
    assert equal_to_the_bit(SWEEP, frame) == []


def test_the_list_is_short() -> None:
    def digest(trial: PlannedTrial) -> str:
        return text(trial, "lr", "order") + "aab"[(trial.seed + (trial.params["lr"] == 0.1)) % 3]

    remarks = named(digest)
    assert len(remarks) <= 4
    constant = named(lambda _: "same")
    assert [remark.partition(" are ")[0] for remark in constant] == [
        "seeds 0, 1 and 2",
        "order convention and swap",
        "lr 0.1 and 0.01",
    ]


@given(st.lists(st.integers(0, 5), min_size=12, max_size=12))
def test_something_is_named_just_when_two_neighbours_are_equal(drawn: list[int]) -> None:
    planned = expand(SWEEP)
    digests = {trial.trial_id: str(n) for trial, n in zip(planned, drawn, strict=True)}
    neighbours = [
        (one, other)
        for one in planned
        for other in planned
        if sum(one.params[name] != other.params[name] for name in one.params) == 1
    ]
    equal = any(digests[one.trial_id] == digests[other.trial_id] for one, other in neighbours)
    assert bool(named(lambda trial: digests[trial.trial_id])) == equal


METRIC = st.none() | st.floats()
TRIAL = st.lists(st.dictionaries(st.sampled_from(["a", "b", "ab"]), METRIC), min_size=1, max_size=4)


def bits(epochs: list[dict[str, float | None]]) -> list[dict[str, bytes]]:
    return [
        {name: struct.pack("<d", value) for name, value in epoch.items() if value is not None}
        for epoch in epochs
    ]


def epochs_of(metrics: list[dict[str, float | None]], seconds: float = 1.0) -> pa.Table:
    return table_of(
        {"epoch": number, "step": None, **epoch, "seconds": seconds}
        for number, epoch in enumerate(metrics, start=1)
    )


@given(TRIAL, TRIAL)
def test_digests_are_equal_just_when_all_bits_are(
    one: list[dict[str, float | None]], other: list[dict[str, float | None]]
) -> None:
    digests = [metrics_digest(epochs_of(metrics)) for metrics in (one, other)]
    assert (digests[0] == digests[1]) == (bits(one) == bits(other))
    assert metrics_digest(epochs_of(one, seconds=2.0)) == digests[0]


def test_a_digest_tells_signs_of_zero_apart_and_keeps_to_its_definition() -> None:
    zero, minus = ([{"a": value, "b": math.nan}] for value in (0.0, -0.0))
    assert metrics_digest(epochs_of(zero)) != metrics_digest(epochs_of(minus))
    swapped = [{"b": math.nan, "a": 0.0}]
    assert metrics_digest(epochs_of(zero)) == metrics_digest(epochs_of(swapped))


def test_a_cpu_is_named_by_its_model_and_instruction_sets() -> None:
    amd = (
        "processor\t: 0\nmodel name\t: AMD  EPYC 7B13\nflags\t\t: sse fma avx2 avx\n\n"
        "processor\t: 1\nflags\t\t: amx_tile\n"
    )
    assert cpu_name(amd) == "AMD EPYC 7B13 (avx avx2 fma)"
    assert cpu_name("model name : Plain") == "Plain"
    assert cpu_name("processor : 0\nFeatures : fp asimd sve").endswith("(asimd sve)")


def test_without_nvidias_tool_the_cpu_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert processor_of(0.5) == processor_of(0) != ""
