"""Prints a pilot: a table of its cells, notes on the columns, and the expected time."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestrator.labels import assignments, counted, duration, label, memory
from orchestrator.pilot.pilot import CUDA_BYTES, Estimate, Pilot
from orchestrator.pilot.trial_profile import SECONDS, WARM_UP_STEPS
from orchestrator.running.gpus import fraction_for
from orchestrator.running.plan import Plan, about


def print_pilot(pilot: Pilot, plan: Plan, console: Console) -> None:
    """Print a row per cell, notes on the columns, the failed cells, and the expected time."""
    on_gpu = any(estimate.per_gpu for estimate in pilot.estimates)
    table = Table(title="pilot", title_justify="left", box=None, pad_edge=False)
    table.add_column("cell")
    for header in ("memory", "images/s", "epoch", "trial", *["per GPU"] * on_gpu, "measured"):
        table.add_column(header, justify="right", no_wrap=True)
    names = plan.factors
    for estimate in pilot.estimates:
        values = (label(estimate.trial.config.factors[name]) for name in names)
        table.add_row(escape(" ".join(values)), *_columns(estimate, on_gpu=on_gpu))
    console.print(table)
    for note in _notes(pilot):
        console.print(escape(note))
    for estimate in pilot.failed:
        cell = assignments(estimate.trial.config.factors)
        console.print(escape(f"failed: {cell}: {estimate.profile.error}"), soft_wrap=True)
    console.print(_expected_time(pilot, plan))


def _columns(estimate: Estimate, *, on_gpu: bool) -> Iterator[str]:
    profile = estimate.profile
    speed = profile.images_per_second
    yield memory(profile.gpu_peak or profile.memory)
    yield "" if speed is None else f"{speed:,.0f}"
    yield _seconds(estimate.seconds_per_epoch)
    yield _seconds(estimate.seconds)
    if on_gpu:
        yield str(estimate.per_gpu or "")
    if profile.error:
        yield "failed"
    elif profile.ended:
        yield "whole trial"
    elif profile.epochs:
        yield counted(len(profile.epochs), "epoch")
    else:
        yield counted(profile.steps, "step")


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    if seconds < 10:
        return f"{seconds:.2g} s"
    return duration(seconds) if seconds < 3600 else f"{seconds / 3600:.1f} h"


def _notes(pilot: Pilot) -> Iterator[str]:
    """Explain the columns, as far as the table has values in them."""
    profiles = [estimate.profile for estimate in pilot.estimates]
    yield (
        "measured: the first missing trial of each cell, to its end or for "
        f"{SECONDS:.0f} s after warm-up. Nothing is stored."
    )
    if any(profile.images_per_second for profile in profiles):
        yield f"images/s: training steps only, without the first {WARM_UP_STEPS}."
    if not all(profile.ended for profile in profiles):
        yield (
            "trial: extrapolated to the param `epochs` from the first epoch and the mean of the "
            "others."
        )
    if any(profile.steps and not profile.epochs for profile in profiles):
        yield "epoch: without test images, probes and set-up where only steps were measured."
    counts = sorted({estimate.per_gpu for estimate in pilot.estimates if estimate.per_gpu})
    if not counts:
        yield "memory: the worker process's peak, less that of an empty one."
        return
    yield (
        "memory: the trial's peak on the GPU, which it has to itself. per GPU: how many such "
        f"trials fit, each with another {memory(CUDA_BYTES)} for CUDA; sharing a GPU need not be "
        f"faster. Set {', '.join(f'`resources.gpu: {fraction_for(n):g}` for {n}' for n in counts)}."
    )


def _expected_time(pilot: Pilot, plan: Plan) -> str:
    estimated = [estimate for estimate in pilot.estimates if estimate.seconds is not None]
    if not estimated:
        return "no estimate: each trial failed, ran for too few steps, or has no param `epochs`"
    hardware = f"{sum(node.cpus for node in pilot.nodes):g} CPUs"
    if gpus := sum(node.gpus for node in pilot.nodes):
        hardware += f" and {gpus:g} GPUs"
    best, worst = (
        about(pilot.seconds(in_turns=turns, trials=plan.ahead)) for turns in (False, True)
    )
    covered = sum(estimate.missing for estimate in estimated) / pilot.missing
    text = f"{worst} for {counted(round(plan.ahead * covered), 'missing trial')} on {hardware}"
    if best != worst:
        text += f" if trials that share a GPU take turns, {best} if sharing costs nothing"
    for case, trials in plan.otherwise.items():
        text += f"; {about(pilot.seconds(in_turns=True, trials=trials))} {case}"
    if without := len(pilot.estimates) - len(estimated):
        text += f"; {counted(without, 'cell')} without an estimate left out"
    return text
