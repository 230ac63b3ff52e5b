"""Shared by all benchmarks: interleaved repeats, ratios with their spread, records of claims.

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
    """The target of a ratio, or of a figure without a baseline."""

    text: str
    met: Callable[[float], bool]


def at_least(bound: float) -> Target:
    """Return the target of a figure for which larger is better."""
    return Target(f"at least {bound:g}", lambda value: value >= bound)


def at_most(bound: float) -> Target:
    """Return the target of a figure for which smaller is better."""
    return Target(f"at most {bound:g}", lambda value: value <= bound)


@dataclass(frozen=True)
class Record:
    """One claim, measured.

    Attributes:
        claim: The claim.
        ours: Median over the repeats, in `unit`.
        baseline: Median of the baseline; None without one.
        unit: Unit of `ours` and `baseline`.
        ratio: Median over the repeats of ours / baseline; None without a baseline.
        spread: Smallest and largest ratio of the repeats; of ours without a baseline.
        target: As text, for the ratio or, without a baseline, for ours; None without a target.
        met: Whether the target is met; None without one.
        note: What a reader needs to interpret the figures.
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
        low, high = self.spread
        spread = f"[{low:.3g}, {high:.3g}]"
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
    """Run ours and the baseline alternately, `repeats` times; each call returns one figure."""
    figures = interleaved({"ours": ours, "baseline": baseline}, repeats)
    return ratio(claim, figures["ours"], figures["baseline"], unit, target, note=note)


def interleaved(
    calls: Mapping[str, Callable[[], float]], repeats: int = REPEATS
) -> dict[str, list[float]]:
    """Run each call `repeats` times in turn, so that background load affects all of them alike."""
    figures: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            figures[name].append(call())
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
    """Record figures that were measured in pairs."""
    ratios = [figure / base for figure, base in zip(ours, baseline, strict=True)]
    median_ratio = median(ratios)
    return Record(
        claim=claim,
        ours=median(ours),
        baseline=median(baseline),
        unit=unit,
        ratio=median_ratio,
        spread=(min(ratios), max(ratios)),
        target=target.text if target else None,
        met=bool(target.met(median_ratio)) if target else None,
        note=note,
    )


def absolute(
    claim: str, ours: Sequence[float], unit: str, target: Target | None = None, *, note: str = ""
) -> Record:
    """Record figures without a baseline, which are compared with the target only."""
    median_figure = median(ours)
    return Record(
        claim=claim,
        ours=median_figure,
        baseline=None,
        unit=unit,
        ratio=None,
        spread=(min(ours), max(ours)),
        target=f"{target.text} {unit}" if target else None,
        met=bool(target.met(median_figure)) if target else None,
        note=note,
    )


@dataclass(frozen=True)
class Cost:
    """Seconds that some work takes; `cpu` is user and system time of all threads."""

    cpu: float
    wall: float


def cost(work: Callable[[], object]) -> Cost:
    """Time a call in this process."""
    return _cost(work, resource.RUSAGE_SELF)


def command_cost(command: Sequence[str], env: Mapping[str, str] | None = None) -> Cost:
    """Time a command, with all processes that it waits for.

    Raises:
        subprocess.CalledProcessError: The command fails; the error holds its output.
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
    """Run a benchmark and print each record; `--json FILE` writes them as a list."""
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
