"""One trial of a sweep: which one a user means, and all that is known about it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape

from orchestrator.code import Currency
from orchestrator.columns import BEST, columns_of
from orchestrator.errors import InputError, unknown
from orchestrator.labels import assignments, counted, label
from orchestrator.results import Results
from orchestrator.results.selection import metric_columns
from orchestrator.results.wanted import possible
from orchestrator.running import heartbeat
from orchestrator.spec import PlannedTrial
from orchestrator.spec.overrides import Override
from orchestrator.spec.values import by_value, unknown_value
from orchestrator.store import Store
from orchestrator.store.names import log_file
from orchestrator.store.sweep_code import scope_beside

if TYPE_CHECKING:
    import pandas as pd

VERSION = 1
"""Of what `facts` and `TrialLog.as_dict` return: it grows if a key goes or changes its meaning."""

_SUCH = "values such as order=swap,seed=0"
_SHOWN = 5
"""How many trials a message names."""


def find(results: Results, text: str) -> PlannedTrial:
    """Find the trial that a user names: by the start of its id, or as ``order=swap,seed=0``.

    Raises:
        InputError: there is no such trial, or more than one.
    """
    trials = list({trial.trial_id: trial for trial in possible(results.sweep)}.values())
    if not text.strip():
        raise InputError(f"expected a trial: the start of its id, or {_SUCH}")
    if "=" in text:
        as_printed = [trial for trial in trials if assignments(trial.selectors) == text]
        trials = as_printed or _with_values(trials, text, results)
    else:
        trials = [trial for trial in trials if trial.trial_id.startswith(text)]
    if not trials:
        raise InputError(f"{results.sweep.name} has no trial {text}")
    if len(trials) > 1:
        shown = map(named, trials[:_SHOWN])
        more = f" and {len(trials) - _SHOWN:,} more" if len(trials) > _SHOWN else ""
        raise InputError(
            f"{counted(len(trials), 'trial')} of {results.sweep.name} "
            f"{'begin with' if '=' not in text else 'have'} {text}: {', '.join(shown)}{more}"
        )
    return trials[0]


@dataclass(frozen=True)
class TrialLog:
    """The log of a trial.

    Attributes:
        trial_id: the trial.
        name: its log's file, as a user can open it.
        text: what is in it.
    """

    trial_id: str
    name: str
    text: str

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data, whose keys docs/json.md describes."""
        return {
            "version": VERSION,
            "trial_id": self.trial_id,
            "log": self.name,
            "lines": self.text.splitlines(),
        }


def log_of(results: Results, text: str) -> TrialLog | None:
    """Read the log of the trial that a user names, also of one that the sweep no longer has.

    Raises:
        InputError: there is no such trial, or more than one.
    """
    store = results.store
    has_log = re.fullmatch("[0-9a-f]{16}", text) and store.files.exists(log_file(text))
    trial_id = text if has_log else find(results, text).trial_id
    data = store.files.read(log_file(trial_id))
    if data is None:
        return None
    return TrialLog(trial_id, store.log_name(trial_id), data.decode(errors="replace"))


_PART = re.compile(
    r"""(?x)  \s* (?P<name>[A-Za-z_][\w.]*) \s* = \s*
    (?P<value> "(?:\\.|[^"\\])*" | '(?:''|[^'])*' | \[(?:"(?:\\.|[^"\\])*"|[^"])*\] | .*? )
    \s* (?: , (?=\s*[A-Za-z_][\w.]*\s*=) | $ ) """,
    re.DOTALL,
)
"""One value of a trial: in quotes, or up to the next name; lists and strings may hold commas."""


def _parts(text: str) -> Iterator[tuple[str, str]]:
    """Split a text into names and what is written for each."""
    position = 0
    while position < len(text):
        part = _PART.match(text, position)
        if part is None:
            raise InputError(f"trial {text}: expected {_SUCH}")
        yield part["name"], part["value"]
        position = part.end()


def _with_values(trials: list[PlannedTrial], text: str, results: Results) -> list[PlannedTrial]:
    known = [*results.sweep.axes, "seed"]
    for name, written in _parts(text):
        if name not in known:
            raise InputError(unknown("factor or search param", name, known))
        found = [trial for trial in trials if label(trial.values[name]) == written]
        if not found:
            value = Override.parse(f"{name}={written}", "trial").value
            found = [t for t in trials if by_value(t.values[name]) == by_value(value)]
        if not found:
            others = {by_value(trial.values[name]): trial.values[name] for trial in trials}
            reason = f"`{name}`: {unknown_value(value, others.values())}"
            raise InputError(f"{results.sweep.name} has no trial {text}: {reason}")
        trials = found
    return trials


