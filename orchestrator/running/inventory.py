"""What of a sweep is done, by whom, and what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from orchestrator.errors import CorruptFileError
from orchestrator.spec.grid import FINISHED, PlannedTrial, longest_first
from orchestrator.spec.model import SMOKE_SUFFIX
from orchestrator.store import Store
from orchestrator.store.files import Files
from orchestrator.store.store import Outcome, warn_of_corrupt_file


@dataclass(frozen=True)
class State:
    """Every trial of a sweep, sorted into what is done and what is not."""

    trials: Sequence[PlannedTrial]
    outcomes: Mapping[str, Outcome]
    """How trials ended in this store, by trial id; trials beside the sweep's are among them."""
    elsewhere: Mapping[str, Store]
    """The sibling store that holds a trial which this one lacks, by trial id."""
    stale: frozenset[str]
    """Done by other code than there is now."""
    missing: Sequence[PlannedTrial]

    @property
    def done(self) -> int:
        """How many trials need not run."""
        return len(self.trials) - len(self.missing)

    def queue(self) -> list[PlannedTrial]:
        """List the missing trials in the order in which they are to run."""
        missing = {trial.trial_id for trial in self.missing}
        ordered = longest_first(self.trials, Durations.of(self).by_config())
        return [trial for trial in ordered if trial.trial_id in missing]

    @property
    def reused(self) -> int:
        """How many of those come from a sibling store, copied already or not."""
        kept = (trial.trial_id for trial in self.trials if trial.trial_id not in self.elsewhere)
        ends = (self.outcomes.get(trial_id) for trial_id in kept)
        return len(self.elsewhere) + sum(bool(end and end.reused_from) for end in ends)


def look(
    trials: Sequence[PlannedTrial],
    store: Store,
    siblings: Sequence[Store],
    digest: str,
    *,
    rerun_stale: bool = False,
) -> State:
    """Compare a sweep with its store and those beside it.

    Args:
        trials: every trial of the sweep.
        store: the sweep's own.
        siblings: stores under the same root.
        digest: of the trainable's code as it is now.
        rerun_stale: count trials of other code as missing.
    """
    outcomes = store.outcomes()
    finished = {i: end for i, end in outcomes.items() if end.status in FINISHED}
    stale = frozenset(
        trial.trial_id
        for trial in trials
        if trial.trial_id in finished and finished[trial.trial_id].code_digest != digest
    )
    done = finished.keys() - (stale if rerun_stale else frozenset())
    lacking = {trial.trial_id for trial in trials} - done
    elsewhere = dict(_found_elsewhere(lacking, siblings, digest))
    missing = [trial for trial in trials if trial.trial_id in lacking - elsewhere.keys()]
    return State(trials, outcomes, elsewhere, stale - lacking, missing)


def siblings_of(
    root: Files,
    name: str,
    on_corrupt: Callable[[CorruptFileError], None] = warn_of_corrupt_file,
) -> list[Store]:
    """Open the stores beside a sweep's own; those of smoke runs are no sources."""
    if name.endswith(SMOKE_SUFFIX):
        return []
    beside = (n for n in root.folders() if n != name and not n.endswith(SMOKE_SUFFIX))
    stores = (Store(f"{root.location}/{other}", on_corrupt) for other in beside)
    return [store for store in stores if store.exists]


def _found_elsewhere(
    lacking: set[str], siblings: Sequence[Store], digest: str
) -> Iterator[tuple[str, Store]]:
    for sibling in siblings:
        if not lacking:
            return
        for trial_id, end in sibling.outcomes().items():
            if trial_id in lacking and end.status in FINISHED and end.code_digest == digest:
                lacking = lacking - {trial_id}
                yield trial_id, sibling


class Durations:
    """How long trials take, from those that ended."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = {}
        self._means: dict[str, float] = {}  # thousands of waiting trials ask for the same few

    @classmethod
    def of(cls, state: State) -> Durations:
        """Learn from what the store has."""
        known = cls()
        for trial in state.trials:
            end = state.outcomes.get(trial.trial_id)
            if end is not None and end.status == "completed":
                known.add(trial, end.seconds)
        return known

    def add(self, trial: PlannedTrial, seconds: float) -> None:
        """Learn from one more trial."""
        for key in (trial.config.config_id, trial.config.cell_id, ""):
            self._seconds.setdefault(key, []).append(seconds)
            self._means.pop(key, None)

    def by_config(self) -> dict[str, float]:
        """Mean seconds of each config that has some, by config or cell id."""
        return {key: self._mean(key) for key in self._seconds}

    def expected(self, trial: PlannedTrial) -> float | None:
        """Expect what trials of its config took, else of its cell, else of the sweep."""
        for key in (trial.config.config_id, trial.config.cell_id, ""):
            if key in self._seconds:
                return self._mean(key)
        return None

    def _mean(self, key: str) -> float:
        if key not in self._means:
            self._means[key] = fmean(self._seconds[key])
        return self._means[key]

    def total(self, trials: Sequence[PlannedTrial]) -> float | None:
        """Expect the seconds of several trials one after another; None if nothing is known."""
        expected = [self.expected(trial) for trial in trials]
        known = [seconds for seconds in expected if seconds is not None]
        return sum(known) if len(known) == len(expected) else None
