"""The output of `orch status`, from the store alone: it also works while a sweep runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestrator.columns import FINISHED, Status
from orchestrator.errors import ShowError
from orchestrator.labels import assignments, duration, label
from orchestrator.results import Results
from orchestrator.results.cost import left
from orchestrator.results.marks import marks_of
from orchestrator.results.observed import grows
from orchestrator.results.race import planned
from orchestrator.results.retained import lacking
from orchestrator.running import heartbeat
from orchestrator.running.heartbeat import Heartbeat
from orchestrator.spec import Cell, cells
from orchestrator.spec.grid import varied
from orchestrator.store import Outcome, Store
from orchestrator.store.cost import NOTHING, Cost

VERSION = 1
"""Of what `SweepStatus.as_dict` returns: it grows when a key goes or changes its meaning."""


@dataclass(frozen=True)
class SweepStatus:
    """How far a sweep is.

    Attributes:
        results: of the sweep.
        driver: its live driver; None without one.
        done: ids of the trials that it asks for now and that are finished.
        failed: ids of those that failed for good.
        interrupted: ids of those that have a checkpoint, and do not run.
    """

    results: Results
    driver: Heartbeat | None
    done: frozenset[str]
    failed: frozenset[str]
    interrupted: frozenset[str]

    @classmethod
    def of(cls, results: Results) -> SweepStatus:
        """Look at a store, and at whoever drives it."""
        return cls.given(results, results.snapshot.outcomes, results.snapshot.checkpoint_ids)

    @classmethod
    def given(
        cls, results: Results, outcomes: Mapping[str, Outcome], begun: Collection[str]
    ) -> SweepStatus:
        """Look at whoever drives a store.

        Args:
            results: of the sweep.
            outcomes: how its trials have ended by now.
            begun: the trials that have a checkpoint by now.
        """
        asked = {trial.trial_id for trial in results.wanted.trials}
        done = frozenset(i for i in asked if i in outcomes and outcomes[i].status in FINISHED)
        failed = frozenset(
            i for i in asked if i in outcomes and outcomes[i].status == Status.FAILED
        )
        driver = heartbeat.driver_of(results.store)
        waiting = asked.intersection(begun) - done - failed
        interrupted = waiting - (driver.running.keys() if driver else set())
        return cls(results, driver, done, failed, frozenset(interrupted))

    @property
    def running(self) -> Mapping[str, int]:
        """The last finished epoch of each running trial, by trial id."""
        return self.driver.running if self.driver else {}

    @property
    def quiet(self) -> Mapping[str, float]:
        """The running trials that may hang, and for how long nothing has come from them."""
        return self.driver.quiet if self.driver else {}

    @property
    def seconds_left(self) -> float | None:
        """The expected time to the end; None while it is unknown."""
        return self.driver.seconds_left if self.driver else None

    @property
    def cost_left(self) -> Cost | None:
        """What the missing trials are expected to cost; None while it is unknown."""
        return self.driver.cost_left if self.driver else left(self.results)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, whose keys docs/json.md describes."""
        results, outcomes = self.results, self.results.snapshot.outcomes
        cost_left = self.cost_left
        return {
            "version": VERSION,
            "sweep": results.sweep.name,
            "trials": results.wanted.in_all,
            "done": len(self.done),
            "interrupted": len(self.interrupted),
            "driver": {"pid": self.driver.pid, "host": self.driver.host} if self.driver else None,
            "seconds_left": self.seconds_left,
            "cost": {
                "spent": asdict(self.results.cost),
                "left": asdict(cost_left) if cost_left else None,
            },
            "running": [
                {
                    "trial_id": i,
                    "epoch": epoch,
                    "log": results.store.log_name(i),
                    "quiet_seconds": self.quiet.get(i),
                }
                for i, epoch in self.running.items()
            ],
            "failed": [
                {"trial_id": i, "error": outcomes[i].error, "log": results.store.log_name(i)}
                for i in sorted(self.failed)
            ],
            "artifacts": {
                "trials": len(results.artifacts),
                "bytes": sum(results.artifacts.values()),
                "lacking": [trial.trial_id for trial in lacking(results)],
            },
            "cells": [_cell_as_dict(cell, counts) for cell, counts in _of_cells(self)],
        }


def print_status(results: Results, console: Console) -> None:
    """Print counts, the seeds of each cell, and the running and failed trials with their logs."""
    status, store, sweep = SweepStatus.of(results), results.store, results.sweep
    counts = [
        f"{len(status.done):,} of {results.wanted.in_all:,} trials done",
        f"{len(status.running):,} running",
        f"{len(status.failed):,} failed",
        *([f"{len(status.interrupted):,} interrupted"] if status.interrupted else []),
        *([f"about {duration(status.seconds_left)} left"] if status.seconds_left else []),
    ]
    console.print(f"[bold]{sweep.name}[/bold]  {', '.join(counts)}")
    console.print(f"driven by {status.driver}" if status.driver else "no driver is running")
    if results.cost != NOTHING:
        expected = f", about {cost_left} left" if (cost_left := status.cost_left) else ""
        console.print(f"{results.cost} spent{expected}", soft_wrap=True)
    console.print(_cells_table(status))
    if sweep.decide and status.done:
        _print_claims(results, console)
    for trial_id, epoch in status.running.items():
        log = escape(store.log_name(trial_id))
        seconds = status.quiet.get(trial_id)
        quiet = "" if seconds is None else f", quiet for {duration(seconds)}: does it hang?"
        text = f"running {trial_id}, epoch {epoch} done, log {log}{quiet}"
        console.print(text, soft_wrap=True)
    _print_failures(status.failed, results.snapshot.outcomes, store, console)
    if status.done:
        _print_marked(cells(sweep), results, console)
    for remark in results.equal_to_the_bit if len(status.done) > 1 else ():
        console.print(escape(remark), soft_wrap=True)


