"""Whether a trial costs as much in ten thousand as in one thousand, and the driver's memory.

It takes several minutes, so `make bench` leaves it out: `python -m benchmarks scheduling_large`
runs it and adds its figures to the page.
"""

import resource
from collections.abc import Iterator

from benchmarks._measure import Record, absolute, at_most, main, ratio
from benchmarks.scheduling import TRIALS, ours

MANY = 10_000
WHY = (
    "Between portions of 5,000 trials new processes start, which takes five seconds. A profile of "
    "the driver (py-spy) shows a quarter of its time in Tune's look-up of the trainable in Ray's "
    "key-value store and 15 % in placement groups, both once per trial, of a Ray that has "
    "served all the earlier trials."
)


def benchmark() -> Iterator[Record]:
    """Run one thousand trials, then ten thousand."""
    few, many = ours(TRIALS), ours(MANY)
    claim = f"{MANY:,} no-op trials, wall time per trial after the first, against {TRIALS:,}"
    yield ratio(claim, [many], [few], "ms", at_most(1.25), note=WHY)
    # The driver is the largest process waited for: Ray's processes do not stay its children.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    yield absolute("the driver's greatest resident memory", [peak / 2**20], "MiB", at_most(600))


if __name__ == "__main__":
    main(benchmark)
