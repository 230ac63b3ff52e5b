"""How many trials per minute two cores train when one, two or four trials share them.

`resources: {cpu: 0.5}` puts four trials of one thread each on two cores; `{cpu: 2}` gives one
trial both, as two threads.
"""

import os
from collections.abc import Iterator
from functools import partial

from benchmarks._measure import Record, interleaved, main, ratio
from benchmarks._sweeps import DIGITS, folder

TRIALS = 8
REPEATS = 2


def throughput(at_once: int) -> float:
    """Return trials per minute between the first start and the last end, for a concurrency."""
    with folder() as here:
        resources = {"cpu": (os.cpu_count() or 1) / at_once, "gpu": 0}
        here.orch(
            "sweep", here.write("pack", **DIGITS, seeds=list(range(TRIALS)), resources=resources)
        )
        trials = here.trials("pack")
    span = trials["ended_at"].max() - trials["started_at"].min()
    return 60 * TRIALS / float(span.total_seconds())


def benchmark() -> Iterator[Record]:
    """Compare two and four trials at once with one."""
    figures = interleaved({str(n): partial(throughput, n) for n in (1, 2, 4)}, REPEATS)
    for at_once in ("2", "4"):
        yield ratio(
            f"{TRIALS} small networks on digits, {at_once} trials at once against one at a time",
            figures[at_once],
            figures["1"],
            "trials/min",
        )


if __name__ == "__main__":
    main(benchmark)
