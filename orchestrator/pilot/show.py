"""How a pilot's measurements are printed."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestrator.labels import assignments, counted, duration, label, memory
from orchestrator.pilot.pilot import CUDA_BYTES, Estimate, Pilot
from orchestrator.pilot.trial_profile import SECONDS, WARM_UP_STEPS
from orchestrator.running.gpus import fraction_for


def print_pilot(measured: Pilot, console: Console) -> None:
    """Print a line per cell, what was measured and what not, and the time to expect."""
    on_gpu = any(estimate.per_gpu for estimate in measured.estimates)
    table = Table(title="pilot", title_justify="left", box=None, pad_edge=False)
    table.add_column("cell")
    for header in ("memory", "images/s", "epoch", "trial", *["per GPU"] * on_gpu, "measured"):
        table.add_column(header, justify="right", no_wrap=True)
    for estimate in measured.estimates:
        values = map(label, estimate.trial.config.factors.values())
        table.add_row(escape(" ".join(values)), *_figures(estimate, on_gpu=on_gpu))
    console.print(table)
    for note in _notes(measured):
        console.print(escape(note))
    for estimate in measured.failed:
        named = assignments(estimate.trial.config.factors)
        console.print(escape(f"failed: {named}: {estimate.reading.error}"), soft_wrap=True)
    console.print(_expectation(measured))


def _figures(estimate: Estimate, *, on_gpu: bool) -> Iterator[str]:
    reading = estimate.reading
    speed = reading.images_per_second
    yield memory(reading.gpu_peak or reading.memory)
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


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    if seconds < 10:
        return f"{seconds:.2g} s"
    return duration(seconds) if seconds < 3600 else f"{seconds / 3600:.1f} h"


def _notes(measured: Pilot) -> Iterator[str]:
    """Say what the figures are, of those that stand in the table."""
    readings = [estimate.reading for estimate in measured.estimates]
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
    counts = sorted({estimate.per_gpu for estimate in measured.estimates if estimate.per_gpu})
    if not counts:
        yield "memory: what the worker process held at most, above an empty one."
        return
    yield (
        "memory: what the trial held of its GPU at most, alone on it. per GPU: how many fit, "
        f"each with {memory(CUDA_BYTES)} more for CUDA; more at once need not be faster. "
        f"To write: {', '.join(f'`resources.gpu: {fraction_for(n):g}` for {n}' for n in counts)}."
    )


def _expectation(measured: Pilot) -> str:
    known = [estimate for estimate in measured.estimates if estimate.seconds is not None]
    missing = sum(estimate.missing for estimate in known)
    where = f"{sum(node.cpus for node in measured.nodes):g} CPUs"
    if gpus := sum(node.gpus for node in measured.nodes):
        where += f" and {gpus:g} GPUs"
    best, worst = (duration(max(measured.seconds(in_turns=turns), 1)) for turns in (False, True))
    if not known:
        return "no estimate: no trial reported an epoch, or how many there are"
    text = f"about {worst} for {counted(missing, 'missing trial')} on {where}"
    if best != worst:
        text += f" if trials that share a GPU take turns, {best} if that costs nothing"
    if len(known) < len(measured.estimates):
        text += f"; cells without an estimate ({len(measured.estimates) - len(known)}) not counted"
    return text
