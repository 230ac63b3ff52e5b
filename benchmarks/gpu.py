"""Training on a GPU, compared with the usual loop on the same GPU, and its choices compared.

The usual loop is torchvision's RandomCrop, flip, ToTensor and Normalize, a DataLoader with a worker
per core, up to 16, NCHW, `torch.optim.SGD` and torch's defaults, with which convolutions compute in
TF32. Ours is the loop of `trainables.classify`. Both train the same network with batch norm after
tanh on the same noise, and are timed by the clock after three epochs, whole epochs at a time.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from benchmarks import left_out
from benchmarks._gpu_loops import Case, How, memory, ours, usual, waiting
from benchmarks._measure import Record, absolute, at_least, at_most, interleaved, main, ratio
from benchmarks._page import gpus
from benchmarks._processes import served
from benchmarks._sweeps import DIGITS, folder
from benchmarks.decoding import IMAGES, make
from trainables.devices import CUDA_BYTES

CASES = (
    Case("vgg16_11", 32, 10_000),
    Case("mobilenet", 32, 10_000),
    Case("vgg16_11", 224, 1_000, batch=64),
    Case("mobilenet", 224, 2_000, batch=64),
)
SMALL, LARGE = Case("vgg16_11", 32, 12_800), Case("vgg16_11", 224, IMAGES, batch=125)
"""Of whole batches."""
HOWS = {
    "fp32": How("fp32"),
    "tf32": How("tf32"),
    "bf16": How("bf16"),
    "bf16, compiled": How("bf16", compile=True),
    "bf16, compiled with graphs": How("bf16", compile="graphs"),
}
FORMATS = ("vgg16_11", "mobilenet", "preact_resnet18", "inception33", "tf_cifar10")
WORKERS = min(16, os.cpu_count() or 1)


def speeds(case: Case, gpu: float = 1, workers: int = WORKERS) -> Iterator[Record]:
    """Compare each precision with the usual loop; fp32 computes more exactly than that does."""
    baseline = partial(usual, case, workers, gpu)
    for name, how in HOWS.items():
        with served({"ours": partial(ours, case, how, gpu), "baseline": baseline}) as next_speed:
            figures = interleaved(next_speed)
        claim = f"{case.model}, {case.side} pixels, batch {case.batch}, {name}"
        target = at_least(2) if case.side == 32 and name != "fp32" else None
        yield ratio(claim, figures["ours"], figures["baseline"], "images/s", target, note=note())


def choices(case: Case, one: How, other: How, claim: str, gpu: float = 1) -> Record:
    """Compare two ways to train, of which the second is the baseline."""
    loops = {"ours": partial(ours, case, one, gpu), "baseline": partial(ours, case, other, gpu)}
    with served(loops) as next_speed:
        figures = interleaved(next_speed)
    return ratio(claim, figures["ours"], figures["baseline"], "images/s", note=note())


def waits(small: Case = SMALL, large: Case = LARGE, gpu: float = 1) -> Iterator[Record]:
    """Measure by how much making batches prolongs an epoch."""
    with tempfile.TemporaryDirectory() as name:
        make(Path(name))
        for case, files, source in ((small, None, "memory"), (large, Path(name), "JPEG files")):
            with served({"ours": partial(waiting, case, How("tf32"), gpu, files)}) as next_share:
                figures = interleaved(next_share)["ours"]
            claim = f"{case.model}, {case.side} pixels: making batches from {source}"
            yield absolute(claim, figures, "% of an epoch", at_most(5), note=note())


def peaks(case: Case) -> Iterator[Record]:
    """Measure the memory of a trial, on a GPU that nothing else uses."""
    beside = 0.0
    for name, how in HOWS.items():
        with served({"ours": partial(memory, case, how, 1)}) as figures:
            reserved, cuda = figures["ours"](), figures["ours"]()
        beside = max(beside, cuda)
        yield absolute(f"{case.model}, {case.side} pixels, {name}: peak", [reserved], "MiB")
    target = at_most(CUDA_BYTES / 2**20)
    yield absolute(f"{case.model}, {case.side} pixels: CUDA beside it", [beside], "MiB", target)


def pilot(gpu: float = 1, width: float = 1) -> Iterator[Record]:
    """Compare the answer of `orch plan --pilot` with the trial that it is about."""
    fixed = {**DIGITS["fixed"], "width": width, "precision": "tf32"}
    with folder() as here:
        keys = {**DIGITS, "fixed": fixed, "resources": {"cpu": 1, "gpu": gpu}}
        file = here.write("piloted", **keys)
        command = [sys.executable, "-m", "orchestrator", "plan", str(file), "--pilot", "--json"]
        done = subprocess.run(command, cwd=here.path, check=True, capture_output=True, text=True)
        [told] = json.loads(done.stdout)["pilot"]
        here.orch("sweep", file)
        [trial] = here.trials("piloted").to_dict("records")
    claim = "the pilot's answer against the trial on digits"
    yield ratio(f"{claim}: seconds", [told["seconds"]], [trial["seconds"]], "s", note=note())
    if gpu:
        peak = int(json.loads(trial["facts"])["peak_memory_bytes"])
        yield ratio(f"{claim}: peak memory", [told["gpu_memory"]], [peak], "bytes")


def note() -> str:
    """Name the processor of a ratio."""
    return f"On {', '.join(gpus()) or 'a CPU'}, one process at a time."


def benchmark() -> Iterator[Record]:
    """Compare speeds, memory formats and determinism; measure waits, memory and the pilot."""
    if not torch.cuda.is_available():
        left_out("torch detects no GPU: a CUDA build of it and a GPU are needed")
    for case in CASES:
        yield from speeds(case)
    for model in FORMATS:
        for precision in ("fp32", "tf32", "bf16"):
            claim = f"{model}, 32 pixels, {precision}: channels_last against contiguous"
            one, other = How(precision), How(precision, contiguous=True)
            yield choices(Case(model, 32, 5_000), one, other, claim)
    for case in CASES[:2]:
        claim = f"{case.model}, 32 pixels, tf32: deterministic against not"
        yield choices(case, How("tf32", deterministic=True), How("tf32"), claim)
    yield from waits()
    for case in CASES:
        yield from peaks(case)
    yield from pilot()


if __name__ == "__main__":
    main(benchmark)
