"""Memory of trials: one copy of a data set on a node, and what a trial takes besides.

A process's share is its proportional set size: a page that two processes map counts half in each.
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
from benchmarks._loops import found, ours
from benchmarks._measure import Record, absolute, at_most, main, ratio


def train_and_wait(pipe: "Connection[None, None]", params: dict[str, Any]) -> None:
    """Train an epoch, say so, and wait for the other end to close."""
    epochs = ours({**params, "epochs": 2})
    next(epochs)
    pipe.send(None)
    pipe.poll(None)


@contextmanager
def trials(params: dict[str, Any], count: int) -> Iterator[list[int]]:
    """Processes that stand at the end of an epoch of the same trial, by id."""
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
    """MiB of a process that has only imported torch, and reads its own figure."""
    script = "import torch; print(open('/proc/self/status').read())"
    command = [sys.executable, "-c", script]
    status = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    [kib] = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(kib) / 1024


def resident(pid: int) -> float:
    """MiB of a process that are in memory, each page as if it were its own."""
    return _rollup(pid)["Rss"]


def share(pids: list[int]) -> float:
    """MiB that processes take together, a page that they share counted once."""
    return sum(_rollup(pid)["Pss"] for pid in pids)


def mapped(pid: int, file: str) -> tuple[float, float]:
    """MiB of files of a name in a process's memory: all of them, and its share."""
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
    """One copy of the data set for two processes, and a trial beside a bare process."""
    if not Path("/proc/self/smaps_rollup").exists():
        left_out("needs Linux, whose /proc tells what processes share")
    params = {
        "dataset": found("cifar10", "parquet:cifar10"),
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
