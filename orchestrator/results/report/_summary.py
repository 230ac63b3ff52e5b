"""Summarises a run: trials, hardware, time, code and failures."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from orchestrator.code import Currency, require_module
from orchestrator.columns import ENDED, Status
from orchestrator.errors import TrainableError
from orchestrator.labels import counted, label
from orchestrator.results.cost import left
from orchestrator.results.retained import extent
from orchestrator.results.tables import Listing
from orchestrator.spec import Sweep, cells
from orchestrator.spec.source import text_of
from orchestrator.store import Store
from orchestrator.store.sweep_code import scope_beside

if TYPE_CHECKING:
    from orchestrator.results.results import Results


@dataclass(frozen=True)
class Origin:
    """The inputs of a report.

    Attributes:
        file: the sweep file, as the commands name it.
        text: its content.
        root: the folder of the stores, as the commands name it.
        currency: compares stored code with the present files; None if they are not available.
    """

    file: str
    text: str
    root: str
    currency: Currency | None

    @classmethod
    def of(cls, results: Results, file: str | Path | None) -> Origin:
        """Look up the inputs; the sweep file is by default the store's own copy."""
        files = results.store.files
        if file is None:
            name, text = files.shown("sweep.yaml"), (files.read("sweep.yaml") or b"").decode()
        else:
            name, text = str(file), text_of(Path(file))
        root = str(files).rpartition("/")[0] or "."
        scope = scope_beside(results.sweep, results.store)
        try:
            if results.sweep.trainable is not None:
                require_module(results.sweep.module, scope)
        except TrainableError:
            return cls(name, text, root, None)
        return cls(name, text, root, Currency(scope))


def _ended(results: Results) -> pd.DataFrame:
    """Keep the trials of the sweep that have ended."""
    planned = [trial.trial_id for trial in results.wanted.trials]
    trials = results.trials
    return trials[trials["trial_id"].isin(planned) & trials["status"].isin(ENDED)]


def facts(results: Results, origin: Origin) -> list[tuple[str, str]]:
    """Summarise the trials of a sweep, as pairs of a term and its text."""
    return list(_facts(results, _ended(results), origin))


def unfinished(results: Results) -> str | None:
    """Say what the sweep lacks; None if it lacks nothing."""
    trials = _ended(results)
    failed = int((trials["status"] == Status.FAILED).sum())
    missing = results.wanted.in_all - len(trials)
    parts = [f"{missing:,} missing"] * (missing > 0) + [f"{failed:,} failed"] * (failed > 0)
    if not parts:
        return None
    trials_of_all = counted(results.wanted.in_all, "trial")
    return f"Unfinished: of {trials_of_all}, {' and '.join(parts)}. Tables mark what they lack."


def _facts(results: Results, trials: pd.DataFrame, origin: Origin) -> Iterator[tuple[str, str]]:
    sweep = results.sweep
    counts = trials["status"].value_counts()
    parts = [f"{int(counts.get(status, 0)):,} {status}" for status in ENDED]
    planned = results.wanted.in_all
    yield "Trials", f"{planned:,}: {', '.join(parts)}, {planned - len(trials):,} missing"
    all_cells = cells(sweep)
    configs = sum(len(cell.configs) for cell in all_cells)
    yield "Cells", f"{len(all_cells):,}, {counted(configs, 'config')}"
    yield "Seeds", ", ".join(map(str, sweep.seeds))
    if sweep.confirm:
        yield "Confirm seeds", ", ".join(map(str, sweep.confirm))
    if sweep.race:
        share, least = sweep.race.keep, sweep.race.at_least
        dropped = sum(len(selection.dropped) for selection in results.selections)
        rule = f"{share:g} of a cell's configs go on after each seed, at least {least:,}"
        yield "Race", f"{rule}; {counted(dropped, 'config')} dropped"
    if sweep.decide:
        most = f"up to {sweep.decide.at_most} confirm seeds for claims without a verdict"
        yield "Decide", f"{most}; tables report those that run in any case"
    if trials.empty:
        return
    if results.artifacts:
        yield "Artifacts", f"of {extent(results)}"
    yield "Hardware", _counted(_hardware(trials))
    yield "Threads", _counted(trials["threads"].astype(str))
    if trials["started_at"].notna().any():  # not of a trial that failed
        yield "Time", _time(trials)
    expected = left(results)
    more = f", about {expected} left" if expected else ""
    yield "Cost", f"{results.cost} spent, failed attempts included{more}"
    yield "Code", _counted(trials["code_digest"].astype(str).str[:12])
    yield "Stale", _stale(results.store, trials, origin)
    versions = {tuple(json.loads(text).items()) for text in trials["facts"].dropna().unique()}
    for pairs in sorted(versions):
        yield "Versions", ", ".join(f"{name} {version}" for name, version in pairs)


def _hardware(trials: pd.DataFrame) -> pd.Series[str]:
    """Name device, host and processor of each trial; the first store format has no processor."""
    places = trials["device"].astype(str) + " on " + trials["host"].astype(str)
    processors = trials["processor"].astype(object)
    return places.where(processors.isna(), places + ", " + processors.astype(str))


def _stale(store: Store, trials: pd.DataFrame, origin: Origin) -> str:
    if origin.currency is None:
        return "unknown: the sources of what ran are not available"
    digests, read = trials["code_digest"].astype(str), store.archives.read
    stale = sum(not origin.currency.is_current(digest, read) for digest in digests)
    return f"{counted(stale, 'trial')} ran other code than the present"


def _counted(values: pd.Series[str]) -> str:
    counts = values.value_counts()
    return ", ".join(f"{name} ({counted(count, 'trial')})" for name, count in counts.items())


def _time(trials: pd.DataFrame) -> str:
    first, last = trials["started_at"].min(), trials["ended_at"].max()
    return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"


def failures(results: Results) -> Listing | None:
    """List the failed trials with the first line of the error and the log file of each."""
    failed = _ended(results)
    failed = failed[failed["status"] == Status.FAILED]
    if failed.empty:
        return None
    errors = dict(zip(failed["trial_id"], failed["error"], strict=True))
    names = [*results.sweep.factors, *results.sweep.search, "seed"]
    rows = [
        (
            *(label(trial.values[name]) for name in names),
            str(errors[trial.trial_id] or "no message").splitlines()[0],
            results.store.log_name(trial.trial_id),
        )
        for trial in results.wanted.trials
        if trial.trial_id in errors
    ]
    return Listing("Failed trials", (*names, "error", "log"), tuple(rows))


def commands(sweep: Sweep, origin: Origin) -> list[str]:
    """Write the commands that reproduce the sweep and this report."""
    file, root = shlex.quote(origin.file), shlex.quote(origin.root)
    seeds = ",".join(map(str, sweep.seeds))
    return [
        f"orch sweep {file} --seeds {seeds} --store {root}",
        f"orch report {file} --store {root}",
    ]
