"""Why an attempt failed, and whether the trial is tried again."""

from __future__ import annotations

from orchestrator.errors import GpuMemoryError, MetricsChangedError, TrialFailedError
from orchestrator.running.gpus import larger_fraction

_ALLOCATION_FAILED = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""What CUDA and its libraries say where torch has no class of its own for it."""


class Retries:
    """Decides which failed attempts are followed by another one.

    A trial that ran out of GPU memory may have shared it with the wrong neighbours, and gets
    one more attempt; it would hardly fit on the third. A trial whose metrics changed would
    change them again.

    Args:
        limit: how many attempts may follow the first one.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._out_of_gpu_memory: set[str] = set()

    def allow(self, trial_id: str, attempts: int, error: Exception | None) -> bool:
        """Decide whether a trial runs again after so many attempts, and note why it failed."""
        if isinstance(error, MetricsChangedError):
            return False
        if isinstance(error, GpuMemoryError):
            if trial_id in self._out_of_gpu_memory:
                return False
            self._out_of_gpu_memory.add(trial_id)
        return attempts <= self._limit


def of_gpu_memory(error: Exception, gpus: float) -> GpuMemoryError | None:
    """Recognise an error that means that a GPU's memory is full.

    Args:
        error: what the trainable raised; known by name, since nothing here imports torch.
        gpus: what ``resources.gpu`` gave the trial; without a GPU it was the machine's memory.

    Returns:
        The error to raise instead, or None.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    text = str(error)
    full = "OutOfMemoryError" in names or (
        "RuntimeError" in names and any(phrase in text for phrase in _ALLOCATION_FAILED)
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


def reason(error: BaseException) -> str:
    """Say in a line why an attempt failed."""
    if isinstance(error, GpuMemoryError | TrialFailedError):
        return str(error)
    if isinstance(error, SystemExit):
        return f"SystemExit: {error.code} before the trial was over"
    if isinstance(error, KeyboardInterrupt):
        return "KeyboardInterrupt, raised by the trainable"
    return f"{type(error).__name__}: {error}"
