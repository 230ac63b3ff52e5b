"""What a trial computes on, as far as the last digits of its numbers depend on it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from functools import cache
from pathlib import Path

INSTRUCTIONS = (
    *("avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16"),
    *("avx_vnni", "amx_bf16", "amx_int8", "amx_tile"),
    *("asimd", "asimdhp", "asimddp", "bf16", "i8mm", "sve", "sve2"),
)
"""Those by which numeric libraries choose their kernels, as Linux names them; x86, then ARM."""
_CUDNN = ("nvidia-cudnn-cu13", "nvidia-cudnn-cu12", "nvidia-cudnn-cu11")
_SECONDS = 10
"""How long `nvidia-smi` may take."""


def processor_of(gpus: float) -> str:
    """Name the processor of this process: the GPU where it has one and it is known, or the CPU.

    Args:
        gpus: the GPUs of the trial, or its fraction of one.
    """
    return (_gpu() if gpus else None) or _cpu()


def cpu_name(cpuinfo: str) -> str:
    """Name a CPU's model and instruction sets from the text of `/proc/cpuinfo`.

    Returns:
        Such as ``AMD EPYC 7B13 (avx avx2 fma)``.
    """
    first, _, _ = cpuinfo.strip().partition("\n\n")
    pairs = (line.partition(":") for line in first.splitlines())
    values = {name.strip(): value.strip() for name, _, value in pairs}
    flags = set(values.get("flags", values.get("Features", "")).split())
    model = " ".join(values.get("model name", "").split()) or platform.machine()
    known = " ".join(name for name in INSTRUCTIONS if name in flags)
    return f"{model} ({known})" if known else model


@cache
def _cpu() -> str:
    try:
        return cpu_name(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return platform.processor() or platform.machine()


@cache
def _gpu() -> str | None:
    """Name the visible GPU, its driver and cuDNN; None where NVIDIA's tool does not tell."""
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible:
        query.append(f"--id={visible}")
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    names = dict.fromkeys(line.strip() for line in done.stdout.splitlines() if line.strip())
    gpus = " and ".join(line.replace(", ", ", driver ") for line in names)
    return f"{gpus}, cuDNN {cudnn}" if gpus and (cudnn := _cudnn()) else gpus or None


def _cudnn() -> str | None:
    """Return the version of the cuDNN that was installed with torch."""
    for name in _CUDNN:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None
