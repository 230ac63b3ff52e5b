"""The device and precision of a trial, with everything specific to GPUs."""

import ctypes
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, cast

import torch
from torch import Tensor, nn

from trainables.contract import Trial

Precision = Literal["fp32", "tf32", "bf16"]

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_KEPT = 1 << 30  # bytes


def choose(trial: Trial, precision: Precision, *, deterministic: bool = False) -> torch.device:
    """Return the trial's GPU if it has one, else the CPU, configured for the trial.

    Worker processes are reused, so everything that an earlier trial may have set is set again.
    On a shared GPU, the process is limited to the trial's share of the memory.

    Args:
        trial: The trial.
        precision: Of its convolutions and matrix products.
        deterministic: Whether a GPU is to compute the same bits every time.

    Raises:
        ValueError: If the trial has more than one GPU.
        RuntimeError: If the trial has a GPU that torch cannot use.
    """
    torch.set_num_threads(trial.threads)
    if trial.gpus > 1:
        raise ValueError(
            f"the trial has {trial.gpus:g} GPUs and trains on one: set `resources.gpu` to 1 or less"
        )
    if not trial.gpus:
        trial.record(device="cpu")
        _keep_freed_memory()
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise RuntimeError(
            "the trial has a GPU, but torch detects none: install a CUDA build of it"
        )
    device = torch.device("cuda", 0)  # the first of those in CUDA_VISIBLE_DEVICES
    properties = torch.cuda.get_device_properties(device)
    trial.record(device=properties.name, gpu_memory_bytes=str(properties.total_memory))
    # Both are set, since by default torch lets convolutions round to 10 bits.
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    if deterministic:  # cuBLAS reads it at its first use
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.deterministic = deterministic
    # The batches of a trial have few shapes; but which kernel is fastest depends on the moment.
    torch.backends.cudnn.benchmark = not deterministic
    gc.collect()  # memory of an earlier trial would count against this one
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(memory_fraction(trial.gpus), device)
    torch.cuda.reset_peak_memory_stats(device)
    return device


def _keep_freed_memory() -> None:
    """Have glibc keep the memory that a step frees for the next step.

    By default it returns large blocks to the kernel, which has to clear every page again for
    the next step: 8 % of the time of VGG16_11 at width 1/4. The results do not change.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # only glibc has it
    if mallopt and mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT):
        mallopt(_M_TRIM_THRESHOLD, _LARGEST_KEPT)


@contextmanager
def subnormals_as_zero() -> Iterator[None]:
    """Flush subnormal numbers, those below 1.2e-38, to zero while the block runs.

    A CPU computes with them many times more slowly, and the gradients of a network that is about
    to die consist largely of them: an epoch of the network of 004 that starts from all three
    functions with large gates took 72 s with them and takes 19 s without, with the same losses to
    the last digit. With several threads nothing changes, since torch sets the mode of the calling
    thread only. Torch does not expose the previous mode, so its default, off, is restored.
    """
    torch.set_flush_denormal(torch.get_num_threads() == 1)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def memory_fraction(gpus: float) -> float:
    """The fraction of one GPU's memory that a trial with so many GPUs may use."""
    return min(1.0, float(gpus))


def record_peak_memory(device: torch.device, trial: Trial) -> None:
    """Record the peak number of bytes that the trial reserved on a GPU; nothing on a CPU.

    From it and the GPU's memory, `orch plan --pilot` computes how many trials fit on one GPU.
    """
    if device.type == "cuda":
        trial.record(peak_memory_bytes=str(torch.cuda.max_memory_reserved(device)))


def place(model: nn.Module, device: torch.device, precision: Precision) -> None:
    """Move a network to a device, in channels_last memory, and set its precision.

    With bf16, convolutions and matrix products round their inputs to bfloat16; parameters,
    logits and the loss stay float32.
    """
    model.to(device).to(memory_format=torch.channels_last)
    if precision == "bf16":
        exact = model.forward

        def forward(images: Tensor) -> Tensor:
            with torch.autocast(device.type, torch.bfloat16):
                logits: Tensor = exact(images)
            return logits.float()

        model.forward = forward


def pixel_by_pixel_on_cpu(x: Tensor) -> bool:
    """Whether a batch has the layout of a trial on a CPU: 4-D float32 in channels_last memory.

    False while a network is being compiled: the compiler supports neither these checks nor the
    kernels that depend on them.
    """
    return (
        not torch.compiler.is_compiling()
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.ndim == 4
        and x.is_contiguous(memory_format=torch.channels_last)
    )


def compiled(model: nn.Module) -> nn.Module:
    """A compiled version of the network for training, which shares its parameters.

    Probes need the original: the modules that they hook do not exist in the compiled one.
    """
    torch.compiler.reset()  # otherwise the ninth trial of a process would not be compiled
    return cast(nn.Module, torch.compile(model))
