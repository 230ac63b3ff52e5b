"""What all benchmarks share: interleaved repeats, ratios with their spread, and records of claims.

A benchmark is a generator of records, run by `main`:

    def benchmark() -> Iterator[Record]:
        yield compare("at most twice a sort", sorted_ours, sorted_plain, "s", at_most(2))

    if __name__ == "__main__":
        main(benchmark)
"""

import argparse
import json
import os
import resource
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

REPEATS = 5


@dataclass(frozen=True)
class Target:
    """What a ratio, or a figure that has no baseline, is to reach."""

    words: str
    met: Callable[[float], bool]


def at_least(bound: float) -> Target:
    """The target of a figure that is good when large."""
    return Target(f"at least {bound:g}", lambda value: value >= bound)


def at_most(bound: float) -> Target:
    """The target of a figure that is good when small."""
    return Target(f"at most {bound:g}", lambda value: value <= bound)


@dataclass(frozen=True)
class Record:
    """One claim, measured.

    Attributes:
        claim: What is claimed.
        ours: Median over the repeats, in `unit`.
        baseline: The same of what ours is compared with; None where there is nothing.
        unit: Of `ours` and `baseline`.
        ratio: Median over the repeats of ours / baseline; None without a baseline.
        spread: Least and greatest ratio of the repeats; of ours without a baseline.
        target: In words, for the ratio or, without a baseline, for ours; None if only measured.
        met: Whether the target is met; None without one.
        note: What one must know to read the figures.
    """

    claim: str
    ours: float
    baseline: float | None
    unit: str
    ratio: float | None
    spread: tuple[float, float]
    target: str | None
    met: bool | None
    note: str

    def __str__(self) -> str:
        verdict = "measured" if self.met is None else "met" if self.met else "MISSED"
        least, most = self.spread
        spread = f"[{least:.3g}, {most:.3g}]"
        if self.baseline is None:
            figures = f"{self.ours:.4g} {self.unit} {spread}"
        else:
            pair = f"{self.ours:.4g} against {self.baseline:.4g} {self.unit}"
            figures = f"{self.ratio:.3g} {spread}: {pair}"
        lines = [f"{self.claim}", f"    {figures}"]
        lines.append(f"    {verdict}" + (f", target {self.target}" if self.target else ""))
        return "\n".join(lines + ([f"    {self.note}"] if self.note else []))


def compare(
    claim: str,
    ours: Callable[[], float],
    baseline: Callable[[], float],
    unit: str,
    target: Target | None = None,
    *,
    repeats: int = REPEATS,
    note: str = "",
) -> Record:
    """Measure ours and the baseline in turn, `repeats` times; each call returns one figure."""
    figures = interleaved({"ours": ours, "baseline": baseline}, repeats)
    return ratio(claim, figures["ours"], figures["baseline"], unit, target, note=note)


def interleaved(
    measure: Mapping[str, Callable[[], float]], repeats: int = REPEATS
) -> dict[str, list[float]]:
    """Figures by name, each measured `repeats` times in turn, so that a load falls on all alike."""
    figures: dict[str, list[float]] = {name: [] for name in measure}
    for _ in range(repeats):
        for name, one in measure.items():
            figures[name].append(one())
    return figures


def ratio(
    claim: str,
    ours: Sequence[float],
    baseline: Sequence[float],
    unit: str,
    target: Target | None = None,
    *,
    note: str = "",
) -> Record:
    """The record of figures that were measured in pairs."""
    ratios = [one / other for one, other in zip(ours, baseline, strict=True)]
    middle = median(ratios)
    return Record(
        claim=claim,
        ours=median(ours),
        baseline=median(baseline),
        unit=unit,
        ratio=middle,
        spread=(min(ratios), max(ratios)),
        target=target.words if target else None,
        met=bool(target.met(middle)) if target else None,
        note=note,
    )


def absolute(
    claim: str, ours: Sequence[float], unit: str, target: Target | None = None, *, note: str = ""
) -> Record:
    """The record of figures that are compared with nothing but the target."""
    middle = median(ours)
    return Record(
        claim=claim,
        ours=middle,
        baseline=None,
        unit=unit,
        ratio=None,
        spread=(min(ours), max(ours)),
        target=f"{target.words} {unit}" if target else None,
        met=bool(target.met(middle)) if target else None,
        note=note,
    )


@dataclass(frozen=True)
class Cost:
    """What something took, in seconds; `cpu` is user and system time of all threads."""

    cpu: float
    wall: float


def cost(work: Callable[[], object]) -> Cost:
    """What a call takes in this process."""
    return _cost(work, resource.RUSAGE_SELF)


def command_cost(command: Sequence[str], env: Mapping[str, str] | None = None) -> Cost:
    """What a command takes, with all processes that it waits for.

    Raises:
        subprocess.CalledProcessError: If it fails; what it printed is with it.
    """

    def run() -> None:
        environment = {**os.environ, **(env or {})}
        subprocess.run(list(command), env=environment, check=True, capture_output=True)

    return _cost(run, resource.RUSAGE_CHILDREN)


def _cost(work: Callable[[], object], who: int) -> Cost:
    cpu, wall = _cpu(who), perf_counter()
    work()
    return Cost(cpu=_cpu(who) - cpu, wall=perf_counter() - wall)


def _cpu(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def main(benchmark: Callable[[], Iterator[Record]]) -> None:
    """Run a benchmark: print its records as they come; `--json FILE` writes them as a list."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the records there")
    arguments = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    records = []
    for record in benchmark():
        print(record, flush=True)
        records.append(asdict(record))
    if arguments.json:
        arguments.json.write_text(json.dumps(records, indent=1))
