"""What `orch status` says, from the store alone: also while another process runs the sweep."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestrator.labels import label
from orchestrator.running import heartbeat
from orchestrator.running.display import duration
from orchestrator.spec.grid import FINISHED, Cell, cells, trial_id, varied
from orchestrator.spec.model import Sweep
from orchestrator.store import Store


def print_status(sweep: Sweep, store: Store, console: Console) -> None:
    """Print counts, each cell's seeds, what runs, and what failed with its log file."""
    outcomes = store.outcomes()
    all_cells = cells(sweep)
    asked = {i for cell in all_cells for ids in _ids(cell).values() for i in ids}
    done = {i for i in asked if i in outcomes and outcomes[i].status in FINISHED}
    failed = {i for i in asked if i in outcomes and outcomes[i].status == "failed"}
    driver = heartbeat.look(store)
    running = {i: epoch for i, epoch in (driver.running if driver else {}).items() if i in asked}
    left = driver.seconds_left if driver else None
    begun = asked.intersection(store.checkpoint_ids()) - done - failed - running.keys()

    console.print(
        f"[bold]{sweep.name}[/bold]  {len(done):,} of {len(asked):,} trials done, "
        f"{len(running):,} running, {len(failed):,} failed"
        + (f", {len(begun):,} begun and waiting" if begun else "")
        + (f", about {duration(left)} left" if left is not None else "")
    )
    console.print(f"driven by {driver}" if driver else "no driver is running")
    console.print(_cells_table(all_cells, done))
    for id_, epoch in running.items():
        line = f"running {id_}, epoch {epoch} done, log {escape(store.log_name(id_))}"
        console.print(line, soft_wrap=True)
    for id_ in sorted(failed):
        error = (outcomes[id_].error or "no message").splitlines()[0]
        line = f"failed {id_}: {escape(error)}; see {escape(store.log_name(id_))}"
        console.print(line, soft_wrap=True)


def _ids(cell: Cell) -> dict[int, list[str]]:
    """List a cell's trials by seed."""
    return {seed: [trial_id(config, seed) for config in cell.configs] for seed in cell.seeds}


def _cells_table(all_cells: list[Cell], done: set[str]) -> Table:
    """One row per cell, named by the factors in which cells differ."""
    table = Table(box=None, pad_edge=False)
    names = varied(all_cells)
    for name in names:
        table.add_column(name, overflow="fold")
    table.add_column("seeds", justify="right", no_wrap=True)
    table.add_column("trials", justify="right", no_wrap=True)
    for cell in all_cells:
        by_seed = _ids(cell)
        whole = sum(done.issuperset(ids) for ids in by_seed.values())
        ended = sum(len(done.intersection(ids)) for ids in by_seed.values())
        total = len(by_seed) * len(cell.configs)
        table.add_row(
            *(escape(label(cell.factors[name])) for name in names),
            f"{whole} of {len(by_seed)}",
            f"{ended:,} of {total:,}",
        )
    return table
