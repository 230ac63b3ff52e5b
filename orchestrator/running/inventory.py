"""Which trials of a sweep are done, in which store, and which are missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.code import Currency
from orchestrator.columns import FINISHED, Status
from orchestrator.running.durations import Durations, longest_first
from orchestrator.running.watched import is_diverged
from orchestrator.spec import PlannedTrial, Sweep
from orchestrator.store import Outcome, Store


@dataclass(frozen=True)
class Inventory:
    """The trials of a sweep: done here, done in a sibling store, or missing."""

    trials: Sequence[PlannedTrial]
    outcomes: Mapping[str, Outcome]
    """How trials ended in this store, by trial id, including trials that are not in the sweep."""
    elsewhere: Mapping[str, Store]
    """For each trial that only a sibling store has: that store, by trial id."""
    stale: frozenset[str]
    """Ids of trials that ran with other code than the current."""
    missing: Sequence[PlannedTrial]

    @property
    def done(self) -> int:
        """The number of trials that need not run."""
        return len(self.trials) - len(self.missing)

    @property
    def durations(self) -> Durations:
        """Durations of the trials that completed in this store."""
        return Durations.of(self.trials, self.outcomes)

    @property
    def reused(self) -> int:
        """The number of done trials that come from a sibling store, already copied or not."""
        here = (trial.trial_id for trial in self.trials if trial.trial_id not in self.elsewhere)
        outcomes = (self.outcomes.get(trial_id) for trial_id in here)
        return len(self.elsewhere) + sum(bool(o and o.reused_from) for o in outcomes)

    def queue(self) -> list[PlannedTrial]:
        """List the missing trials in the order in which they run."""
        missing = {trial.trial_id for trial in self.missing}
        ordered = longest_first(self.trials, self.durations.by_config())
        return [trial for trial in ordered if trial.trial_id in missing]


def take_inventory(
    sweep: Sweep,
    trials: Sequence[PlannedTrial],
    store: Store,
    siblings: Sequence[Store],
    currency: Currency,
    *,
    rerun_stale: bool = False,
) -> Inventory:
    """Compare a sweep with its store and the sibling stores.

    A trial that diverged on a metric which the sweep no longer watches is missing, since it
    ended too early.

    Args:
        sweep: the sweep.
        trials: every one of its trials.
        store: the sweep's store.
        siblings: other stores under the same root.
        currency: tells which code is current.
        rerun_stale: count trials that ran with other code as missing.
    """
    outcomes = store.outcomes()
    finished = _finished(sweep, store, outcomes)
    stale = frozenset(
        trial.trial_id
        for trial in trials
        if trial.trial_id in finished
        and not currency.is_current(finished[trial.trial_id].code_digest, store.archives.read)
    )
    done = finished.keys() - (stale if rerun_stale else frozenset())
    absent = {trial.trial_id for trial in trials} - done
    elsewhere = dict(_finished_elsewhere(sweep, absent, siblings, currency))
    missing = [trial for trial in trials if trial.trial_id in absent - elsewhere.keys()]
    return Inventory(trials, outcomes, elsewhere, stale - absent, missing)


def _finished(sweep: Sweep, store: Store, outcomes: Mapping[str, Outcome]) -> dict[str, Outcome]:
    """Keep the trials that completed, or diverged on a metric that the sweep watches.

    In the first format, of which a trial that says nothing of resuming is, any metric could end it.
    """
    finished = {i: outcome for i, outcome in outcomes.items() if outcome.status in FINISHED}
    diverged = [
        trial_id
        for trial_id, outcome in finished.items()
        if outcome.status == Status.DIVERGED and outcome.resumed_at is not None
    ]
    for trial_id, values in store.last_values(diverged, sweep.watched).items():
        if not is_diverged(values, sweep.watched):
            del finished[trial_id]
    return finished


def _finished_elsewhere(
    sweep: Sweep, absent: set[str], siblings: Sequence[Store], currency: Currency
) -> Iterator[tuple[str, Store]]:
    for sibling in siblings:
        if not absent:
            return
        current = {
            trial_id: outcome
            for trial_id, outcome in sibling.outcomes().items()
            if trial_id in absent
            and currency.is_current(outcome.code_digest, sibling.archives.read)
        }
        finished = _finished(sweep, sibling, current)
        selected = sibling.last_values(finished, {sweep.select.metric})
        for trial_id, values in selected.items():
            if values[sweep.select.metric] is not None:
                absent = absent - {trial_id}
                yield trial_id, sibling
