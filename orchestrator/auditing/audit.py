"""Runs sampled trials of a publication again, each from the sources that it ran."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from pathlib import Path

from orchestrator.auditing.sampling import drawn
from orchestrator.columns import FINISHED
from orchestrator.errors import InputError, OrchError
from orchestrator.labels import counted, duration
from orchestrator.publishing import checksums
from orchestrator.publishing.card import authors
from orchestrator.results import Results, open_store
from orchestrator.results.wanted import possible
from orchestrator.running import failures
from orchestrator.running.comparison import Comparison, Rows, RowsOf, compare, went_on
from orchestrator.running.one_trial import named
from orchestrator.running.programs.imports import PYTHON
from orchestrator.running.repeating import Repetition, repetition
from orchestrator.spec import PlannedTrial
from orchestrator.store import Snapshot


class Outcome(StrEnum):
    """What a sampled trial came to."""

    EQUAL = "equal"
    """All its numbers are equal to the bit."""
    DIFFERS = "differs"
    """They are not, where they have to be: same processor, threads, packages and data."""
    ELSEWHERE = "elsewhere"
    """They are not, and need not be: one of these is not the same, or a GPU computes them."""
    UNREPEATABLE = "unrepeatable"
    """They are not, and two runs here are not equal to each other either."""
    RESUMED = "resumed"
    """The stored run went on from a checkpoint, of which the publication holds nothing."""
    FAILED = "failed"
    """It does not run."""


@dataclass(frozen=True)
class Audited:
    """One sampled trial.

    Attributes:
        trial: the trial.
        outcome: what it came to.
        comparison: both runs; None if it does not run.
        reason: why it does not run, else empty.
    """

    trial: PlannedTrial
    outcome: Outcome
    comparison: Comparison | None = None
    reason: str = ""

    @property
    def may_differ(self) -> bool:
        """Whether it ran, and an honest run need not be equal here."""
        return self.comparison is not None and self.comparison.may_differ

    def __str__(self) -> str:
        return f"{named(self.trial)} {self.outcome}"


@dataclass(frozen=True)
class Audit:
    """What is to be run again.

    Attributes:
        folder: the publication.
        digest: of its rows and sources, as `checksums.of_sources` has it.
        results: its results.
        population: number of its trials that have finished.
        resumed: how many of them went on from a checkpoint.
        seed: of the draw.
        sample: the drawn trials, those of one code after each other.
        code: the digest of the code of each, by trial id.
        seconds: how long they took when they were stored.
    """

    folder: Path
    digest: str
    results: Results
    population: int
    resumed: int
    seed: int
    sample: tuple[PlannedTrial, ...]
    code: Mapping[str, str]
    seconds: float

    def announcement(self) -> Iterator[str]:
        """Say whose code is to run, where, and for how long."""
        what = f"{counted(len(self.sample), 'trial')} of {self.results.sweep.name}"
        yield f"{what}, of {self.population:,} that finished, drawn with the seed {self.seed}"
        by = " and ".join(authors(self.folder)) or "an unknown author"
        yield (
            f"the code is that of {self.folder}, by {by}: it runs on this machine as you, and may "
            "read and write what you may"
        )
        yield f"about {duration(self.seconds)}, one trial after another, if this machine is as fast"


def prepare(folder: Path, size: int, seed: int) -> Audit:
    """Draw the trials to run again; nothing runs yet.

    Args:
        folder: of a publication.
        size: number of trials.
        seed: of the draw.

    Raises:
        InputError: the folder is no publication, or a file of it has changed; it has no sources; or
            packages that the trials had loaded are not installed.
    """
    digest = checksums.verify(folder)
    results = open_store(folder)
    known = {trial.trial_id: trial for trial in possible(results.sweep)}
    rows = results.trials
    rows = rows[rows["status"].isin(FINISHED) & rows["trial_id"].isin(list(known))]
    ids = drawn(rows["trial_id"], size, seed)
    own = rows.set_index("trial_id").loc[ids]
    code = dict(zip(ids, own["code_digest"].astype(str), strict=True))
    if not any(results.store.archives.read(each) for each in set(code.values())):
        raise InputError(f"{folder} holds no sources of its trials: they cannot be run again")
    _require_packages(results, folder, {str(d) for d in own["environment_digest"].dropna()})
    return Audit(
        folder=folder,
        digest=digest,
        results=results,
        population=len(rows),
        resumed=sum(map(went_on, rows["resumed_at"])),
        seed=seed,
        sample=tuple(sorted((known[i] for i in ids), key=lambda trial: code[trial.trial_id])),
        code=code,
        seconds=float(own["seconds"].sum()),
    )


def _require_packages(results: Results, folder: Path, digests: set[str]) -> None:
    """Refuse to run trials whose packages are not installed, in whatever version.

    What a command has loaded from another environment is not looked for in this one.
    """
    lacking = set()
    for listed in map(results.store.archives.environment, sorted(digests)):
        packages = listed["packages"] if listed else {}
        if PYTHON in packages:
            continue
        for name, version in packages.items():
            try:
                importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                lacking.add(f"{name}=={version}")
    if lacking:
        raise InputError(
            f"the trials of {folder} need packages that are not installed here: "
            f"pip install {' '.join(sorted(lacking))}"
        )


def run(audit: Audit) -> Iterator[Audited]:
    """Run the sampled trials again, one after another, and compare each."""
    ids, select = [trial.trial_id for trial in audit.sample], audit.results.sweep.select
    stored = RowsOf(audit.results.snapshot, ids, select)
    for digest, group in groupby(audit.sample, lambda trial: audit.code[trial.trial_id]):
        trials = list(group)
        try:
            with repetition(audit.results, trials, digest) as repeated:
                for trial in trials:
                    yield _audited(audit, digest, repeated, trial, stored[trial.trial_id])
        except InputError as error:  # the code is not there
            yield from (Audited(trial, Outcome.FAILED, reason=str(error)) for trial in trials)


def _audited(
    audit: Audit, digest: str, repeated: Repetition, trial: PlannedTrial, stored: Rows
) -> Audited:
    try:
        comparison = compare(audit.results, stored, _rerun(audit, repeated, trial))
        if comparison.went_on_after:
            return Audited(trial, Outcome.RESUMED, comparison)
        if comparison.is_equal:
            return Audited(trial, Outcome.EQUAL, comparison)
        if comparison.may_differ:
            return Audited(trial, Outcome.ELSEWHERE, comparison)
        with repetition(audit.results, [trial], digest) as once_more:
            same = compare(audit.results, comparison.now, _rerun(audit, once_more, trial)).is_equal
        outcome = Outcome.DIFFERS if same else Outcome.UNREPEATABLE
        return Audited(trial, outcome, comparison)
    except _FailedError as error:
        return Audited(trial, Outcome.FAILED, reason=str(error))


def _ignored(_line: str) -> None:
    """Leave out what a trial says; `orch again --stored` shows it."""


class _FailedError(Exception):
    """A trial does not run; the message says why."""


def _rerun(audit: Audit, repeated: Repetition, trial: PlannedTrial) -> Rows:
    try:
        repeated.run(trial, _ignored, _ignored)
    except OrchError as error:
        raise _FailedError(failures.reason(error)) from None
    # Of this trial alone: another one's columns need not be its own.
    snapshot, select = Snapshot(repeated.store, trial.trial_id), audit.results.sweep.select
    return RowsOf(snapshot, [trial.trial_id], select)[trial.trial_id]
