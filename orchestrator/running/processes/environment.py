"""The environment of a trial's process."""

from __future__ import annotations

import os

_THREAD_SETTINGS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def environment(threads: int) -> dict[str, str]:
    """Make the environment in which the trainable is imported; what the user has set stays."""
    return {
        **dict.fromkeys(_THREAD_SETTINGS, str(threads)),
        "PYTHONHASHSEED": "0",
        # Asks the driver for GPUs without a context, which a forked process could not use.
        "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
        **os.environ,
    }
