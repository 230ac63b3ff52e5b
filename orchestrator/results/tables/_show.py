"""Every table of a sweep, in one format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import pandas as pd
from rich.console import Console

from orchestrator.results.selection import CellSelection, select
from orchestrator.results.tables._html import html
from orchestrator.results.tables._latex import latex
from orchestrator.results.tables._listing import Listing
from orchestrator.results.tables._markdown import markdown
from orchestrator.results.tables._pivot import Pivot, pivot
from orchestrator.results.tables._text import print_text
from orchestrator.results.tables._tidy import tidy, to_csv, to_json
from orchestrator.spec.model import Sweep

Format = Literal["text", "markdown", "latex", "html", "csv", "json"]


def show(
    sweep: Sweep,
    trials: pd.DataFrame,
    probes: pd.DataFrame | None,
    console: Console,
    format_: Format = "text",
) -> None:
    """Print every table of a sweep.

    Args:
        sweep: the sweep, with the seeds asked for.
        trials: the store's ``trials``.
        probes: the store's ``probes``; None if no table has ``probe:`` values.
        console: where to; only ``text`` makes use of its width and styles.
        format_: ``csv`` and ``json`` give one tidy table, the others each of its own.

    Raises:
        ShowError: the store lacks a metric or probe that is asked for.
    """
    selections = select(sweep, trials)
    if format_ in {"csv", "json"}:
        frames = [tidy(sweep, table, selections, trials, probes) for table in sweep.tables]
        console.file.write(to_csv(frames) if format_ == "csv" else to_json(frames))
        return
    laid_out = pivots(sweep, selections, trials, probes)
    match format_:
        case "markdown":
            console.file.write("\n".join(map(markdown, laid_out)))
        case "latex":
            console.file.write(latex(laid_out))
        case "html":
            console.file.write("".join(map(html, laid_out)))
        case _:
            for shown in laid_out:
                print_text(shown, console)


def pivots(
    sweep: Sweep,
    selections: Sequence[CellSelection],
    trials: pd.DataFrame,
    probes: pd.DataFrame | None,
) -> list[Pivot]:
    """Lay out every table of a sweep; what is listed below one is not listed again below others.

    Args:
        sweep: the sweep, with the seeds asked for.
        selections: of `orchestrator.results.selection.select`.
        trials: the store's ``trials``.
        probes: the store's ``probes``; None if no table has ``probe:`` values.

    Raises:
        ShowError: the store lacks a metric or probe that is asked for.
    """
    said: list[Listing] = []
    found = []
    for table in sweep.tables:
        each = pivot(sweep, table, selections, trials, probes)
        found.append(replace(each, listings=tuple(one for one in each.listings if one not in said)))
        said += each.listings
    return found
