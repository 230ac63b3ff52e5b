"""What ran, on what, for how long, with which code; and what did not."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pandas as pd

from orchestrator.labels import label
from orchestrator.results.tables import Listing
from orchestrator.running.display import duration
from orchestrator.spec.grid import cells, expand
from orchestrator.spec.model import Sweep


@dataclass(frozen=True)
class Origin:
    """Where a report comes from.

    Attributes:
        file: the sweep file, as it was named on the command line.
        text: its content.
        root: the folder of the stores, likewise.
        code_digest: of the trainable's sources as they are now.
        log_name: names the log file of a trial, by its id.
    """

    file: str
    text: str
    root: str
    code_digest: str
    log_name: Callable[[str], str]


ENDED = ("completed", "diverged", "failed")


def _ended(sweep: Sweep, trials: pd.DataFrame) -> pd.DataFrame:
    """Leave out the trials that run, and those that the sweep does not ask for."""
    asked = [trial.trial_id for trial in expand(sweep)]
    return trials[trials["trial_id"].isin(asked) & trials["status"].isin(ENDED)]


def facts(sweep: Sweep, trials: pd.DataFrame, origin: Origin) -> list[tuple[str, str]]:
    """Summarise the trials that a sweep asks for, as terms and what belongs to them."""
    return list(_facts(sweep, _ended(sweep, trials), origin))


def _facts(sweep: Sweep, trials: pd.DataFrame, origin: Origin) -> Iterator[tuple[str, str]]:
    counts = trials["status"].value_counts()
    parts = [f"{int(counts.get(name, 0)):,} {name}" for name in ENDED]
    asked = len(expand(sweep))
    yield "Trials", f"{asked:,}: {', '.join(parts)}, {asked - len(trials):,} missing"
    found = cells(sweep)
    yield "Cells", f"{len(found):,}, {sum(len(cell.configs) for cell in found):,} configs"
    yield "Seeds", ", ".join(map(str, sweep.seeds))
    if trials.empty:
        return
    yield "Hardware", _counted(trials["device"].astype(str) + " on " + trials["host"].astype(str))
    yield "Threads", _counted(trials["threads"].astype(str))
    yield "Time", _time(trials)
    stale = int((trials["code_digest"] != origin.code_digest).sum())
    yield "Code", _counted(trials["code_digest"].astype(str).str[:12])
    yield (
        "Stale",
        f"{stale:,} trials made by other code than {origin.code_digest[:12]}, the present",
    )
    versions = {tuple(json.loads(text).items()) for text in trials["versions"].dropna().unique()}
    for pairs in sorted(versions):
        yield "Versions", ", ".join(f"{name} {version}" for name, version in pairs)


def _counted(values: pd.Series[str]) -> str:
    counts = values.value_counts()
    return ", ".join(f"{name} ({count:,} trials)" for name, count in counts.items())


def _time(trials: pd.DataFrame) -> str:
    first, last = trials["started_at"].min(), trials["ended_at"].max()
    total = duration(float(trials["seconds"].sum()))
    return f"{total} in trials, {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"


def failures(sweep: Sweep, trials: pd.DataFrame, origin: Origin) -> Listing | None:
    """List the failed trials with the first line of their error and their log file."""
    failed = _ended(sweep, trials)
    failed = failed[failed["status"] == "failed"]
    if failed.empty:
        return None
    errors = dict(zip(failed["trial_id"], failed["error"], strict=True))
    names = [*sweep.factors, *sweep.search, "seed"]
    rows = [
        (
            *(label(trial.params[name]) for name in names),
            str(errors[trial.trial_id] or "no message").splitlines()[0],
            origin.log_name(trial.trial_id),
        )
        for trial in expand(sweep)
        if trial.trial_id in errors
    ]
    return Listing("Failed trials", (*names, "error", "log"), tuple(rows))


def commands(sweep: Sweep, origin: Origin) -> list[str]:
    """Write the commands that make the sweep and this report again."""
    file, root = shlex.quote(origin.file), shlex.quote(origin.root)
    seeds = ",".join(map(str, sweep.seeds))
    return [
        f"orch sweep {file} --seeds {seeds} --store {root}",
        f"orch report {file} --store {root}",
    ]
