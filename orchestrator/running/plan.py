"""What `orch plan` prints: counts, the first trials, the time left."""

from __future__ import annotations

import os
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestrator.code import code_of
from orchestrator.labels import duration, label
from orchestrator.running.inventory import Inventory, take_inventory
from orchestrator.spec import Sweep, cells, expand
from orchestrator.store import Stores
from orchestrator.store.stored_sweep import require_same

_FIRST = 5


@dataclass(frozen=True)
class Plan:
    """A sweep compared with its store."""

    sweep: Sweep
    inventory: Inventory
    cells: int
    configs: int

    @property
    def seconds_left(self) -> float | None:
        """Expect the time that the missing trials take on this machine's CPUs."""
        missing = self.inventory.missing
        total = self.inventory.durations.total(missing)
        slots = max(1, int((os.cpu_count() or 1) / max(self.sweep.resources.cpu, 0.01)))
        return None if total is None else total / min(slots, max(1, len(missing)))

    def as_dict(self) -> dict[str, int]:
        """The counts; ``reused`` and ``stale`` trials are among the ``done`` ones."""
        return {
            "cells": self.cells,
            "configs": self.configs,
            "trials": len(self.inventory.trials),
            "done": self.inventory.done,
            "reused": self.inventory.reused,
            "stale": len(self.inventory.stale),
            "missing": len(self.inventory.missing),
        }


def plan(sweep: Sweep, stores: Stores) -> Plan:
    """Find what of a sweep is done, in its own store and in those beside it."""
    store = stores.store_of(sweep.name)
    if store.exists:
        require_same(sweep, store)
    digest = code_of(sweep.module).digest
    inventory = take_inventory(expand(sweep), store, stores.siblings_of(sweep.name), digest)
    all_cells = cells(sweep)
    return Plan(sweep, inventory, len(all_cells), sum(len(cell.configs) for cell in all_cells))


def print_plan(made: Plan, console: Console) -> None:
    """Print counts, the trials that would run first, and the time left."""
    console.print(f"[bold]{made.sweep.name}[/bold]  {escape(made.sweep.description)}".rstrip())
    console.print(", ".join(f"{name} {count:,}" for name, count in made.as_dict().items()))
    first = made.inventory.queue()[:_FIRST]
    if first:
        names = [*made.sweep.factors, *made.sweep.search]
        table = Table(title="first to run", title_justify="left", box=None, pad_edge=False)
        for name in ("trial", *names, "seed"):
            table.add_column(name, overflow="fold")
        for trial in first:
            params = [escape(label(trial.params[name])) for name in names]
            table.add_row(trial.trial_id, *params, str(trial.seed))
        console.print(table)
    if first and made.seconds_left is not None:
        console.print(f"about {duration(max(made.seconds_left, 1))} left on this machine")
