"""What of a sweep is done, by whom, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.columns import FINISHED
from orchestrator.running.durations import Durations, longest_first
from orchestrator.spec import PlannedTrial
from orchestrator.store import Outcome, Store


@dataclass(frozen=True)
class Inventory:
    """Every trial of a sweep, sorted into what is done and what is not."""

    trials: Sequence[PlannedTrial]
    outcomes: Mapping[str, Outcome]
    """How trials ended in this store, by trial id; also trials that the sweep does not ask for."""
    elsewhere: Mapping[str, Store]
    """The sibling store that holds a trial which this one lacks, by trial id."""
    stale: frozenset[str]
    """Done by other code than there is now."""
    missing: Sequence[PlannedTrial]

    @property
    def done(self) -> int:
        """How many trials need not run."""
        return len(self.trials) - len(self.missing)

    @property
    def durations(self) -> Durations:
        """How long trials took that ended in this store."""
        return Durations.of(self.trials, self.outcomes)

    @property
    def reused(self) -> int:
        """How many of those come from a sibling store, copied already or not."""
        kept = (trial.trial_id for trial in self.trials if trial.trial_id not in self.elsewhere)
        ends = (self.outcomes.get(trial_id) for trial_id in kept)
        return len(self.elsewhere) + sum(bool(end and end.reused_from) for end in ends)

    def queue(self) -> list[PlannedTrial]:
        """List the missing trials in the order in which they run."""
        missing = {trial.trial_id for trial in self.missing}
        ordered = longest_first(self.trials, self.durations.by_config())
        return [trial for trial in ordered if trial.trial_id in missing]


def take_inventory(
    trials: Sequence[PlannedTrial],
    store: Store,
    siblings: Sequence[Store],
    digest: str,
    *,
    rerun_stale: bool = False,
) -> Inventory:
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
    elsewhere = dict(_finished_elsewhere(lacking, siblings, digest))
    missing = [trial for trial in trials if trial.trial_id in lacking - elsewhere.keys()]
    return Inventory(trials, outcomes, elsewhere, stale - lacking, missing)


def _finished_elsewhere(
    lacking: set[str], siblings: Sequence[Store], digest: str
) -> Iterator[tuple[str, Store]]:
    for sibling in siblings:
        if not lacking:
            return
        for trial_id, end in sibling.outcomes().items():
            if trial_id in lacking and end.status in FINISHED and end.code_digest == digest:
                lacking = lacking - {trial_id}
                yield trial_id, sibling