def _print_claims(results: Results, console: Console) -> None:
    """Say how far each claim is on its way to a verdict."""
    try:
        findings = results.claims()
    except ShowError as error:
        console.print(escape(f"no claim can be judged: {error}"), soft_wrap=True)
        return
    for finding in findings:
        seeds = f"{finding.contrast.n} of at most {finding.at_most} seeds"
        console.print(f"claim {finding.claim.name}: {finding.verdict}, {seeds}", soft_wrap=True)


def _print_failures(
    failed: Collection[str], outcomes: Mapping[str, Outcome], store: Store, console: Console
) -> None:
    """Print a line per error, with the first of its trials."""
    by_error: dict[str, list[str]] = {}
    for trial_id in sorted(failed):
        error = (outcomes[trial_id].error or "no message").splitlines()[0]
        by_error.setdefault(error, []).append(trial_id)
    for error, (first, *others) in by_error.items():
        who = f"{1 + len(others):,} trials failed" if others else f"failed {first}"
        log = escape(store.log_name(first))
        console.print(f"{who}: {escape(error)}; see {log}", soft_wrap=True)


def _print_marked(all_cells: list[Cell], results: Results, console: Console) -> None:
    """Name the configs whose numbers carry a mark, with the logs of trials that diverged."""
    ends = results.ends
    for cell in all_cells:
        for config in cell.configs:
            ids = [config.trial_id(seed) for seed in cell.seeds]
            remarks = [text for _, text in marks_of(ids, ends, results.origins).remarks()]
            if remarks:
                diverged = (i for i in ids if i in ends and ends[i].status == Status.DIVERGED)
                logs = [f"log {results.store.log_name(trial_id)}" for trial_id in diverged]
                line = f"{assignments(config.selectors)}: {'; '.join([*remarks, *logs])}"
                console.print(escape(line), soft_wrap=True)


@dataclass(frozen=True)
class _Counts:
    """How far one cell is: what is done, and of how much."""

    seeds: tuple[int, int]
    """Of its selecting seeds those that all configs have which are still in the race."""
    confirmed: tuple[int, int]
    trials: tuple[int, int]
    dropped: int


def _of_cells(status: SweepStatus) -> list[tuple[Cell, _Counts]]:
    results, done = status.results, status.done
    race = results.sweep.race
    asked: dict[str, dict[int, list[str]]] = {}
    for trial in results.wanted.trials:
        by_seed = asked.setdefault(trial.config.cell_id, {})
        by_seed.setdefault(trial.seed, []).append(trial.trial_id)
    may_change = done and grows(results.sweep)
    selected = {s.cell.cell_id: s for s in results.selections} if may_change else {}
    found = []
    for cell in cells(results.sweep):
        by_seed = asked.get(cell.cell_id, {})
        finished = {seed for seed, ids in by_seed.items() if done.issuperset(ids)}
        selection = selected.get(cell.cell_id)
        follow = () if selection and selection.ended_empty else cell.confirm
        confirm = set(follow) | by_seed.keys() - set(cell.seeds)
        counts = _Counts(
            seeds=(len(finished.intersection(cell.seeds)), len(cell.seeds)),
            confirmed=(len(finished & confirm), len(confirm)),
            trials=(
                sum(len(done.intersection(ids)) for ids in by_seed.values()),
                planned(cell, race) + len(confirm),
            ),
            dropped=len(selection.dropped) if selection else 0,
        )
        found.append((cell, counts))
    return found


def _cell_as_dict(cell: Cell, counts: _Counts) -> dict[str, Any]:
    pairs = {"seeds": counts.seeds, "confirmed": counts.confirmed, "trials": counts.trials}
    return {
        "cell_id": cell.cell_id,
        "factors": dict(cell.factors),
        **{name: {"done": done, "of": of} for name, (done, of) in pairs.items()},
        "dropped": counts.dropped,
    }


def _cells_table(status: SweepStatus) -> Table:
    """Make a table with a row per cell, named by the factors that vary."""
    found, race = _of_cells(status), status.results.sweep.race
    names = varied([cell for cell, _ in found])
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name, overflow="fold")
    confirm = ["confirmed"] if any(cell.confirm for cell, _ in found) else []
    for column in ("seeds", *confirm, "trials", *(["dropped"] if race else [])):
        table.add_column(column, justify="right", no_wrap=True)
    for cell, counts in found:
        pairs = [counts.seeds, *([counts.confirmed] if confirm else []), counts.trials]
        if race:
            pairs.append((counts.dropped, len(cell.configs)))
        table.add_row(
            *(escape(label(cell.factors[name])) for name in names),
            *(f"{done:,} of {of:,}" for done, of in pairs),
        )
    return table
