"""What `orch plan` says: counts, the first trials, the time left, what a pilot measured."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestrator.code import code_of
from orchestrator.pilot.meter import SECONDS, WARM_UP_STEPS
from orchestrator.pilot.pilot import CUDA_BYTES, Estimate, Pilot
from orchestrator.running import inventory as state
from orchestrator.running.display import Display, duration
from orchestrator.running.retries import fraction
from orchestrator.spec.grid import cells, expand
from orchestrator.spec.model import Sweep
from orchestrator.store import Store
from orchestrator.store import stored_sweep as editing
from orchestrator.store.files import Files

_FIRST = 5


@dataclass(frozen=True)
class Survey:
    """A sweep compared with its store."""

    sweep: Sweep
    state: state.State
    cells: int
    configs: int

    @property
    def seconds_left(self) -> float | None:
        """Expect the time that what is missing takes on this machine's CPUs."""
        total = state.Durations.of(self.state).total(self.state.missing)
        slots = max(1, int((os.cpu_count() or 1) / max(self.sweep.resources.cpu, 0.01)))
        return None if total is None else total / min(slots, max(1, len(self.state.missing)))

    def as_dict(self) -> dict[str, int]:
        """The counts; ``reused`` and ``stale`` trials are among the ``done`` ones."""
        return {
            "cells": self.cells,
            "configs": self.configs,
            "trials": len(self.state.trials),
            "done": self.state.done,
            "reused": self.state.reused,
            "stale": len(self.state.stale),
            "missing": len(self.state.missing),
        }


def survey(sweep: Sweep, root: str) -> Survey:
    """Look what of a sweep is done, in its own store under ``root`` and in those beside it."""
    files, warn = Files(root), Display().warn
    store = Store(f"{files.location}/{sweep.name}", warn)
    if store.exists:
        editing.require_same(sweep, store)
    found = state.look(
        expand(sweep),
        store,
        state.siblings_of(files, sweep.name, warn),
        code_of(sweep.module).digest,
    )
    all_cells = cells(sweep)
    return Survey(sweep, found, len(all_cells), sum(len(cell.configs) for cell in all_cells))


def print_plan(found: Survey, console: Console) -> None:
    """Print counts, the trials that would run first, and the time left."""
    counts = found.as_dict()
    console.print(f"[bold]{found.sweep.name}[/bold]  {escape(found.sweep.description)}".rstrip())
    console.print(", ".join(f"{name} {count:,}" for name, count in counts.items()))
    first = found.state.queue()[:_FIRST]
    if first:
        names = [*found.sweep.factors, *found.sweep.search]
        table = Table(title="first to run", title_justify="left", box=None, pad_edge=False)
        for name in ("trial", *names, "seed"):
            table.add_column(name, overflow="fold")
        for trial in first:
            params = [escape(str(trial.params[name])) for name in names]
            table.add_row(trial.trial_id, *params, str(trial.seed))
        console.print(table)
    if first and found.seconds_left is not None:
        console.print(f"about {duration(max(found.seconds_left, 1))} left on this machine")


def print_pilot(found: Pilot, console: Console) -> None:
    """Print a line per cell, what was measured and what not, and the time to expect."""
    on_gpu = any(estimate.per_gpu for estimate in found.estimates)
    table = Table(title="pilot", title_justify="left", box=None, pad_edge=False)
    table.add_column("cell")
    for header in ("memory", "images/s", "epoch", "trial", *["per GPU"] * on_gpu, "measured"):
        table.add_column(header, justify="right", no_wrap=True)
    for estimate in found.estimates:
        values = map(str, estimate.trial.config.factors.values())
        table.add_row(escape(" ".join(values)), *_figures(estimate, on_gpu=on_gpu))
    console.print(table)
    for note in _notes(found):
        console.print(escape(note))
    for estimate in found.failed:
        named = ", ".join(f"{k}={v}" for k, v in estimate.trial.config.factors.items())
        console.print(escape(f"failed: {named}: {estimate.reading.error}"), soft_wrap=True)
    console.print(_expectation(found))


def _figures(estimate: Estimate, *, on_gpu: bool) -> Iterator[str]:
    reading = estimate.reading
    speed = reading.images_per_second
    yield _bytes(reading.gpu_peak or reading.memory)
    yield "" if speed is None else f"{speed:,.0f}"
    yield _seconds(estimate.seconds_per_epoch)
    yield _seconds(estimate.seconds)
    if on_gpu:
        yield str(estimate.per_gpu or "")
    if reading.error:
        yield "failed"
    elif reading.ended:
        yield "all of it"
    else:
        yield f"{len(reading.epochs)} epochs" if reading.epochs else f"{reading.steps} steps"


def _bytes(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    if seconds < 10:
        return f"{seconds:.2g} s"
    return duration(seconds) if seconds < 3600 else f"{seconds / 3600:.1f} h"


def _notes(found: Pilot) -> Iterator[str]:
    """Say what the figures are, of those that stand in the table."""
    readings = [estimate.reading for estimate in found.estimates]
    yield (
        "Measured: the first missing trial of each cell, to its end or for "
        f"{SECONDS:.0f} s once it was warm. Nothing of it was kept."
    )
    if any(reading.images_per_second for reading in readings):
        yield f"images/s: training steps alone, after the first {WARM_UP_STEPS}."
    if not all(reading.ended for reading in readings):
        yield (
            "trial: extrapolated, as the first epoch and as many like the others measured as "
            "the param `epochs` says."
        )
    if any(reading.steps and not reading.epochs for reading in readings):
        yield "Where only steps were measured, epoch leaves out test images, probes and set-up."
    counts = sorted({estimate.per_gpu for estimate in found.estimates if estimate.per_gpu})
    if not counts:
        yield "memory: what the worker process held at most, above an empty one."
        return
    yield (
        "memory: what the trial held of its GPU at most, alone on it. per GPU: how many fit, "
        f"each with {_bytes(CUDA_BYTES)} more for CUDA; more at once need not be faster. "
        f"To write: {', '.join(f'`resources.gpu: {fraction(n):g}` for {n}' for n in counts)}."
    )


def _expectation(found: Pilot) -> str:
    known = [estimate for estimate in found.estimates if estimate.seconds is not None]
    missing = sum(estimate.missing for estimate in known)
    where = f"{sum(node.cpus for node in found.nodes):g} CPUs"
    if gpus := sum(node.gpus for node in found.nodes):
        where += f" and {gpus:g} GPUs"
    best, worst = (duration(max(found.seconds(in_turns=turns), 1)) for turns in (False, True))
    if not known:
        return "no time to expect: no trial told of an epoch, or of how many there are"
    text = f"about {worst} for {missing:,} missing trials on {where}"
    if best != worst:
        text += f" if trials that share a GPU take turns, {best} if that costs nothing"
    if len(known) < len(found.estimates):
        text += f"; cells without an estimate ({len(found.estimates) - len(known)}) not counted"
    return text
