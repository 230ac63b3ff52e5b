"""What `orch plan` says: counts, the first trials, the time left."""

from __future__ import annotations

import os
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestrator import editing, state
from orchestrator.code import code_of
from orchestrator.display import Display, duration
from orchestrator.plan import cells, expand
from orchestrator.store import Store
from orchestrator.store.files import Files
from orchestrator.sweep import Sweep

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
