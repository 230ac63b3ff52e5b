"""Moves trials that are no longer in a sweep file out of the store's tables."""

from __future__ import annotations

from orchestrator.results.wanted import possible
from orchestrator.running import heartbeat
from orchestrator.spec.model import Sweep
from orchestrator.store import Store, settle
from orchestrator.store.stored_sweep import require_same


def prune(sweep: Sweep, store: Store) -> list[str]:
    """Move trials that are not in the sweep, finished or not, to ``retired/``.

    Returns:
        Their ids.

    Raises:
        StoreError: the store is locked, or holds another sweep.
    """
    require_same(sweep, store)
    planned = {trial.trial_id for trial in possible(sweep)}
    with heartbeat.exclusively(store):
        return settle.retire(store, sweep, planned)
