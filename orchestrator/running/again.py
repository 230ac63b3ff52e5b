"""Runs one stored trial once more, and compares its numbers to the bit."""

from __future__ import annotations

import contextlib
import os
import pdb
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.code import Archive, Scope
from orchestrator.code.recorder import Recorder
from orchestrator.columns import FINISHED, Status
from orchestrator.errors import InputError, RunError
from orchestrator.labels import printable, quoted
from orchestrator.results import Results
from orchestrator.results.selection import metric_columns
from orchestrator.running import failures
from orchestrator.running.execution import Execution
from orchestrator.running.job import Job, make_job
from orchestrator.running.live_trial import LiveTrial, Report, Start, run_trainable
from orchestrator.running.one_trial import named
from orchestrator.running.processes.descendants import become_subreaper
from orchestrator.running.processes.host import TrialProcesses
from orchestrator.running.processes.seeding import Seeding, seed_of
from orchestrator.running.trial_code import RunCode, TrialCode
from orchestrator.spec import PlannedTrial
from orchestrator.store import Store, Writer
from orchestrator.store.schema import Layout
from orchestrator.store.settle import create
from orchestrator.store.sweep_code import read_code, scope_beside
from orchestrator.temporary import temporary

if TYPE_CHECKING:
    import pandas as pd

_LINES = 20
"""How many of the last lines that a trial has printed are shown where it fails."""
_ALONE = (
    "; with --stored it finds only the code that the store holds, and no other file of the working "
    "folder; what `code:` lists is stored with it"
)


@dataclass(frozen=True)
class Again:
    """A trial that ran twice.

    Attributes:
        metric: the selection metric.
        stored: the epochs that the store holds, one row each.
        now: those of the second run.
        differs_from: the first epoch whose numbers are not the same; None without one.
        differing: the metrics that differ, in any epoch.
        notes: what else was not the same.
        artifact: the files that are kept of it, with their bytes; None if that was not asked for.
    """

    metric: str
    stored: pd.DataFrame
    now: pd.DataFrame
    differs_from: int | None
    differing: tuple[str, ...]
    notes: tuple[str, ...]
    artifact: Mapping[str, int] | None

    @property
    def is_equal(self) -> bool:
        """Whether all metrics are equal to the bit in all epochs."""
        return self.differs_from is None


def again(
    results: Results,
    trial: PlannedTrial,
    *,
    stored: bool,
    keep: bool,
    say: Callable[[str], object],
    debugger: str,
) -> Again:
    """Run a finished trial once more, in a process of its own as under Ray.

    Args:
        results: of its sweep.
        trial: the trial.
        stored: run the code that the store holds, instead of the present files.
        keep: put what the trial leaves in its ``keep`` into the store, if the numbers are equal.
        say: takes a line per epoch.
        debugger: the command that runs it in the debugger.

    Raises:
        InputError: it has not finished, or the store lacks its code.
        OrchError: it cannot run, or fails.
        StoreError: the artifact cannot be kept.
    """
    rows = results.trials[results.trials["trial_id"] == trial.trial_id]
    advice = f"; to debug it: {debugger}" if results.sweep.trainable else ""
    if rows["status"].isin([Status.FAILED]).any():
        raise InputError(f"{named(trial)} has failed: there is nothing to compare with{advice}")
    if not rows["status"].isin(FINISHED).any():
        raise InputError(f"{named(trial)} has not finished: there is nothing to compare with")
    row = rows.iloc[0]
    with _store() as store, _code(results, str(row["code_digest"]), stored=stored) as code:
        job = replace(_job(results, trial, store, *code), keeps_artifacts=keep)
        printed = deque[str](maxlen=_LINES)
        try:
            _run(job, trial, store, say, printed.append)
        except RunError as error:
            text = f"{named(trial)} fails when it runs again:\n{_told(error, printed, job.folder)}"
            raise RunError(text + (_ALONE if stored else advice)) from None
        ended = store.snapshot()
        now, own = ended.epochs(), ended.trials().iloc[0]
        before = results.epochs[results.epochs["trial_id"] == trial.trial_id]
        first, differing = _compare(before, now, _compared(results, rows, before, now))
        artifact = None
        if keep and first is None:
            artifact = store.artifacts.files_of(trial.trial_id)
            if artifact:
                results.store.artifacts.copy(store.artifacts, trial.trial_id)
    return Again(
        metric=results.sweep.select.metric,
        stored=before,
        now=now,
        differs_from=first,
        differing=tuple(differing),
        notes=tuple(_notes(row, own)),
        artifact=artifact,
    )


def _compared(
    results: Results, rows: pd.DataFrame, before: pd.DataFrame, now: pd.DataFrame
) -> list[str]:
    """List the metrics to compare, those of the store first."""
    names = metric_columns(results.sweep, rows)
    metrics = [name for name in names if name in before and before[name].notna().any()]
    more = [name for name in metric_columns(results.sweep, now) if name not in metrics]
    return [*metrics, *(name for name in more if now[name].notna().any() and name in names)]


