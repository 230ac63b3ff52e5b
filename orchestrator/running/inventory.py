"""Which trials of a sweep are done, in which store, and which are missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.code import Currency
from orchestrator.columns import FINISHED, Status
from orchestrator.results import Results
from orchestrator.results.durations import Durations
from orchestrator.results.observed import Observed, grows, observe
from orchestrator.results.wanted import Wanted, wanted
from orchestrator.running.metric_checks import is_diverged
from orchestrator.running.order import longest_first
from orchestrator.spec import PlannedTrial, Sweep
from orchestrator.store import Outcome, Snapshot, Store


@dataclass(frozen=True)
class Inventory:
    """The trials of a sweep: done here, done in a sibling store, or missing."""

    wanted: Wanted
    """What the sweep asks for, and how much it will have asked for."""
    snapshot: Snapshot
    """What this store holds."""
    elsewhere: Mapping[str, Snapshot]
    """For each trial that only a sibling store has: what that store holds, by trial id."""
    stale: frozenset[str]
    """Ids of trials that ran with other code than the current."""
    missing: Sequence[PlannedTrial]
    races: bool
    """Whether the trials are in the order of their cells."""
    observed: Observed
    """What the done trials came to, if that may ask for more."""

    @property
    def trials(self) -> Sequence[PlannedTrial]:
        """The trials that the sweep asks for now."""
        return self.wanted.trials

    @property
    def done(self) -> int:
        """The number of trials that need not run."""
        return len(self.trials) - len(self.missing)

    @property
    def durations(self) -> Durations:
        """Durations of the trials that completed in this store."""
        return Durations.of(self.trials, self.snapshot.outcomes)

    @property
    def reused(self) -> int:
        """The number of done trials that come from a sibling store, already copied or not."""
        here = (trial.trial_id for trial in self.trials if trial.trial_id not in self.elsewhere)
        outcomes = (self.snapshot.outcomes.get(trial_id) for trial_id in here)
        return len(self.elsewhere) + sum(bool(o and o.reused_from) for o in outcomes)

    def queue(self) -> list[PlannedTrial]:
        """List the missing trials in the order in which they run."""
        missing = {trial.trial_id for trial in self.missing}
        ordered = longest_first(self.trials, self.durations.by_config(), by_cell=self.races)
        return [trial for trial in ordered if trial.trial_id in missing]


def take_inventory(
    sweep: Sweep,
    snapshot: Snapshot,
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
        snapshot: what its store holds.
        siblings: other stores under the same root; looked at only if trials are missing.
        currency: tells which code is current.
        rerun_stale: count trials that ran with other code as missing.
    """
    finished = _finished(sweep, snapshot, snapshot.outcomes)
    done = set(finished)
    if rerun_stale:
        done = set(_current(finished, snapshot, currency))
    observed = observe(Results(sweep, snapshot.store, snapshot), done)
    elsewhere: dict[str, Snapshot] = {}
    snapshots: list[Snapshot] | None = None
    while True:
        asked = wanted(sweep, observed)
        ids = {trial.trial_id for trial in asked.trials}
        absent = ids - done - elsewhere.keys()
        if absent and snapshots is None:
            snapshots = [sibling.snapshot() for sibling in siblings]
        found = dict(_finished_elsewhere(sweep, absent, snapshots or (), currency))
        elsewhere |= found
        for source in set(found.values()):
            from_source = [trial_id for trial_id, of in found.items() if of is source]
            observed.add(observe(Results(sweep, source.store, source), from_source))
        if not (found and grows(sweep)):  # else what they came to may ask for more
            break
    absent -= found.keys()
    here = {i: finished[i] for i in (ids & finished.keys()) - absent - elsewhere.keys()}
    stale = here.keys() - _current(here, snapshot, currency).keys()
    return Inventory(
        wanted=asked,
        snapshot=snapshot,
        elsewhere=elsewhere,
        stale=frozenset(stale),
        missing=[trial for trial in asked.trials if trial.trial_id in absent],
        races=sweep.race is not None,
        observed=observed,
    )


def _current(
    outcomes: Mapping[str, Outcome], snapshot: Snapshot, currency: Currency
) -> dict[str, Outcome]:
    """Keep the trials that ran the present code; each version of it is asked about once."""
    read = snapshot.store.archives.read
    digests = {outcome.code_digest for outcome in outcomes.values()}
    current = {digest for digest in digests if currency.is_current(digest, read)}
    return {i: outcome for i, outcome in outcomes.items() if outcome.code_digest in current}


def _finished(
    sweep: Sweep, snapshot: Snapshot, outcomes: Mapping[str, Outcome]
) -> dict[str, Outcome]:
    """Keep the trials that completed, or diverged on a metric that the sweep watches.

    In the first format, of which a trial that says nothing of resuming is, any metric could end it.
    """
    finished = {i: outcome for i, outcome in outcomes.items() if outcome.status in FINISHED}
    diverged = [
        trial_id
        for trial_id, outcome in finished.items()
        if outcome.status == Status.DIVERGED and outcome.resumed_at is not None
    ]
    for trial_id, values in snapshot.last_values(diverged, sweep.watched).items():
        if not is_diverged(values, sweep.watched):
            del finished[trial_id]
    return finished


def _finished_elsewhere(
    sweep: Sweep, absent: set[str], siblings: Iterable[Snapshot], currency: Currency
) -> Iterator[tuple[str, Snapshot]]:
    metric = sweep.select.metric
    for snapshot in siblings:
        there = {i: outcome for i, outcome in snapshot.outcomes.items() if i in absent}
        finished = _finished(sweep, snapshot, _current(there, snapshot, currency))
        for trial_id, values in snapshot.last_values(finished, {metric}).items():
            if values[metric] is not None:
                absent = absent - {trial_id}
                yield trial_id, snapshot
        if not absent:
            return
