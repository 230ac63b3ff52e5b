"""Precision, compilation and GPU memory, as far as a CPU can test them."""

from io import BytesIO

import pytest
import torch

from trainables import devices
from trainables.classify import train


def run(params, trial):
    return list(train(params, trial))


@pytest.mark.parametrize(("gpus", "share"), [(0.25, 0.25), (1, 1.0), (2, 1.0)])
def test_a_trial_gets_its_share_of_one_gpus_memory(gpus, share):
    assert devices.memory_fraction(gpus) == share


def test_more_than_one_gpu_is_refused_in_words(digits_params, make_trial):
    with pytest.raises(ValueError, match=r"has 2 GPUs and trains on one: set `resources.gpu` to 1"):
        run(digits_params, make_trial(gpus=2))


def test_a_cpu_computes_the_same_bits_with_deterministic_and_without(digits_params, make_trial):
    params = {**digits_params, "epochs": 1}
    assert run({**params, "deterministic": True}, make_trial()) == run(params, make_trial())


@pytest.mark.gpu
def test_a_gpu_computes_the_same_bits_every_time_with_deterministic(digits_params, make_trial):
    params = {**digits_params, "deterministic": True}
    assert run(params, make_trial(gpus=1)) == run(params, make_trial(gpus=1))


def test_bf16_learns_as_well_and_keeps_float32_parameters(digits_params, make_trial):
    exact, rounded = make_trial(), make_trial()
    expected = run(digits_params, exact)[-1]
    metrics = run({**digits_params, "precision": "bf16"}, rounded)[-1]
    assert metrics != expected
    assert metrics["test_accuracy"] == pytest.approx(expected["test_accuracy"], abs=0.08)
    assert metrics["test_loss"] == pytest.approx(expected["test_loss"], abs=0.15)
    assert [row[:2] for row in rounded.rows] == [row[:2] for row in exact.rows]
    for one, other in zip(rounded.rows, exact.rows, strict=True):
        if one.probe in ("saturation", "sparsity"):  # the skewness of so few images is noise
            assert one.value == pytest.approx(other.value, abs=0.1)
    weights = torch.load(BytesIO(rounded.saved), weights_only=True)["model"].values()
    assert torch.float32 in {weight.dtype for weight in weights}
    assert torch.bfloat16 not in {weight.dtype for weight in weights}


def test_bf16_resumes_to_the_bit(digits_params, make_trial):
    params = {**digits_params, "precision": "bf16", "epochs": 2}
    uninterrupted = run(params, make_trial())
    first = make_trial()
    before = next(train(params, first))
    assert [before, *run(params, make_trial(saved=first.saved))] == uninterrupted


def test_tf32_is_fp32_on_a_cpu(digits_params, make_trial):
    params = {**digits_params, "epochs": 1}
    tf32 = run({**params, "precision": "tf32"}, make_trial())
    assert tf32 == run(params, make_trial())


def test_an_unknown_precision_is_rejected(digits_params):
    with pytest.raises(ValueError, match=r"precision: .*'fp32', 'tf32' or 'bf16', got 'fp16'"):
        train.check({**digits_params, "precision": "fp16"})


@pytest.mark.slow
def test_compiled_training_is_the_plain_one_up_to_rounding(digits_params, make_trial):
    params = {**digits_params, "epochs": 2}
    plain, compiled = make_trial(), make_trial()
    expected = run(params, plain)
    metrics = run({**params, "compile": True}, compiled)
    for one, other in zip(metrics, expected, strict=True):
        assert one == pytest.approx(other, abs=0.05)
    assert [row[:2] for row in compiled.rows] == [row[:2] for row in plain.rows]
    resumed = make_trial(saved=plain.saved)  # their checkpoints are interchangeable
    assert run({**params, "compile": True}, resumed) == []


@pytest.mark.parametrize(("threads", "flushed"), [(1, True), (2, False)])
def test_subnormal_numbers_are_flushed_within_the_block(threads, flushed):
    subnormal = torch.tensor(1e-40)
    torch.set_num_threads(threads)
    try:
        with devices.subnormals_as_zero():
            assert (float(subnormal * 1) == 0) is flushed
    finally:
        torch.set_num_threads(1)
    assert float(subnormal * 1) > 0
