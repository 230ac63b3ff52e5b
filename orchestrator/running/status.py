"""The output of `orch status`, from the store alone: it also works while a sweep runs."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestrator.columns import FINISHED, Status
from orchestrator.errors import ShowError
from orchestrator.labels import assignments, duration, label
from orchestrator.results import Results
from orchestrator.results.marks import marks_of
from orchestrator.results.race import planned
from orchestrator.running import heartbeat
from orchestrator.spec import Cell, cells
from orchestrator.spec.grid import varied
from orchestrator.store import Outcome, Store


def print_status(results: Results, console: Console) -> None:
    """Print counts, the seeds of each cell, and the running and failed trials with their logs."""
    sweep, store, outcomes = results.sweep, results.store, results.snapshot.outcomes
    all_cells = cells(sweep)
    asked = {trial.trial_id for trial in results.wanted.trials}
    done = {i for i in asked if i in outcomes and outcomes[i].status in FINISHED}
    failed = {i for i in asked if i in outcomes and outcomes[i].status == Status.FAILED}
    driver = heartbeat.driver_of(store)
    running = driver.running if driver else {}
    interrupted = (
        asked.intersection(results.snapshot.checkpoint_ids) - done - failed - running.keys()
    )
    left = driver.seconds_left if driver else None

    counts = [
        f"{len(done):,} of {results.wanted.in_all:,} trials done",
        f"{len(running):,} running",
        f"{len(failed):,} failed",
        *([f"{len(interrupted):,} interrupted"] if interrupted else []),
        *([f"about {duration(left)} left"] if left is not None else []),
    ]
    console.print(f"[bold]{sweep.name}[/bold]  {', '.join(counts)}")
    console.print(f"driven by {driver}" if driver else "no driver is running")
    console.print(_cells_table(results, all_cells, done))
    if sweep.decide and done:
        _print_claims(results, console)
    for trial_id, epoch in running.items():
        log = escape(store.log_name(trial_id))
        console.print(f"running {trial_id}, epoch {epoch} done, log {log}", soft_wrap=True)
    _print_failures(failed, outcomes, store, console)
    if done:
        _print_marked(all_cells, results, console)
    for remark in results.equal_to_the_bit if len(done) > 1 else ():
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
    failed: set[str], outcomes: Mapping[str, Outcome], store: Store, console: Console
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


def _cells_table(results: Results, all_cells: list[Cell], done: set[str]) -> Table:
    """Make a table with a row per cell, named by the factors that vary.

    Its seeds are those that all configs have which are still in the race.
    """
    sweep, race = results.sweep, results.sweep.race
    asked: dict[str, dict[int, list[str]]] = {}
    for trial in results.wanted.trials:
        by_seed = asked.setdefault(trial.config.cell_id, {})
        by_seed.setdefault(trial.seed, []).append(trial.trial_id)
    dropped = {s.cell.cell_id: len(s.dropped) for s in results.selections} if race and done else {}
    table = Table(box=None, pad_edge=False)
    names = varied(all_cells)
    for name in names:
        table.add_column(name, overflow="fold")
    columns = ["seeds", *(["confirmed"] if any(c.confirm for c in all_cells) else []), "trials"]
    for column in (*columns, *(["dropped"] if race else [])):
        table.add_column(column, justify="right", no_wrap=True)
    for cell in all_cells:
        by_seed = asked.get(cell.cell_id, {})
        finished = {seed for seed, ids in by_seed.items() if done.issuperset(ids)}
        count = sum(len(done.intersection(ids)) for ids in by_seed.values())
        confirm = set(cell.confirm) | by_seed.keys() - set(cell.seeds)
        in_all = planned(cell, sweep.race) + len(confirm)
        counts = {
            "seeds": f"{len(finished.intersection(cell.seeds))} of {len(cell.seeds)}",
            "confirmed": f"{len(finished & confirm)} of {len(confirm)}",
            "trials": f"{count:,} of {in_all:,}",
        }
        table.add_row(
            *(escape(label(cell.factors[name])) for name in names),
            *(counts[column] for column in columns),
            *([f"{dropped.get(cell.cell_id, 0)} of {len(cell.configs)}"] if race else []),
        )
    return table
