"""Memory of trials: one copy of a data set per node, and the rest of what a trial takes.

The share of a process is its proportional set size: a page that two processes map counts half in
each.
"""

import multiprocessing as mp
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks import left_out
from benchmarks._loops import available, ours
from benchmarks._measure import Record, absolute, at_most, main, ratio


def train_and_wait(pipe: "Connection[None, None]", params: dict[str, Any]) -> None:
    """Train an epoch, report it, and wait until the other end closes."""
    epochs = ours({**params, "epochs": 2})
    next(epochs)
    pipe.send(None)
    pipe.poll(None)


@contextmanager
def trials(params: dict[str, Any], count: int) -> Iterator[list[int]]:
    """Start processes that wait at the end of an epoch of the same trial; yield their ids."""
    context = mp.get_context("spawn")
    running = []
    for _ in range(count):
        here, there = context.Pipe()
        process = context.Process(target=train_and_wait, args=(there, params))
        process.start()
        there.close()
        running.append((here, process))
    try:
        for here, _ in running:
            here.recv()
        yield [process.pid or 0 for _, process in running]
    finally:
        for here, process in running:
            here.close()
            process.join()


def bare() -> float:
    """Return the resident MiB of a process that has only imported torch."""
    script = "import torch; print(open('/proc/self/status').read())"
    command = [sys.executable, "-c", script]
    status = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    [kib] = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(kib) / 1024


def resident(pid: int) -> float:
    """Return the resident MiB of a process, shared pages counted in full."""
    return _rollup(pid)["Rss"]


def share(pids: list[int]) -> float:
    """Return the MiB that processes take together, shared pages counted once."""
    return sum(_rollup(pid)["Pss"] for pid in pids)


def mapped(pid: int, file: str) -> tuple[float, float]:
    """Return the resident MiB of a mapped file in a process: in full, and its share."""
    sizes = {"Rss": 0.0, "Pss": 0.0}
    inside = False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        name, *fields = line.split()
        if not name.endswith(":"):
            inside = line.endswith(file)
        elif inside and name[:-1] in sizes:
            sizes[name[:-1]] += int(fields[0]) / 1024
    return sizes["Rss"], sizes["Pss"]


def _rollup(pid: int) -> dict[str, float]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {name.rstrip(":"): int(size) / 1024 for name, size, _ in map(str.split, lines)}


def benchmark() -> Iterator[Record]:
    """Compare two processes with one copy of the data set, and a trial with a bare process."""
    if not Path("/proc/self/smaps_rollup").exists():
        left_out("needs Linux, whose /proc shows what processes share")
    params = {
        "dataset": available("cifar10", "parquet:cifar10"),
        "model": "vgg16_11",
        "activation": "tanh",
        "order": "swap",
        "width": 0.125,
        "augment": "crop_flip",
        "lr": 0.01,
        "seed": 0,
    }
    with trials(params, 2) as pids:
        pairs = [mapped(pid, "/images.npy") for pid in pids]
        together = share(pids)
        trial = resident(pids[0])
    one_copy = max(whole for whole, _ in pairs)
    yield ratio(
        "Decoded images in memory, two processes that train on CIFAR-10 against one copy",
        [sum(part for _, part in pairs)],
        [one_copy],
        "MiB",
        at_most(1.05),
    )
    torch_alone = bare()
    yield absolute(
        "A trial's resident memory above that of `import torch`: VGG16_11 at width 1/8, batch 128",
        [trial - torch_alone],
        "MiB",
        note=f"{trial:.0f} MiB, of which {one_copy:.0f} are the shared images; two of them "
        f"take {together:.0f} together; `import torch` alone {torch_alone:.0f}",
    )


if __name__ == "__main__":
    main(benchmark)
