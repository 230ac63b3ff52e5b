"""What the variance between a sweep's trials is due to: a table and a figure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from markupsafe import escape
from rich.console import Console

from orchestrator.columns import Status
from orchestrator.errors import ShowError
from orchestrator.labels import counted, label, unit
from orchestrator.results.selection import TIE
from orchestrator.results.tables import (
    Listing,
    as_text,
    html_listing,
    markdown_listing,
    print_listing,
    to_csv,
    to_json,
)
from orchestrator.results.variance import Array, Effect, Indices, balanced, decompose
from orchestrator.spec import PlannedTrial, expand
from orchestrator.spec.values import by_value

if TYPE_CHECKING:
    from orchestrator.results.figures import Plot
    from orchestrator.results.results import Results

Format = Literal["text", "markdown", "csv", "json"]

SEED = "seed"
MOST_BARS = 12
"""The most effects that a figure shows."""
MOST_NAMED = 5
"""The most values of an axis that a note lists."""


@dataclass(frozen=True, repr=False)
class Effects:
    """The decomposition of the variance of a metric or probe between trials.

    Attributes:
        sweep: the sweep's name.
        metric: a metric, or ``probe:NAME``.
        effects: the parts of the variance, the largest first.
        means: for each param and each of its values, as a sweep file writes it, the mean of the
            trials that have it, in the unit that the trainable yields.
        trials: number of trials of the balanced part, which are decomposed.
        seeds: number of their seeds.
        left_out: number of the sweep's other trials.
        notes: sentences about them.
    """

    sweep: str
    metric: str
    effects: tuple[Effect, ...]
    means: Mapping[str, Mapping[str, float]]
    trials: int
    seeds: int
    left_out: int
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        return as_text(lambda console: show_effects(self, console))

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        tables = "".join(map(html_listing, _listings(self)))
        return f"{tables}\n<ul>{items}</ul>\n"

    @property
    def frame(self) -> pd.DataFrame:
        """One row per effect, with ``trials`` and ``left_out`` in each."""
        columns = ["metric", "effect", "share", "df", "trials", "left_out"]
        rows = [
            (self.metric, effect.name, effect.share, effect.df, self.trials, self.left_out)
            for effect in self.effects
        ]
        return pd.DataFrame(rows, columns=columns)

    def figure(self) -> Plot:
        """Draw the largest effects as bars; a notebook displays them, ``save`` writes files."""
        from orchestrator.results.figures import Panel, Plot, Point, Series

        shown = self.effects[:MOST_BARS]
        points = tuple(
            Point(effect.name, 100 * effect.share, math.nan, self.seeds) for effect in shown
        )
        panel = Panel("", "", "share of the variance (%)", (Series("", points),))
        hidden = len(self.effects) - len(shown)
        smaller = (f"{counted(hidden, 'smaller effect')} not shown.",) if hidden else ()
        return Plot(
            name=f"effects-{re.sub('[^a-z0-9_-]', '-', self.metric.lower())}",
            kind="effects",
            title=f"{self.sweep}: effects on {self.metric}",
            panels=((panel,),),
            notes=(*self.notes[:2], *smaller),
        )


def show_effects(effects: Effects, console: Console, format_: Format = "text") -> None:
    """Print effects as tables with remarks, or one row or object per effect for programs."""
    match format_:
        case "csv":
            console.file.write(to_csv(effects.frame))
        case "json":
            console.file.write(to_json(effects.frame))
        case "markdown":
            bullets = "\n".join(f"- {note}" for note in effects.notes)
            tables = map(markdown_listing, _listings(effects))
            console.file.write("\n\n".join([*tables, bullets]) + "\n")
        case _:
            for listing in _listings(effects):
                print_listing(listing, console)
                console.print()
            for note in effects.notes:
                console.print(f"• {note}", markup=False, highlight=False)


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
            "value; `orch status` shows what is missing"
        )
    kept = kept[np.lexsort(places[kept].T[::-1])]  # the last axis varies fastest
    positions = [np.unique(axis) for axis in places[kept].T]
    grid = values[kept].reshape([len(of_axis) for of_axis in positions])
    if np.ptp(grid) <= TIE * np.abs(grid).max():
        raise ShowError(
            f"all {len(kept):,} trials of `{name}` that could be decomposed have the same "
            f"`{metric}`, {unit(metric).heading(unit(metric).text(grid.flat[0]))}: "
            "there is no variance"
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
        notes=tuple(_notes(metric, len(planned), axes, positions, grid)),
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
    return [*axes, _Axis(SEED, _numbered(seeds), tuple(dict.fromkeys(seeds)))]


def _numbered(keys: Sequence[str]) -> tuple[int, ...]:
    """Number keys from 0 in the order in which they first appear."""
    numbers: dict[str, int] = {}
    return tuple(numbers.setdefault(key, len(numbers)) for key in keys)


def _means(
    axes: Sequence[_Axis], positions: Sequence[Indices], grid: Array
) -> dict[str, dict[str, float]]:
    """Average over all axes but one, for each param that has several values in the grid."""
    means = {}
    for index, (axis, of_axis) in enumerate(zip(axes[:-1], positions, strict=False)):
        if len(of_axis) > 1:
            others = tuple(other for other in range(grid.ndim) if other != index)
            labels = [axis.labels[position] for position in of_axis]
            means[axis.name] = dict(zip(labels, grid.mean(axis=others).tolist(), strict=True))
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
    deviation = unit(metric).points(float(grid.std()))
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


def _listings(effects: Effects) -> Iterator[Listing]:
    rows = [(of.name, f"{100 * of.share:.1f}", str(of.df)) for of in effects.effects]
    yield Listing(f"Effects on {effects.metric}", ("effect", "share (%)", "df"), tuple(rows))
    of_metric = unit(effects.metric)
    means = [
        (param, value, of_metric.text(mean))
        for param, by_label in effects.means.items()
        for value, mean in by_label.items()
    ]
    if means:
        header = ("param", "value", of_metric.heading(effects.metric))
        yield Listing("Means", header, tuple(means))
