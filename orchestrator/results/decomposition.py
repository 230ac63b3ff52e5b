"""Decomposes the variance between a sweep's trials, on the balanced part of its grid."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from orchestrator.columns import Status
from orchestrator.errors import ShowError
from orchestrator.labels import counted, label, unit
from orchestrator.results.effects import Effects
from orchestrator.results.marks import UNEVEN, marks_of
from orchestrator.results.selection import TIE
from orchestrator.results.variance import Array, Indices, balanced, decompose, scaled
from orchestrator.spec import PlannedTrial, expand
from orchestrator.spec.values import by_value

if TYPE_CHECKING:
    from orchestrator.results.results import Results

MOST_NAMED = 5
"""The most values of an axis that a note lists."""


def effects_of(results: Results, metric: str) -> Effects:
    """Decompose the variance of a metric or probe over the balanced part of a sweep's grid.

    The axes are the factors and search params, and the seeds. Params whose values always go
    together, as those of sampled points do, are one axis. The trials are the completed ones
    that have a finite value; of them, `balanced` chooses a complete grid.

    Raises:
        ShowError: the store has no such metric or probe, too few trials, or no variance.
    """
    name, planned = results.sweep.name, expand(results.sweep)
    measured = results.measure(metric)
    status = results.trials["status"]
    completed = set(results.trials["trial_id"][status == Status.COMPLETED])
    values = np.array(
        [
            measured.get(trial.trial_id, math.nan) if trial.trial_id in completed else math.nan
            for trial in planned
        ]
    )
    axes = _axes(planned)
    places = np.array([axis.places for axis in axes]).T
    present = np.flatnonzero(np.isfinite(values))
    kept = present[balanced(places[present])]
    if len(kept) < 2:
        raise ShowError(
            f"`{name}` has no complete grid of two trials or more to decompose `{metric}` over: "
            f"{len(present):,} of {counted(len(planned), 'trial')} completed with a finite "
            "value; the others are missing, failed or diverged"
        )
    kept = kept[np.lexsort(places[kept].T[::-1])]  # the last axis varies fastest
    positions = [np.unique(axis) for axis in places[kept].T]
    grid = values[kept].reshape([len(of_axis) for of_axis in positions])
    in_range, _ = scaled(grid)
    if np.ptp(in_range) <= TIE * np.abs(in_range).max():
        raise ShowError(
            f"all {len(kept):,} trials of `{name}` that could be decomposed have the same "
            f"`{metric}`, {grid.flat[0]:g}: there is no variance"
        )
    params = [axis.name for axis in axes[:-1]]
    # Rounded, since shares of zero differ by rounding errors; those that tie stay in file order.
    found = sorted(decompose(grid, params), key=lambda effect: -round(effect.share, 9))
    return Effects(
        sweep=name,
        metric=metric,
        effects=tuple(found),
        means=_means(axes, positions, grid),
        trials=len(kept),
        seeds=grid.shape[-1],
        left_out=len(planned) - len(kept),
        notes=(
            *_notes(metric, len(planned), axes, positions, grid),
            *_marked(results, [planned[index] for index in kept]),
        ),
    )


@dataclass(frozen=True)
class _Axis:
    """Params whose values go together, or the seeds.

    Attributes:
        name: their names.
        places: which value each trial has, shape (trials,).
        labels: the values, in the order of the trials.
    """

    name: str
    places: tuple[int, ...]
    labels: tuple[str, ...]

    def named(self, position: int) -> str:
        """Write a value with its param's name."""
        text = self.labels[position]
        return text if "," in self.name else f"{self.name} {text}"


