"""Which failures are tried again, and what is said of a GPU whose memory is full."""

from __future__ import annotations

import signal

import pytest
import torch

from orchestrator.errors import GpuMemoryError, MetricError
from orchestrator.running.failures import Retries, ended, of_gpu_memory
from orchestrator.running.gpus import fraction_for, larger_fraction, trials_fitting

FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee the docs.")


@pytest.mark.parametrize(
    "error",
    [
        FULL,
        type("OutOfMemoryError", (Exception,), {})("of another framework"),
        RuntimeError("CUDA error: out of memory"),
        torch.AcceleratorError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ],
)
def test_a_full_gpu_is_known_by_what_torch_and_cuda_say(error: Exception) -> None:
    assert isinstance(of_gpu_memory(error, 0.5), GpuMemoryError)
    assert of_gpu_memory(error, 0) is None, "a trial without a GPU cannot have filled one"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        ValueError("a setting about being out of memory"),
        MemoryError(),
    ],
)
def test_other_errors_are_none_of_it(error: Exception) -> None:
    assert of_gpu_memory(error, 0.5) is None


@pytest.mark.parametrize(
    ("gpus", "larger"), [(0.1, 0.2), (0.2, 0.5), (0.25, 0.5), (0.3333, 1), (0.5, 1), (0.75, 1)]
)
def test_half_as_many_trials_are_to_share_a_gpu(gpus: float, larger: float) -> None:
    assert larger_fraction(gpus) == larger
    said = str(of_gpu_memory(FULL, gpus))
    assert said == (
        f"out of GPU memory at `resources.gpu: {gpus}`; try {larger}, so that fewer trials share "
        "a GPU (CUDA out of memory. Tried to allocate 2.00 GiB.)"
    )


def test_a_trial_that_had_a_whole_gpu_is_to_shrink() -> None:
    assert "lower its batch_size or width" in str(of_gpu_memory(FULL, 1))


@pytest.mark.parametrize("trials", range(1, 33))
def test_as_many_trials_fit_a_gpu_as_its_fraction_says(trials: int) -> None:
    assert trials * fraction_for(trials) <= 1
    assert (trials + 1) * fraction_for(trials) > 1


@pytest.mark.parametrize("needed", [1, 333, 3_333, 3_334, 5_001, 9_999, 10_000, 20_000])
def test_trials_that_fit_a_gpu_fit_the_fraction_that_they_are_told(needed: int) -> None:
    total = 10_000 * 7
    fit = trials_fitting(7 * needed, total)
    assert fit == 1 or fraction_for(fit) * total >= 7 * needed
    assert fraction_for(fit + 1) * total < 7 * needed


def test_a_full_gpu_is_tried_once_more_whatever_failed_before() -> None:
    retries = Retries(5)
    full, other = GpuMemoryError(), RuntimeError()
    assert retries.allow("one", 1, other)
    assert retries.allow("one", 2, full)
    assert not retries.allow("one", 3, full)
    assert retries.allow("another", 1, full)


def test_no_retries_are_none_for_a_full_gpu_too() -> None:
    assert not Retries(0).allow("one", 1, GpuMemoryError())


def test_other_failures_are_tried_as_often_as_the_sweep_says() -> None:
    allowed = [Retries(2).allow("one", attempts, RuntimeError()) for attempts in (1, 2, 3)]
    assert allowed == [True, True, False]
    assert not Retries(2).allow("one", 1, MetricError())


def test_signals_without_a_name_are_numbers() -> None:
    assert ended(-signal.SIGTERM) == "was killed by SIGTERM"
    assert ended(-40) == "was killed by signal 40"
