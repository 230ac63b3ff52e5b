"""How much time it saves to run the longest trials of a seed first.

A simulation with the durations of a real sweep (`makespan.csv`, recorded by
`record_makespan.py`): each free slot takes the next trial of the queue. The durations are known
from the first seed, as in a sweep to which seeds are added.
"""

import csv
import heapq
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks._measure import Record, main, ratio

RECORDED = Path(__file__).with_name("makespan.csv")


def recorded() -> list[list[float]]:
    """Read the seconds by seed and config, both in file order."""
    seeds: dict[str, list[float]] = {}
    with RECORDED.open() as lines:
        for line in csv.DictReader(lines):
            seeds.setdefault(line["seed"], []).append(float(line["seconds"]))
    return list(seeds.values())


def makespan(queue: Sequence[float], slots: int) -> float:
    """Compute when the last trial ends if each free slot takes the next one."""
    free = [0.0] * slots
    for seconds in queue:
        heapq.heappush(free, heapq.heappop(free) + seconds)
    return max(free)


def benchmark() -> Iterator[Record]:
    """Compare file order and the order of `orch` with the lower bound."""
    first, *rest = recorded()
    longest_first = sorted(range(len(first)), key=lambda config: -first[config])
    file_order = [seconds for seed in rest for seconds in seed]
    ordered = [seed[config] for seed in rest for config in longest_first]
    for slots in (2, 4, 8, 16):
        bound = max(sum(file_order) / slots, max(file_order))
        for name, queue in {"longest first": ordered, "file order": file_order}.items():
            claim = f"{len(queue)} trials on {slots} slots, {name}, against the lower bound"
            yield ratio(claim, [makespan(queue, slots)], [bound], "s")


if __name__ == "__main__":
    main(benchmark)