def _axes(trials: Sequence[PlannedTrial]) -> list[_Axis]:
    """List the axes of a sweep in file order, the seeds last."""
    params = [trial.config.selectors for trial in trials]
    together: dict[tuple[int, ...], list[str]] = {}
    for name in params[0]:
        together.setdefault(_numbered([by_value(of[name]) for of in params]), []).append(name)
    axes = []
    for places, names in together.items():
        labels = {
            place: label(of[names[0]])
            if len(names) == 1
            else ", ".join(f"{name} {label(of[name])}" for name in names)
            for place, of in zip(places, params, strict=True)
        }
        axes.append(_Axis(", ".join(names), places, tuple(labels.values())))
    seeds = [str(trial.seed) for trial in trials]
    return [*axes, _Axis("seed", _numbered(seeds), tuple(dict.fromkeys(seeds)))]


def _numbered(keys: Sequence[str]) -> tuple[int, ...]:
    """Number keys from 0 in the order in which they first appear."""
    numbers: dict[str, int] = {}
    return tuple(numbers.setdefault(key, len(numbers)) for key in keys)


def _means(
    axes: Sequence[_Axis], positions: Sequence[Indices], grid: Array
) -> dict[str, dict[str, float]]:
    """Average over all axes but one, for each param that has several values in the grid."""
    in_range, exponent = scaled(grid)
    means = {}
    for index, (axis, of_axis) in enumerate(zip(axes[:-1], positions, strict=False)):
        if len(of_axis) > 1:
            others = tuple(other for other in range(grid.ndim) if other != index)
            labels = [axis.labels[position] for position in of_axis]
            of_values = np.ldexp(in_range.mean(axis=others), exponent)
            means[axis.name] = dict(zip(labels, of_values.tolist(), strict=True))
    return means


def _notes(
    metric: str,
    planned: int,
    axes: Sequence[_Axis],
    positions: Sequence[Indices],
    grid: Array,
) -> Iterator[str]:
    pairs = list(zip(axes, map(set, positions), strict=True))
    sizes = [f"{len(of_axis)} {axis.name}" for axis, of_axis in pairs[:-1] if len(of_axis) > 1]
    grid_text = " × ".join([*sizes, counted(grid.shape[-1], "seed")])
    in_range, exponent = scaled(grid)
    spread = float(np.ldexp(in_range.std(), exponent))
    deviation = unit(metric).points(spread, spread)
    yield (
        f"{grid.size:,} of {counted(planned, 'trial')} ({grid_text}), "
        f"with a standard deviation of {deviation}."
    )
    dropped = [
        _listed(axis, [p for p in range(len(axis.labels)) if p not in of_axis])
        for axis, of_axis in pairs
        if len(of_axis) < len(axis.labels)
    ]
    if dropped:
        yield f"Left out, so that every combination has a value: {'; '.join(dropped)}."
    constant = [axis.named(*of_axis) for axis, of_axis in pairs if len(of_axis) == 1]
    if constant:
        yield f"All of them: {', '.join(constant)}."
    if grid.shape[-1] == 1:
        yield "With one seed, noise counts as part of the effects."
    else:
        yield "Noise alone gives each effect its share of the degrees of freedom (df)."


def _listed(axis: _Axis, positions: Sequence[int]) -> str:
    if len(positions) > MOST_NAMED:
        return f"{len(positions)} of {len(axis.labels)} {axis.name}"
    return ", ".join(map(axis.named, positions))


def _marked(results: Results, trials: Sequence[PlannedTrial]) -> Iterator[str]:
    """Tell what the reader has to know about how the trials ended, and what they ran."""
    by_config: dict[str, list[str]] = {}
    for trial in trials:
        by_config.setdefault(trial.config.config_id, []).append(trial.trial_id)
    signs = [marks_of(ids, results.ends).signs for ids in by_config.values()]
    if uneven := sum(UNEVEN in of_config for of_config in signs):
        of_all = counted(len(signs), "config")
        yield f"{uneven:,} of {of_all} with trials of different numbers of epochs."
    ran = [origin for trial in trials if (origin := results.ends[trial.trial_id].origin)]
    if files := results.origins.other_code(ran):
        yield f"The trials ran different code ({', '.join(files)})."
    if packages := results.origins.other_packages(ran):
        yield f"The trials ran with other versions of {', '.join(packages)}."
