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

CUDA_BYTES = 512 << 20
"""What CUDA itself takes of a GPU's memory in each process, beside torch's tensors: about 400 MB
with kernels that are loaded on use (github.com/pytorch/pytorch/issues/109888). The pilot of
`orch plan` reckons with the same."""


def choose(trial: Trial, precision: Precision, *, deterministic: bool = False) -> torch.device:
    """Return the trial's GPU if it has one, else the CPU, configured for the trial.

    Worker processes are reused, so everything that an earlier trial may have set is set again.
    On a GPU, torch is limited to what the trial's share of the memory leaves beside CUDA.

    Args:
        trial: The trial.
        precision: Of its convolutions and matrix products.
        deterministic: Whether a GPU is to compute the same bits every time.

    Raises:
        ValueError: If the trial has more than one GPU, or a share without memory for tensors.
        RuntimeError: If the trial has a GPU that torch cannot use.
    """
    torch.set_num_threads(trial.threads)
    # Else CUDA graphs would keep their memory, and the ninth network would not be compiled.
    torch.compiler.reset()
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
    fraction = memory_fraction(trial.gpus, properties.total_memory)
    torch.cuda.set_per_process_memory_fraction(fraction, device)
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


def memory_fraction(gpus: float, total: int) -> float:
    """The fraction of a GPU's memory that torch may reserve for a trial.

    Torch counts its own tensors only, so that room for CUDA is taken off the trial's share: all
    trials that share a GPU fit into it.

    Args:
        gpus: The trial's share of the GPU, at most 1.
        total: Bytes of its memory.

    Raises:
        ValueError: If the share has no room for tensors.
    """
    fraction = gpus - CUDA_BYTES / total
    if fraction <= 0:
        raise ValueError(
            f"{gpus:g} of a GPU of {total / 2**30:.0f} GiB has no room for tensors, since CUDA "
            f"takes {CUDA_BYTES / 2**30:g} GiB per trial: set a larger `resources.gpu`"
        )
    return fraction


def record_peak_memory(device: torch.device, trial: Trial) -> None:
    """Record the peak number of bytes that the trial reserved on a GPU; nothing on a CPU.

    From it and the GPU's memory, `orch plan --pilot` computes how many trials fit on one GPU.
    """
    if device.type == "cuda":
        trial.record(peak_memory_bytes=str(torch.cuda.max_memory_reserved(device)))


def place(model: nn.Module, device: torch.device, precision: Precision) -> None:
    """Move a network to a device, in channels_last memory, and set its precision.

    Tensor cores read channels_last as it is, and a CPU is faster with it. A network that
    `python -m benchmarks gpu` shows to be faster in contiguous memory is to be excepted here.

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


def compiled(model: nn.Module, *, graphs: bool) -> nn.Module:
    """A compiled version of the network for training, which shares its parameters.

    Probes need the original: the modules that they hook do not exist in the compiled one.

    Args:
        model: The network, placed.
        graphs: Whether a GPU replays the kernels of a pass as one CUDA graph, which spares the CPU
            their launches. The next step overwrites the logits and gradients of a step, unless a
            backward pass is still to come. No effect on a CPU.
    """
    # By default each trial would start a process per core.
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", str(torch.get_num_threads()))
    # An epoch has two sizes of batches, the last being smaller: each is compiled for itself.
    mode = "reduce-overhead" if graphs else None
    return cast(nn.Module, torch.compile(model, dynamic=False, mode=mode))
