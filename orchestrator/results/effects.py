"""What the variance between a sweep's trials is due to: a table and a figure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pandas as pd
from markupsafe import escape
from rich.console import Console

from orchestrator.labels import counted, unit
from orchestrator.results.tables import (
    Listing,
    as_text,
    html_listing,
    markdown_listing,
    print_listing,
    to_csv,
    to_json,
)
from orchestrator.results.variance import Effect

if TYPE_CHECKING:
    from orchestrator.results.figures import Plot

Format = Literal["text", "markdown", "csv", "json"]

MOST_BARS = 12
"""The most effects that a figure shows."""


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
