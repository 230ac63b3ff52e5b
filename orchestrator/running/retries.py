"""Classes of failure: how a trainable's error is told, and whether the trial is tried again."""

from __future__ import annotations

import math

from orchestrator.errors import GpuMemoryError, MetricsChangedError

_ALLOCATION_FAILED = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""What CUDA and its libraries say where torch has no class of its own for it."""


class Retries:
    """Decides which attempts that failed are followed by another one.

    A trial that ran out of GPU memory may have met the wrong neighbours, and is tried once
    more; the same trial would hardly fit on the third try. A trial whose metrics changed
    would change them again.

    Args:
        limit: how often a trial is tried again at most.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._out_of_gpu_memory: set[str] = set()

    def allow(self, trial_id: str, attempts: int, error: Exception | None) -> bool:
        """Tell whether a trial is tried again after so many attempts, and note why it failed."""
        if isinstance(error, MetricsChangedError):
            return False
        if isinstance(error, GpuMemoryError):
            if trial_id in self._out_of_gpu_memory:
                return False
            self._out_of_gpu_memory.add(trial_id)
        return attempts <= self._limit


def of_gpu_memory(error: Exception, gpus: float) -> GpuMemoryError | None:
    """Tell whether a trainable's error means that a GPU's memory is full.

    Args:
        error: what it raised; known by name, since nothing here imports torch.
        gpus: what ``resources.gpu`` gave the trial; without a GPU it was the machine's memory.

    Returns:
        The error to raise instead, or None.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    text = str(error)
    full = "OutOfMemoryError" in names or (
        "RuntimeError" in names and any(said in text for said in _ALLOCATION_FAILED)
    )
    if not (full and gpus):
        return None
    if gpus < 1:
        remedy = f"try {larger_fraction(gpus):g}, so that fewer trials share a GPU"
    else:
        remedy = "the trial had whole GPUs: lower its batch_size or width"
    first_line = text.partition("\n")[0]
    return GpuMemoryError(
        f"out of GPU memory at `resources.gpu: {gpus:g}`; {remedy} ({first_line})"
    )


def larger_fraction(gpus: float) -> float:
    """Find the fraction at which half as many trials share a GPU: 0.25, 0.5, 1."""
    return fraction(math.floor(1 / gpus) // 2)


def fraction(trials: int) -> float:
    """Find the part of a GPU of which so many fit, in the 1/10,000 in which Ray counts."""
    return math.floor(10_000 / max(trials, 1)) / 10_000


def words(error: Exception) -> str:
    """Say in a line why an attempt failed."""
    return str(error) if isinstance(error, GpuMemoryError) else f"{type(error).__name__}: {error}"
