"""What `orch plan --pilot` does: a short trial per cell, and what to expect of the sweep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from orchestrator.code import code_of
from orchestrator.pilot.trial_profile import Reading
from orchestrator.running import preflight
from orchestrator.running.display import Display
from orchestrator.running.gpus import fraction_for, trials_sharing
from orchestrator.running.job import make_job
from orchestrator.running.runners import Node, ray_settings
from orchestrator.spec.grid import PlannedTrial
from orchestrator.spec.model import Resources, Sweep
from orchestrator.store.schema import Layout

CUDA_BYTES = 512 * 2**20
"""Taken to be what CUDA itself needs per process, which torch does not count."""


@dataclass(frozen=True)
class Estimate:
    """What is expected of a cell's missing trials, all taken to be like the one measured."""

    trial: PlannedTrial
    missing: int
    reading: Reading

    @property
    def seconds_per_epoch(self) -> float | None:
        """Later epochs, as far as there are any; else the first; else its steps alone."""
        reading = self.reading
        if reading.epochs:
            return fmean(reading.epochs[1:] or reading.epochs)
        if reading.images is None or reading.images_per_second is None:
            return None
        return reading.images / reading.images_per_second

    @property
    def seconds(self) -> float | None:
        """Of a whole trial; None if it failed, or nothing says how many epochs that is."""
        reading, each = self.reading, self.seconds_per_epoch
        if reading.error:
            return None
        if reading.ended:
            return sum(reading.epochs)
        epochs = self.trial.params.get("epochs")
        if each is None or not isinstance(epochs, int):
            return None
        return (reading.epochs[0] if reading.epochs else each) + (epochs - 1) * each

    @property
    def per_gpu(self) -> int | None:
        """How many such trials fit into the memory of the GPU that it ran on."""
        peak, total = self.reading.gpu_peak, self.reading.gpu_total
        return None if peak is None or total is None else max(1, total // (peak + CUDA_BYTES))

    def as_dict(self) -> dict[str, Any]:
        """Make plain values: bytes and seconds."""
        reading, per_gpu = self.reading, self.per_gpu
        return {
            **self.trial.config.factors,
            "missing": self.missing,
            "epochs_measured": len(reading.epochs),
            "whole_trial": reading.ended,
            "steps_measured": reading.steps,
            "memory": reading.memory,
            "gpu_memory": reading.gpu_peak,
            "images_per_second": reading.images_per_second,
            "seconds_per_epoch": self.seconds_per_epoch,
            "seconds": self.seconds,
            "trials_per_gpu": per_gpu,
            "resources_gpu": None if per_gpu is None else fraction_for(per_gpu),
            "error": reading.error,
        }


@dataclass(frozen=True)
class Pilot:
    """What a pilot found."""

    estimates: Sequence[Estimate]
    nodes: Sequence[Node]

    @property
    def failed(self) -> list[Estimate]:
        """The cells whose trial failed."""
        return [estimate for estimate in self.estimates if estimate.reading.error]

    def seconds(self, *, in_turns: bool) -> float:
        """Expect how long the missing trials take, of the cells with an estimate.

        Args:
            in_turns: whether trials that share a GPU slow each other down to turns, which is
                the worst case; in the best they are as fast as alone.
        """
        known = [
            (estimate.seconds, estimate.missing, _slots(estimate, self.nodes, in_turns))
            for estimate in self.estimates
            if estimate.seconds is not None
        ]
        longest = max((seconds for seconds, *_ in known), default=0.0)
        return max(longest, sum(seconds * missing / slots for seconds, missing, slots in known))

    def as_dict(self) -> dict[str, Any]:
        """Make plain values, as `plan --json` prints them."""
        return {
            "pilot": [estimate.as_dict() for estimate in self.estimates],
            "seconds": [self.seconds(in_turns=turns) for turns in (False, True)],
        }


def _slots(estimate: Estimate, nodes: Sequence[Node], in_turns: bool) -> int:
    """Count the trials of a cell that run at once."""
    resources = estimate.trial.config.resources
    return max(1, sum(_slots_on(node, resources, in_turns) for node in nodes))


def _slots_on(node: Node, resources: Resources, in_turns: bool) -> int:
    by_cpu = math.floor(node.cpus / max(resources.cpu, 0.01))
    if not resources.gpu:
        return by_cpu
    sharing = 1 if in_turns else trials_sharing(resources.gpu)
    return min(by_cpu, math.floor(node.gpus / max(resources.gpu, 1)) * sharing)


def run(sweep: Sweep, missing: Sequence[PlannedTrial]) -> Pilot:
    """Measure the first of each cell's missing trials, leaving nothing behind.

    Raises:
        TrainableError: the trainable cannot be imported, or refuses a config.
        ResourceError: there is no such cluster, or it cannot hold a trial.
    """
    cells: dict[str, list[PlannedTrial]] = {}
    for trial in missing:
        cells.setdefault(trial.config.cell_id, []).append(trial)
    first = [trials[0] for trials in cells.values()]
    display = Display()
    with display.checking(len(first)):
        preflight.check(sweep.trainable, first)
    ray_settings.apply()
    from orchestrator.pilot import on_ray as pilots  # with Ray, of which `orch plan` alone is free

    readings: dict[str, Reading] = {}
    job = make_job(sweep, first, "", Layout.of(sweep), code_of(sweep.module))
    with display.console.status(f"measuring {len(first):,} cells") as status:

        def finished(trial_id: str, reading: Reading) -> None:
            readings[trial_id] = reading
            status.update(f"measuring {len(first):,} cells, {len(readings):,} done")

        nodes = pilots.run(job, [trial.trial_id for trial in first], finished)
    estimates = [
        Estimate(trials[0], len(trials), readings[trials[0].trial_id]) for trials in cells.values()
    ]
    return Pilot(estimates, nodes)
