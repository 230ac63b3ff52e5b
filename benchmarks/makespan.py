"""What it saves to run the longest trials of a seed first.

Simulated, on the durations of a real sweep (`makespan.csv`, recorded by `record_makespan.py`):
each slot takes the next trial of the queue when it is free. The durations are known from the
first seed on, as in a sweep to which seeds are added.
"""

import csv
import heapq
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks._measure import Record, main, ratio

RECORDED = Path(__file__).with_name("makespan.csv")


def recorded() -> list[list[float]]:
    """Seconds by seed and config, both in file order."""
    seeds: dict[str, list[float]] = {}
    with RECORDED.open() as lines:
        for line in csv.DictReader(lines):
            seeds.setdefault(line["seed"], []).append(float(line["seconds"]))
    return list(seeds.values())


def makespan(queue: Sequence[float], slots: int) -> float:
    """When the last trial ends, if each slot takes the next one when it is free."""
    free = [0.0] * slots
    for seconds in queue:
        heapq.heappush(free, heapq.heappop(free) + seconds)
    return max(free)


def benchmark() -> Iterator[Record]:
    """File order and the order that `orch` runs, each against the lower bound."""
    known, *rest = recorded()
    longest_first = sorted(range(len(known)), key=lambda config: -known[config])
    file_order = [seconds for seed in rest for seconds in seed]
    ordered = [seed[config] for seed in rest for config in longest_first]
    for slots in (2, 4, 8, 16):
        bound = max(sum(file_order) / slots, max(file_order))
        for name, queue in {"longest first": ordered, "file order": file_order}.items():
            claim = f"{len(queue)} trials on {slots} slots, {name}, against the lower bound"
            yield ratio(claim, [makespan(queue, slots)], [bound], "s")


if __name__ == "__main__":
    main(benchmark)
