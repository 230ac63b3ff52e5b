"""A sweep from Python: `orch sweep` as a function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import InputError
from orchestrator.results import Results
from orchestrator.running.display import Display
from orchestrator.running.driver import Driver, Options
from orchestrator.running.runners import NAMES
from orchestrator.spec import load, with_seeds
from orchestrator.store import Stores


def run(
    file: str | Path | Mapping[str, Any],
    *,
    store: str | Path = "results",
    seeds: Sequence[int] | None = None,
    runner: str = "tune",
    rerun_stale: bool = False,
    smoke: bool = False,
    progress: bool = True,
) -> Results:
    """Run what of a sweep is missing in its store, as `orch sweep` does.

    Trials that fail are rows of the results, with ``status`` ``failed``; they run again the
    next time. Nothing is printed but the progress, on standard error or in the notebook.

    Args:
        file: path of the sweep file, or a mapping that holds what the file would.
        store: folder (or URI) of the stores, one per sweep.
        seeds: seeds instead of the file's top-level ones.
        runner: ``tune``, on Ray Tune, or ``inline``, one by one in this process.
        rerun_stale: run again what other code has run.
        smoke: try two batches of one config and seed per cell.
        progress: whether to show it.

    Raises:
        OrchError: something is wrong with the file, the store, the code or the cluster; the
            class says what.
        KeyboardInterrupt: the run was interrupted; what is finished is kept, and the same
            call goes on.
    """
    if runner not in NAMES:
        raise InputError(f"runner: expected {' or '.join(NAMES)}, got {runner!r}")
    sweep = load(file)
    if seeds is not None:
        sweep = with_seeds(sweep, seeds)
    if smoke:
        sweep = sweep.as_smoke()
    display = Display(quiet=not progress)
    stores = Stores(str(store), display.warn)
    Driver(sweep, stores, Options(runner, rerun_stale), display).run()
    return Results(sweep, stores.store_of(sweep.name))