@contextlib.contextmanager
def _store() -> Iterator[Store]:
    with temporary("again") as folder:
        store = Store(folder)
        create(store)
        yield store


@contextlib.contextmanager
def _code(results: Results, digest: str, *, stored: bool) -> Iterator[tuple[Archive, Scope]]:
    """Give the code to run, and where it lies."""
    if not stored:
        scope = scope_beside(results.sweep, results.store)
        yield read_code(results.sweep, scope), scope
        return
    archive = results.store.archives.read(digest)
    if archive is None:
        raise InputError(f"{results.store.files} does not hold the code that the trial ran")
    contents = {name: archive.content(name) for name in archive.manifest.files}
    if lacking := [name for name, data in contents.items() if data is None]:
        raise InputError(f"the store does not hold {quoted(lacking)}, which the trial read")
    with temporary("code") as folder:
        for name, data in contents.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data or b"")
        yield archive, Scope(folder)


def _job(results: Results, trial: PlannedTrial, store: Store, code: Archive, scope: Scope) -> Job:
    store.archives.write(code)
    layout = Layout.of(results.sweep)
    return make_job(results.sweep, [trial], store.files.location, layout, code, scope)


def _run(
    job: Job,
    trial: PlannedTrial,
    store: Store,
    say: Callable[[str], object],
    printed: Callable[[str], None],
) -> None:
    """Run the trial to its commit in another store."""
    writer, task = Writer(store), job.tasks[trial.trial_id]
    run_code = RunCode(job, store)
    code = TrialCode(run_code)
    job.set_environment()
    become_subreaper()
    execution = Execution(job, task, writer, 1, code)
    processes = TrialProcesses(job.runs, job.folder, task.threads, run_code)
    try:
        reports = processes.run(execution.start, execution.state, printed, code.note)
        for epoch in execution.follow(reports):
            say(f"epoch {epoch.number}")
    finally:
        processes.close()


def _told(error: RunError, printed: Iterable[str], folder: str) -> str:
    """Write an error behind the frames of the user's code, else behind what the trial printed."""
    frames, _ = failures.in_user_code(error)
    before = frames or "".join(f"{line.rstrip()}\n" for line in printed)
    reason = failures.reason(error)
    text = before.rstrip() if before.rstrip().endswith(reason) else f"{before}{reason}"
    return printable(text.replace(f"{folder}{os.sep}", ""))


def _compare(
    before: pd.DataFrame, now: pd.DataFrame, metrics: list[str]
) -> tuple[int | None, list[str]]:
    """Find the first epoch that differs, and the metrics that do in any."""
    one, other = (frame.set_index("epoch").reindex(columns=metrics) for frame in (before, now))
    epochs = sorted({*one.index, *other.index})
    one, other = one.reindex(epochs), other.reindex(epochs)
    same = (one == other) | (one.isna() & other.isna())
    lacking = sorted({*before["epoch"]} ^ {*now["epoch"]})
    differing = [str(name) for name in metrics if not same[name].all()]
    first = [epoch for epoch in epochs if not same.loc[epoch].all() or epoch in lacking]
    return (int(first[0]) if first else None), differing


def _notes(before: pd.Series[Any], now: pd.Series[Any]) -> Iterator[str]:
    """Say what tells the two runs apart besides their numbers."""
    for name in ("processor", "device", "threads", "environment_digest", "data_digest"):
        if str(before[name]) != str(now[name]):
            what = name.removesuffix("_digest").replace("_", " ")
            yield (
                f"{what} is not the same"
                if name.endswith("_digest")
                else f"{what} was {before[name]}, is {now[name]}"
            )
    if str(before["resumed_at"]) not in {"[]", "None", "nan"}:
        yield f"the stored run went on after epochs {before['resumed_at']}"


def debug(results: Results, trial: PlannedTrial) -> bool:
    """Run a trial in this process, and stop in the debugger where it raises.

    Returns:
        Whether it has run to its end.

    Raises:
        InputError: it is a command's.
    """
    if results.sweep.trainable is None:
        raise InputError("--pdb needs a trainable; a command runs in a process of its own")
    scope = scope_beside(results.sweep, results.store)
    with _store() as store, temporary("folder") as folder:
        job = _job(results, trial, store, read_code(results.sweep, scope), scope)
        task = job.tasks[trial.trial_id]
        start = Start.unstored(task, job.checkpoint_every, folder)
        with Seeding.installed() as seeding:
            trainable = job.enter(Recorder(job.folder, None))
            seeding.seed(seed_of(start))
            try:
                run_trainable(trainable, LiveTrial(start, None, _say, _print))
            except Exception:  # noqa: BLE001  (a trainable may raise anything)
                traceback.print_exc()
                pdb.post_mortem()
                return False
    return True


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _print(report: Report) -> None:
    sys.stdout.write(f"{dict(report.metrics)}\n")
