"""The output of `orch plan`: counts, the first trials to run, the time left."""

from __future__ import annotations

import os
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestrator.code import Currency
from orchestrator.labels import duration, label
from orchestrator.results.observed import grows
from orchestrator.running.inventory import Inventory, take_inventory
from orchestrator.spec import Sweep
from orchestrator.spec.grid import cells, varied
from orchestrator.spec.searched import points_of
from orchestrator.store import Stores
from orchestrator.store.stored_sweep import require_same
from orchestrator.store.sweep_code import require_code, scope_of

_SHOWN_TRIALS = 5
_KEPT = {"winners": "the trials that tables report", "all": "all trials"}


@dataclass(frozen=True)
class Plan:
    """A sweep compared with its store."""

    sweep: Sweep
    inventory: Inventory
    points: frozenset[int]
    """How many different points cells take from their ranges."""

    @property
    def factors(self) -> list[str]:
        """The factors in which cells differ, in file order."""
        return varied(cells(self.sweep))

    @property
    def ahead(self) -> int:
        """How many trials are missing, with those of later seeds."""
        return self.inventory.wanted.in_all - self.inventory.done

    @property
    def otherwise(self) -> dict[str, int]:
        """How many are missing in other cases, which the keys name."""
        wanted, done = self.inventory.wanted, self.inventory.done
        cases = {"if no claim gets a verdict": wanted.at_worst} if self.sweep.decide else {}
        if grows(self.sweep):
            # What claims have asked for beyond the file's seeds is among those done, too.
            cases["for the full grid"] = wanted.full_grid + wanted.further
        return {case: trials - done for case, trials in cases.items()}

    def seconds(self, trials: int) -> float | None:
        """Expect the time of so many trials on this machine's CPUs; None if it is unknown.

        Each takes as long as those that could run now, by what the store has of their like.
        """
        missing = self.inventory.missing
        total = self.inventory.durations.total(missing)
        if total is None or not missing:
            return None
        slots = max(1, int((os.cpu_count() or 1) / max(self.sweep.resources.cpu, 0.01)))
        return trials * (total / len(missing)) / min(slots, max(1, trials))

    def as_dict(self) -> dict[str, int]:
        """Return the counts; ``done`` includes ``reused`` and ``stale``.

        With `race` or `confirm`, ``trials`` are those that the sweep will have asked for at its
        end, ``full_grid`` is their number if every config ran on all seeds, and ``dropped`` counts
        the configs that are out of the race. With `samples`, ``points`` is how many different ones
        a cell has at least. With `decide`, claims may ask for more than
        ``trials``, up to ``at_worst``.
        """
        inventory = self.inventory
        wanted = inventory.wanted
        full = {"full_grid": wanted.full_grid} if grows(self.sweep) else {}
        at_worst = {"at_worst": wanted.at_worst} if self.sweep.decide else {}
        dropped = {"dropped": wanted.dropped} if self.sweep.race else {}
        return {
            "cells": wanted.cells,
            "configs": wanted.configs,
            **({"points": min(self.points)} if self.points else {}),
            "trials": wanted.in_all,
            **at_worst,
            **full,
            "done": inventory.done,
            "reused": inventory.reused,
            "stale": len(inventory.stale),
            "missing": self.ahead,
            **dropped,
        }


def plan(sweep: Sweep, stores: Stores) -> Plan:
    """Compare a sweep with its store and the sibling stores."""
    store = stores.store_of(sweep.name)
    if store.exists:
        require_same(sweep, store)
    scope = scope_of(sweep, stores.files.local)
    require_code(sweep, scope)
    siblings = stores.siblings_of(sweep.name)
    inventory = take_inventory(sweep, store.snapshot(), [*siblings], Currency(scope))
    return Plan(sweep, inventory, frozenset(points_of(sweep)))


def print_plan(plan: Plan, console: Console) -> None:
    """Print the counts, the first trials to run, and the time left."""
    console.print(f"[bold]{plan.sweep.name}[/bold]  {escape(plan.sweep.description)}".rstrip())
    counts = plan.as_dict().items()
    console.print(", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in counts))
    if plan.points and plan.sweep.samples and min(plan.points) < plan.sweep.samples:
        where = " in some cells" if len(plan.points) > 1 else ""
        console.print(
            f"of {plan.sweep.samples:,} samples, {min(plan.points):,} are left{where}: "
            "the others repeat a point"
        )
    if plan.sweep.artifacts != "none":
        console.print(f"artifacts are kept of {_KEPT[plan.sweep.artifacts]}")
    first = plan.inventory.queue()[:_SHOWN_TRIALS]
    if first:
        names = [*plan.factors, *plan.sweep.search]
        table = Table(title="first to run", title_justify="left", box=None, pad_edge=False)
        table.add_column("trial", no_wrap=True)
        for name in (*names, "seed"):
            table.add_column(name, overflow="fold")
        for trial in first:
            params = [escape(label(trial.values[name])) for name in names]
            table.add_row(trial.trial_id, *params, str(trial.seed))
        console.print(table)
    cases = {"left on this machine": plan.ahead} | plan.otherwise
    expected = {case: plan.seconds(trials) for case, trials in cases.items()}
    left = [f"{about(sec)} {case}" for case, sec in expected.items() if sec is not None]
    if first and left:
        console.print("; ".join(left))


def about(seconds: float) -> str:
    """Write an expected time."""
    return f"about {duration(max(seconds, 1))}"
