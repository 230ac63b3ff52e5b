"""`orch sweep` as a Python function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import InputError
from orchestrator.results import Results
from orchestrator.running.display import Display
from orchestrator.running.driver import Driver, Options
from orchestrator.running.runners import NAMES
from orchestrator.spec import Sweep, load, with_seeds
from orchestrator.spec.model import Decide
from orchestrator.store import Stores


def run(
    file: str | Path | Mapping[str, Any],
    *,
    store: str | Path = "results",
    seeds: Sequence[int] | None = None,
    runner: str = "tune",
    rerun_stale: bool = False,
    decide: bool = False,
    smoke: bool = False,
    keep_going: bool = False,
    hours: float | None = None,
    progress: bool = True,
) -> Results:
    """Run the trials that a sweep's store lacks, as `orch sweep` does.

    Trials that fail are rows of the results, with ``status`` ``failed``; the next call retries
    them. If the first ones all fail with the same error, that is raised as a `RunError`. Only the
    progress is printed, to standard error or in the notebook.

    Args:
        file: path of the sweep file, or a mapping with its content.
        store: folder (or URI) of the stores, one per sweep.
        seeds: seeds that replace the file's top-level ones.
        runner: ``tune``, on Ray Tune, or ``inline``, one by one in this process.
        rerun_stale: rerun trials that ran with other code.
        decide: decide the claims even if the file does not set `decide`, as `orch decide` does.
        smoke: run two batches of one config and one seed per cell.
        keep_going: run all trials even if the first ones all fail with the same error.
        hours: how long the run may take; then `TimeUpError` says what is left to do.
        progress: whether to print the progress.

    Raises:
        OrchError: the file, the store, the code or the cluster is at fault; the class says
            which.
        KeyboardInterrupt: the run was interrupted; finished trials are kept, and the same call
            continues the sweep.
    """
    if runner not in NAMES:
        raise InputError(f"runner: expected {' or '.join(NAMES)}, got {runner!r}")
    sweep = load(file, decide=Decide() if decide else None)
    if seeds is not None:
        sweep = with_seeds(sweep, seeds)
    if smoke:
        sweep = sweep.as_smoke()
    return run_sweep(
        sweep, store, Options(runner, rerun_stale, keep_going, hours), progress=progress
    )


def run_sweep(
    sweep: Sweep, store: str | Path, options: Options, *, progress: bool = True
) -> Results:
    """Run the trials that a sweep's store lacks; see `run`."""
    display = Display(quiet=not progress)
    stores = Stores(str(store), display.warn)
    snapshot = Driver(sweep, stores, options, display).run()
    return Results(sweep, snapshot.store, snapshot)
