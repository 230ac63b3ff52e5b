"""Moves what a sweep file no longer asks for out of its store's tables."""

from __future__ import annotations

from orchestrator.running import heartbeat
from orchestrator.spec.grid import expand
from orchestrator.spec.model import Sweep
from orchestrator.store import Store, settle
from orchestrator.store import stored_sweep as editing


def prune(sweep: Sweep, store: Store) -> list[str]:
    """Move trials that the sweep does not ask for, finished or not, to ``retired/``.

    Returns:
        Their ids.

    Raises:
        StoreError: the store is in use, or holds another sweep.
    """
    editing.require_same(sweep, store)
    wanted = {trial.trial_id for trial in expand(sweep)}
    with heartbeat.exclusively(store):
        return settle.retire(store, sweep, wanted)
