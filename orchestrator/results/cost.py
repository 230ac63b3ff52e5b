"""What a sweep has cost, and what its missing trials are expected to cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.columns import ENDED
from orchestrator.results.durations import Durations
from orchestrator.store import cost
from orchestrator.store.cost import NOTHING, Cost

if TYPE_CHECKING:
    from orchestrator.results.results import Results


def spent(results: Results) -> Cost:
    """Return what all runs of a sweep have cost, as their drivers have written it.

    Where none has, as in a store of an earlier version or one that holds the tables alone, it is
    the time of the trials that ended, without that of failed attempts and of copied trials.
    """
    written = cost.read(results.store.files)
    if written is not None or not results.snapshot.outcomes:
        return written or NOTHING
    trials = results.trials
    ran = trials[trials["status"].isin(ENDED) & trials["reused_from"].isna()]
    seconds = ran["seconds"].fillna(0.0)
    return Cost(
        float((seconds * ran["threads"]).sum()) / 3600,
        float((seconds * ran["gpus"].fillna(0.0)).sum()) / 3600,
    )


def left(results: Results) -> Cost | None:
    """Return what the missing trials are expected to cost, from their beginning.

    Returns:
        None if nothing is missing, or while no trial has completed.
    """
    asked, missing = results.wanted, results.missing
    if not missing:
        return None
    durations = Durations.of(asked.trials, results.snapshot.outcomes)
    expected = durations.cost(missing)
    if expected is None:
        return None
    # Race and confirm ask for some trials later: like those that are known.
    later = 1 + (asked.in_all - len(asked.trials)) / len(missing)
    return expected * later
