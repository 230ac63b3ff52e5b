"""Writes the page of all figures, in Markdown."""

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from inspect import getdoc
from pathlib import Path
from typing import Any

HEAD = """\
# Benchmarks

The project's claims about its speed, measured against the alternatives. Each line is one claim:
the median of several runs of ours and of the baseline, run alternately, their ratio (ours to
baseline, with the smallest and the largest of the runs), and whether the target is met. The last
section is about verdicts, and says itself what its figures are.
`make bench` repeats every measurement and rewrites this page; `python -m benchmarks NAME` does
so for one section.
"""

Run = dict[str, Any]


def machine() -> str:
    """Describe this machine, without its name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if "model name" in line), "CPU")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    gpu = "".join(f"{name}, " for name in gpus())
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    return f"{gpu}{model}, {os.cpu_count()} cores, {memory:.0f} GiB of memory, {system}"


def gpus() -> list[str]:
    """Name this machine's GPUs, without starting CUDA in this process."""
    if not shutil.which("nvidia-smi"):
        return []
    command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def versions() -> str:
    """List the versions that affect the figures."""
    names = ("orch-sweeps", "ray", "torch", "torchvision", "pyarrow", "pandas")
    return ", ".join([f"Python {platform.python_version()}", *(f"{n} {version(n)}" for n in names)])


def page(runs: Sequence[Run]) -> str:
    """Write the page, with one section per script."""
    return "\n".join([HEAD, _summary(runs), *map(_section, runs)])


def _summary(runs: Sequence[Run]) -> str:
    records = [record for run in runs for record in run["records"]]
    judged = [record for record in records if record["met"] is not None]
    missed = [record for record in judged if not record["met"]]
    lines = [f"Targets met: {len(judged) - len(missed)} of {len(judged)}."] if judged else []
    if missed:
        lines += ["", "Missed:", "", *(f"- {_missed(record)}" for record in missed)]
    return "\n".join([*lines, ""])


def _missed(record: dict[str, Any]) -> str:
    value = record["ours"] if record["ratio"] is None else record["ratio"]
    unit = record["unit"] if record["ratio"] is None else "times"
    return f"{record['claim']}: {value:.3g} {unit}, target {record['target']}. {record['note']}"


def _section(run: Run) -> str:
    module = import_module(f"benchmarks.{run['name']}")
    lines = [f"## {run['name'].replace('_', ' ').capitalize()}", "", str(getdoc(module)), ""]
    if run["left_out"]:
        return "\n".join([*lines, f"Left out: {run['left_out']}", ""])
    lines += ["| claim | ours | baseline | ratio | target | |", "|---|---|---|---|---|---|"]
    lines += [_row(record) for record in run["records"]]
    notes = dict.fromkeys(record["note"] for record in run["records"] if record["note"])
    lines += ["", *(f"- {note}" for note in notes)]
    command = f"`python -m benchmarks {run['name']}`"
    measured = f"{run['date']}, {command}, {run['seconds']} s, on {run['machine']}"
    return "\n".join([*lines, "", f"Measured {measured}; {run['versions']}.", ""])


def _row(record: dict[str, Any]) -> str:
    low, high = record["spread"]
    spread = f"({low:.3g} to {high:.3g})" if low != high else ""
    ours = f"{record['ours']:.4g} {record['unit']}"
    if record["baseline"] is None:
        cells = [record["claim"], f"{ours} {spread}".strip(), "", ""]
    else:
        baseline, times = f"{record['baseline']:.4g} {record['unit']}", f"{record['ratio']:.3g}"
        cells = [record["claim"], ours, baseline, f"{times} {spread}".strip()]
    verdict = {None: "", True: "met", False: "**missed**"}[record["met"]]
    cells += [record["target"] or "", verdict]
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"