def named(trial: PlannedTrial) -> str:
    """Name a trial by its id and its values."""
    return f"{trial.trial_id} ({assignments(trial.selectors)})"


def facts(results: Results, trial: PlannedTrial) -> dict[str, Any]:
    """Tell all that is known about a trial, as plain data, whose keys docs/json.md describes."""
    sweep, store, trial_id = results.sweep, results.store, trial.trial_id
    rows = results.trials[results.trials["trial_id"] == trial_id]
    row = _plain(rows) if len(rows) else {}
    driver = heartbeat.driver_of(store)
    epoch = driver.running.get(trial_id) if driver else None
    status = "running" if epoch is not None else row.get("status", "missing")
    if epoch is not None:  # the heartbeat is a second old, and a checkpoint may be newer
        epoch = max(epoch, row.get("epochs_run") or 0)
    digest = row.get("code_digest")
    is_current = None
    if digest is not None:
        currency = Currency(scope_beside(sweep, store))
        is_current = currency.is_current(digest, store.archives.read)
    metrics = {name: row[name] for name in metric_columns(sweep, rows) if name in row}
    best = f"{BEST}{sweep.select.metric}"
    if metrics.get(best) is None:  # it is taken when the trial ends
        metrics.pop(best, None)
    row |= {name: json.loads(row[name]) for name in _JSON if row.get(name) is not None}
    own = [column.name for column in columns_of("trials")]
    return {
        "version": VERSION,
        "trial_id": trial_id,
        "config_id": trial.config.config_id,
        "cell_id": trial.config.cell_id,
        "status": status,
        "role": _role(results, trial),
        "params": {name: value for name, value in trial.values.items() if name != "seed"},
        "seed": trial.seed,
        "metrics": metrics,
        **{n: row.get(n) for n in own if n not in _TOLD},
        "code_digest": digest,
        "code_is_current": is_current,
        "epoch": epoch,
        "log": store.log_name(trial_id),
        "artifact": _artifact(store, trial_id),
    }


_JSON = ("resumed_at", "facts")
"""Columns with JSON text."""


def _artifact(store: Store, trial_id: str) -> dict[str, Any] | None:
    """Name the files that the store retains of a trial, with their bytes."""
    found = store.artifacts.files_of(trial_id)
    return {"folder": store.artifacts.place(trial_id), "files": found} if found else None


_TOLD = {"trial_id", "config_id", "cell_id", "seed", "status", "params", "code_digest"}


def _role(results: Results, trial: PlannedTrial) -> str:
    """Say what a trial is for: it selects, or confirms; whether its config is selected."""
    selection = next(s for s in results.selections if s.cell.cell_id == trial.config.cell_id)
    what = "selects" if trial.seed in selection.cell.seeds else "confirms"
    if selection.best and selection.best.config.config_id == trial.config.config_id:
        return f"{what}, of the selected config"
    if trial.config.config_id in {config.config_id for config in selection.dropped}:
        return f"{what}, of a config that is out of the race"
    return what


def _plain(rows: pd.DataFrame) -> dict[str, Any]:
    (row,) = json.loads(rows.to_json(orient="records", date_format="iso", double_precision=15))
    values = rows.iloc[0]
    numbers = {n: float(values[n]) for n in row if isinstance(row[n], float)}
    return {**row, **{n: v for n, v in numbers.items() if math.isfinite(v)}}


def print_trial(results: Results, trial: PlannedTrial, console: Console) -> None:
    """Print all that is known about a trial."""
    found = facts(results, trial)
    inner = {n: value for kind in ("params", "metrics") for n, value in found[kind].items()}
    console.print(f"[bold]{escape(assignments(trial.selectors))}[/bold]", soft_wrap=True)
    for name, value in {**inner, **found}.items():
        is_said = value is not None or name in inner
        if name not in {"version", "params", "metrics", "artifact"} and is_said:
            text = escape(f"{name.replace('_', ' ')}: {label(value)}")
            console.print(text, soft_wrap=True, highlight=False)
    if artifact := found["artifact"]:
        for path, size in artifact["files"].items():
            text = escape(f"artifact: {artifact['folder']}/{path} ({decimal(size)})")
            console.print(text, soft_wrap=True, highlight=False)
