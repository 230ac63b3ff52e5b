"""The pilot of `orch plan --pilot`: one short trial per cell, and estimates for the sweep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from orchestrator.labels import counted
from orchestrator.pilot.trial_profile import TrialProfile
from orchestrator.running import preflight
from orchestrator.running.display import Display
from orchestrator.running.gpus import fraction_for, trials_fitting, trials_sharing
from orchestrator.running.job import make_job
from orchestrator.running.runners import Node, ray_settings
from orchestrator.spec.grid import PlannedTrial
from orchestrator.spec.model import Resources, Sweep
from orchestrator.store.schema import Layout
from orchestrator.store.sweep_code import read_code, scope_of

CUDA_BYTES = 512 * 2**20
"""Assumed memory of CUDA itself per process, which torch does not count."""


@dataclass(frozen=True)
class Estimate:
    """The expected cost of a cell's missing trials, all assumed to be like the profiled one."""

    trial: PlannedTrial
    missing: int
    profile: TrialProfile

    @property
    def seconds_per_epoch(self) -> float | None:
        """The mean after the first epoch; else the first epoch; else the training steps alone."""
        profile = self.profile
        if profile.epochs:
            return fmean(profile.epochs[1:] or profile.epochs)
        if profile.images is None or profile.images_per_second is None:
            return None
        return profile.images / profile.images_per_second

    @property
    def seconds(self) -> float | None:
        """Of a whole trial; None if it failed or its number of epochs is unknown."""
        profile, per_epoch = self.profile, self.seconds_per_epoch
        if profile.error:
            return None
        if profile.ended:
            return sum(profile.epochs)
        epochs = self.trial.params.get("epochs")
        if per_epoch is None or not isinstance(epochs, int):
            return None
        first = profile.epochs[0] if profile.epochs else per_epoch
        return first + (epochs - 1) * per_epoch

    @property
    def per_gpu(self) -> int | None:
        """How many such trials fit in the memory of the GPU that it ran on."""
        peak, total = self.profile.gpu_peak, self.profile.gpu_total
        return None if peak is None or total is None else trials_fitting(peak + CUDA_BYTES, total)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, in bytes and seconds."""
        profile, per_gpu = self.profile, self.per_gpu
        return {
            **self.trial.config.factors,
            "missing": self.missing,
            "epochs_measured": len(profile.epochs),
            "whole_trial": profile.ended,
            "steps_measured": profile.steps,
            "memory": profile.memory,
            "gpu_memory": profile.gpu_peak,
            "images_per_second": profile.images_per_second,
            "seconds_per_epoch": self.seconds_per_epoch,
            "seconds": self.seconds,
            "trials_per_gpu": per_gpu,
            "resources_gpu": None if per_gpu is None else fraction_for(per_gpu),
            "error": profile.error,
        }


@dataclass(frozen=True)
class Pilot:
    """The estimates of a pilot, and the nodes that they hold for."""

    estimates: Sequence[Estimate]
    nodes: Sequence[Node]

    @property
    def failed(self) -> list[Estimate]:
        """The estimates of cells whose trial failed."""
        return [estimate for estimate in self.estimates if estimate.profile.error]

    @property
    def missing(self) -> int:
        """How many trials are missing that could run now."""
        return sum(estimate.missing for estimate in self.estimates)

    def seconds(self, *, in_turns: bool, trials: int | None = None) -> float:
        """Estimate how long the missing trials take, leaving out cells without an estimate.

        Args:
            trials: how many there are with those of later seeds, which cost as much as those that
                could run now; None is these alone.
            in_turns: whether trials that share a GPU run no faster than one after another,
                which is the worst case; in the best case they do not slow each other down.
        """
        costs = [
            (estimate.seconds, estimate.missing, _slots(estimate, self.nodes, in_turns))
            for estimate in self.estimates
            if estimate.seconds is not None
        ]
        longest = max((seconds for seconds, *_ in costs), default=0.0)
        now = sum(seconds * missing / slots for seconds, missing, slots in costs)
        return max(longest, now if trials is None else now * trials / self.missing)

    def as_dict(self, trials: int) -> dict[str, Any]:
        """Return plain values, as `orch plan --json` prints them for so many missing trials."""
        return {
            "pilot": [estimate.as_dict() for estimate in self.estimates],
            "seconds": [self.seconds(in_turns=turns, trials=trials) for turns in (False, True)],
        }


def _slots(estimate: Estimate, nodes: Sequence[Node], in_turns: bool) -> int:
    """Count the trials of a cell that can run at once."""
    resources = estimate.trial.config.resources
    return max(1, sum(_slots_on(node, resources, in_turns) for node in nodes))


def _slots_on(node: Node, resources: Resources, in_turns: bool) -> int:
    by_cpu = math.floor(node.cpus / max(resources.cpu, 0.01))
    if not resources.gpu:
        return by_cpu
    sharing = 1 if in_turns else trials_sharing(resources.gpu)
    return min(by_cpu, math.floor(node.gpus / max(resources.gpu, 1)) * sharing)


def run(sweep: Sweep, missing: Sequence[PlannedTrial]) -> Pilot:
    """Profile the first missing trial of each cell; leave no trace of it.

    Raises:
        TrainableError: the trainable cannot be imported, or refuses a config.
        ResourceError: the cluster does not exist, or cannot hold a trial.
    """
    by_cell: dict[str, list[PlannedTrial]] = {}
    for trial in missing:
        by_cell.setdefault(trial.config.cell_id, []).append(trial)
    profiled = [trials[0] for trials in by_cell.values()]
    display = Display()
    if sweep.trainable is not None:
        with display.checking(len(profiled)):
            preflight.check(sweep.trainable, profiled)
    ray_settings.apply()
    from orchestrator.pilot import on_ray  # imports Ray, which `orch plan` alone does not need

    profiles: dict[str, TrialProfile] = {}
    scope = scope_of(sweep, None)
    job = make_job(sweep, profiled, "", Layout.of(sweep), read_code(sweep, scope), scope)
    total = counted(len(profiled), "cell")
    with display.console.status(f"profiling {total}") as status:

        def on_finished(trial_id: str, profile: TrialProfile) -> None:
            profiles[trial_id] = profile
            status.update(f"profiling {total}, {len(profiles):,} done")

        nodes = on_ray.run(job, [trial.trial_id for trial in profiled], on_finished)
    estimates = [
        Estimate(trials[0], len(trials), profiles[trials[0].trial_id])
        for trials in by_cell.values()
    ]
    return Pilot(estimates, nodes)
