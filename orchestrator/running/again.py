"""Runs one stored trial once more, and compares its numbers to the bit."""

from __future__ import annotations

import os
import pdb
import sys
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from orchestrator.code.recorder import Recorder
from orchestrator.columns import FINISHED, Status
from orchestrator.errors import InputError, RunError
from orchestrator.labels import printable
from orchestrator.results import Results
from orchestrator.running import failures
from orchestrator.running.comparison import Comparison, RowsOf, compare
from orchestrator.running.job import make_job
from orchestrator.running.live_trial import LiveTrial, Report, Start, run_trainable
from orchestrator.running.one_trial import named
from orchestrator.running.processes.seeding import Seeding, seed_of
from orchestrator.running.repeating import empty_store, repetition
from orchestrator.spec import PlannedTrial
from orchestrator.store.schema import Layout
from orchestrator.store.sweep_code import read_code, scope_beside
from orchestrator.temporary import temporary

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
        compared: both runs, compared.
        artifact: the files that are kept of it, with their bytes; None if that was not asked for.
    """

    metric: str
    compared: Comparison
    artifact: Mapping[str, int] | None


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
    digest = str(row["code_digest"]) if stored else None
    with repetition(results, [trial], digest, keep=keep) as repeated:
        printed = deque[str](maxlen=_LINES)
        try:
            repeated.run(trial, say, printed.append)
        except RunError as error:
            text = f"{named(trial)} fails when it runs again:\n"
            text += _told(error, printed, repeated.folder)
            raise RunError(text + (_ALONE if stored else advice)) from None
        ids, select = {trial.trial_id}, results.sweep.select
        both = (results.snapshot, repeated.store.snapshot())
        compared = compare(results, *(RowsOf(each, ids, select)[trial.trial_id] for each in both))
        artifact = None
        if keep and compared.is_equal:
            artifact = repeated.store.artifacts.files_of(trial.trial_id)
            if artifact:
                results.store.artifacts.copy(repeated.store.artifacts, trial.trial_id)
    return Again(results.sweep.select.metric, compared, artifact)


def _told(error: RunError, printed: Iterable[str], folder: str) -> str:
    """Write an error behind the frames of the user's code, else behind what the trial printed."""
    frames, _ = failures.in_user_code(error)
    before = frames or "".join(f"{line.rstrip()}\n" for line in printed)
    reason = failures.reason(error)
    text = before.rstrip() if before.rstrip().endswith(reason) else f"{before}{reason}"
    return printable(text.replace(f"{folder}{os.sep}", ""))


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
    with empty_store() as store, temporary("folder") as folder:
        code, layout = read_code(results.sweep, scope), Layout.of(results.sweep)
        job = make_job(results.sweep, [trial], store.files.location, layout, code, scope)
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
