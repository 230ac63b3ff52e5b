"""Precision and GPU memory, as far as a CPU can test them."""

from io import BytesIO

import pytest
import torch

from orchestrator.pilot.pilot import CUDA_BYTES
from trainables import devices
from trainables.classify import train


def run(params, trial):
    return list(train(params, trial))


@pytest.mark.parametrize("trials", [1, 2, 3, 4, 7, 40])
def test_trials_that_share_a_gpu_fit_into_it_each_with_its_cuda_context(trials):
    total = 80 * 2**30
    tensors = devices.memory_fraction(1 / trials, total) * total
    assert trials * (tensors + devices.CUDA_BYTES) == pytest.approx(total)


def test_trials_and_pilots_reckon_with_the_same_memory_of_cuda():
    assert devices.CUDA_BYTES == CUDA_BYTES


def test_a_share_without_memory_for_tensors_is_refused_in_words():
    with pytest.raises(
        ValueError, match=r"0\.05 of a GPU of 8 GiB has no room for tensors.*0\.5 GiB"
    ):
        devices.memory_fraction(0.05, 8 * 2**30)


def test_more_than_one_gpu_is_refused_in_words(digits_params, make_trial):
    with pytest.raises(ValueError, match=r"has 2 GPUs and trains on one: set `resources.gpu` to 1"):
        run(digits_params, make_trial(gpus=2))


def test_a_cpu_computes_the_same_bits_with_deterministic_and_without(digits_params, make_trial):
    params = {**digits_params, "epochs": 1}
    assert run({**params, "deterministic": True}, make_trial()) == run(params, make_trial())


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
