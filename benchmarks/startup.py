"""How long a command takes that runs no trials.

The floor is the import that all of them need: pandas and Parquet.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter

from benchmarks._measure import Record, absolute, at_most, interleaved, main, ratio
from benchmarks._sweeps import Folder, folder

TRIALS = 10_000
FLOOR = [sys.executable, "-c", "import pandas, pyarrow.parquet"]
TABLE = (
    "Of what `orch table` adds to the floor, a third is the import of scipy.special, for the "
    "t quantile of its intervals (half of that is numpy.f2py, which SciPy imports on its way); "
    "another third are pydantic, rich and the classes of a sweep."
)


def seconds(command: Sequence[str], here: Folder) -> Callable[[], float]:
    """Return a function that times a command."""

    def run() -> float:
        started = perf_counter()
        subprocess.run(command, cwd=here.path, check=True, capture_output=True)
        return perf_counter() - started

    return run


def orch(*arguments: str) -> list[str]:
    """Return an `orch` command."""
    return [sys.executable, "-m", "orchestrator", *arguments]


def light_commands() -> Iterator[Record]:
    """Compare the commands that only read, on a store of eight trials, with the floor."""
    with folder() as here:
        here.orch("sweep", here.write("small", seeds=list(range(8))), "--runner", "inline")
        commands = {
            "orch --help": orch("--help"),
            **{f"orch {name}": orch(name, "small.yaml") for name in ("plan", "status", "table")},
            "floor": FLOOR,
        }
        figures = interleaved({name: seconds(line, here) for name, line in commands.items()})
    floor = figures.pop("floor")
    for name, ours in figures.items():
        claim = f"`{name}` against `import pandas, pyarrow.parquet`"
        note = TABLE if name == "orch table" else ""
        yield ratio(claim, ours, floor, "s", at_most(2), note=note)


def finished_sweep() -> Record:
    """Time `orch sweep` with nothing left to do."""
    with folder() as here:
        file = here.write("done", search={"y": list(range(TRIALS))})
        here.orch("sweep", file, "--runner", "inline")
        figures = interleaved({"ours": seconds(orch("sweep", file.name), here)})
    claim = f"`orch sweep` on a finished store of {TRIALS:,} trials, tables printed"
    return absolute(claim, figures["ours"], "s", at_most(3))


def benchmark() -> Iterator[Record]:
    """Run every comparison."""
    yield from light_commands()
    yield finished_sweep()


if __name__ == "__main__":
    main(benchmark)
