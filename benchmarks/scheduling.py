"""What the tool itself costs per trial, and how well it keeps slots busy.

Trials of one empty epoch, two at a time, stored like any trial, are compared with the same trials
on Ray Tune alone, whose results are discarded.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from time import perf_counter

from benchmarks._measure import Record, absolute, at_least, at_most, interleaved, main, ratio
from benchmarks._sweeps import (
    PROGRAM,
    SLEEPER,
    TORCH,
    folder,
    half_the_cores,
    seconds_between_ends,
)

TRIALS = 1_000
TORCH_TRIALS = 100
PROGRAM_TRIALS = 50
FUNCTION_TRIALS = 20
REPEATS = 2


def ours(trials: int = TRIALS) -> float:
    """Return wall milliseconds per no-op trial with `orch sweep`."""
    with folder() as here:
        search = {"y": list(range(trials))}
        here.orch("sweep", here.write("noop", search=search, resources=half_the_cores()))
        return 1e3 * seconds_between_ends(here.trials("noop"))


def beside_training() -> float:
    """Return milliseconds per trial with torch, one at a time, beside its training step."""
    with folder(TORCH) as here:
        resources = {"cpu": os.cpu_count() or 1, "gpu": 0}
        search = {"y": list(range(TORCH_TRIALS))}
        here.orch("sweep", here.write("torch", search=search, resources=resources))
        trials = here.trials("torch")
    return 1e3 * (seconds_between_ends(trials) - float(trials["training"].mean()))


def programs() -> float:
    """Return milliseconds per trial of a command whose program does nothing, one at a time."""
    with folder(PROGRAM) as here:
        keys = {
            "trainable": None,
            "command": ["python", "bench.py", "--{params}"],
            "metrics": {"json": "stdout"},
            "resources": {"cpu": os.cpu_count() or 1, "gpu": 0},
            "search": {"y": list(range(PROGRAM_TRIALS))},
        }
        here.orch("sweep", here.write("program", **keys))
        return 1e3 * seconds_between_ends(here.trials("program"))


def programs_alone() -> float:
    """Return milliseconds per run of that program by itself."""
    with folder(PROGRAM) as here:
        command = [sys.executable, "bench.py", "--x=1", "--y=1", "--seed=0"]
        started = perf_counter()
        for _ in range(PROGRAM_TRIALS):
            subprocess.run(command, cwd=here.path, check=True, capture_output=True)
        return 1e3 * (perf_counter() - started) / PROGRAM_TRIALS


def tune_alone(kind: str, trials: int) -> float:
    """Return wall milliseconds per no-op trial on Tune alone."""
    command = [sys.executable, "-m", "benchmarks._tune_alone", kind, str(trials)]
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    process = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return 1e3 * float(process.stdout.splitlines()[-1])


def per_trial() -> Iterator[Record]:
    """Compare ours with both ways of using Tune alone."""
    figures = interleaved(
        {
            "ours": ours,
            "torch": beside_training,
            "programs": programs,
            "programs alone": programs_alone,
            "class": lambda: tune_alone("class", TRIALS),
            "function": lambda: tune_alone("function", FUNCTION_TRIALS),
        },
        REPEATS,
    )
    claim = f"{TRIALS:,} no-op trials, wall time per trial after the first"
    yield absolute(claim, figures["ours"], "ms", at_most(50))
    claim = f"{TORCH_TRIALS} trials that import torch, one at a time: wall time beside a step"
    yield absolute(claim, figures["torch"], "ms", at_most(150))
    claim = f"{PROGRAM_TRIALS} trials of a program, one at a time: wall time beside its own start"
    columns = (figures["programs"], figures["programs alone"])
    beside = [ours - alone for ours, alone in zip(*columns, strict=True)]
    yield absolute(claim, beside, "ms", note="Its Python also tells what it imports.")
    yield ratio(
        f"the no-op trials against a Tune class whose processes are reused, {TRIALS:,} trials",
        figures["ours"],
        figures["class"],
        "ms",
        note=(
            "Ours gives every trial a process of its own and makes it durable; trials of the class "
            "share a process and leave nothing."
        ),
    )
    yield ratio(
        f"the no-op trials against a plain Tune function, {FUNCTION_TRIALS} trials",
        figures["ours"],
        figures["function"],
        "ms",
        at_most(0.05),
    )


def utilisation() -> Record:
    """Record how busy trials of 20 s keep two slots."""
    with folder(SLEEPER) as here:
        search = {"y": list(range(8))}
        here.orch("sweep", here.write("sleep", search=search, resources=half_the_cores()))
        trials = here.trials("sleep")
    span = (trials["ended_at"].max() - trials["started_at"].min()).total_seconds()
    busy = (trials["ended_at"] - trials["started_at"]).dt.total_seconds().sum()
    return absolute(
        "eight trials of 20 s: how much of the time between first start and last end two slots "
        "are busy",
        [100 * busy / (2 * span)],
        "%",
        at_least(97),
    )


def benchmark() -> Iterator[Record]:
    """Run every comparison."""
    yield from per_trial()
    yield utilisation()


if __name__ == "__main__":
    main(benchmark)
