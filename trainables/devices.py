"""What a trial computes on, and how exactly: all that is particular to GPUs is in here."""

import ctypes
import gc
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


def choose(trial: Trial, precision: Precision) -> torch.device:
    """The trial's GPU if it has one, else the CPU, set up for the trial.

    Worker processes are reused, so whatever an earlier trial may have set is set again. Of a
    GPU that it shares, the process gets no more memory than the trial's part.

    Raises:
        RuntimeError: If the trial was given a GPU that torch cannot use.
    """
    torch.set_num_threads(trial.threads)
    if not trial.gpus:
        trial.record(device="cpu")
        _keep_freed_memory()
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise RuntimeError("the trial was given a GPU, but torch sees none: is it a CUDA build?")
    device = torch.device("cuda", 0)  # the first of those in CUDA_VISIBLE_DEVICES
    properties = torch.cuda.get_device_properties(device)
    trial.record(device=properties.name, gpu_memory_bytes=str(properties.total_memory))
    # Both are set: left alone, torch would have convolutions round to 10 bits.
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.benchmark = True  # the shapes of a trial's batches hardly vary
    gc.collect()  # what an earlier trial left would count against this one
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(memory_fraction(trial.gpus), device)
    torch.cuda.reset_peak_memory_stats(device)
    return device


def _keep_freed_memory() -> None:
    """Have glibc keep the memory that a step frees for the next step.

    Else it hands large blocks back to the kernel, which clears every page once more for the
    next step: 8 % of the time of VGG16_11 at width 1/4. What is computed stays the same.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # elsewhere than on Linux there is none
    if mallopt and mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT):
        mallopt(_M_TRIM_THRESHOLD, _LARGEST_KEPT)


@contextmanager
def subnormals_as_zero() -> Iterator[None]:
    """Take floating-point numbers nearer to zero than 1.2e-38 for zero, while the block runs.

    A CPU takes many times as long for them, and gradients of a network that is about to die are
    full of them: 004's, started at all three functions with large gates, took 72 s for an epoch
    that takes 19 s so, with the same losses to the last digit. Not with several threads: torch
    sets the calling one alone. Nor can torch be asked how it was; it is left as torch starts.
    """
    torch.set_flush_denormal(torch.get_num_threads() == 1)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def memory_fraction(gpus: float) -> float:
    """The part of one GPU's memory that belongs to a trial which was given so many GPUs."""
    return min(1.0, float(gpus))


def record_peak_memory(device: torch.device, trial: Trial) -> None:
    """Record the most bytes that the trial has held of a GPU; nothing on a CPU.

    `orch plan --pilot` finds from it, and from the GPU's own, how many trials share one.
    """
    if device.type == "cuda":
        trial.record(peak_memory_bytes=str(torch.cuda.max_memory_reserved(device)))


def place(model: nn.Module, device: torch.device, precision: Precision) -> None:
    """Move a network to a device, in channels_last memory, to run there at a precision.

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
    """Whether a batch is what networks pass on in a trial on a CPU, as `place` puts them there.

    That is float32 of four dimensions in channels_last memory. False while a network is compiled:
    the compiler cannot follow what is made of such batches, nor the other questions.
    """
    return (
        not torch.compiler.is_compiling()
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.ndim == 4
        and x.is_contiguous(memory_format=torch.channels_last)
    )


def compiled(model: nn.Module) -> nn.Module:
    """The same network for training, compiled; it shares its parameters with the original.

    Probes need the original: what they hook into does not exist in the compiled one.
    """
    torch.compiler.reset()  # else the ninth trial of a process would run uncompiled
    return cast(nn.Module, torch.compile(model))
