"""Retains the artifacts that a sweep asks for, and deletes the others."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from orchestrator.errors import StoreError
from orchestrator.results import Results
from orchestrator.results.retained import spent
from orchestrator.results.selection import CellSelection
from orchestrator.running.display import Display
from orchestrator.spec import Sweep
from orchestrator.store import Snapshot, Store


class Retention:
    """Sees to the artifacts of a store, as its sweep's `artifacts` asks.

    Args:
        sweep: the sweep.
        store: its store.
        display: tells what cannot be kept.
    """

    def __init__(self, sweep: Sweep, store: Store, display: Display) -> None:
        self._sweep, self._artifacts, self._display = sweep, store.artifacts, display
        self._deleted = set[str]()

    def begin(self, results: Results, siblings: Iterable[Store]) -> None:
        """Bring the artifacts up to the trials that are done, before others run.

        An artifact goes whose trial is not done, since it will run again. Those of reused trials
        come along.
        """
        finished = results.snapshot.finished
        there = self._artifacts.sizes(partial=True).keys()
        self._artifacts.delete(there - finished)
        if self._sweep.artifacts == "none" or not finished:
            return
        wanted = set(finished)
        if self._sweep.artifacts == "winners":
            for selection in results.selections:
                wanted.difference_update(spent(selection))
            self._artifacts.delete((there & finished) - wanted)
        self._fetch(results.snapshot, siblings, wanted - there)

    def stands(self, selection: CellSelection, ended: Collection[str]) -> None:
        """Delete what is spent of a cell in which a trial has ended.

        Args:
            selection: where the cell stands.
            ended: the trials that have ended.
        """
        if self._sweep.artifacts == "winners":
            gone = {i for i in spent(selection) if i in ended} - self._deleted
            self._artifacts.delete(gone)
            self._deleted |= gone

    def _fetch(self, snapshot: Snapshot, siblings: Iterable[Store], lacking: set[str]) -> None:
        """Copy the artifacts of reused trials from the stores that have the very same ones."""
        reused = _ends(
            snapshot, lacking & {i for i, o in snapshot.outcomes.items() if o.reused_from}
        )
        for store in siblings if reused else ():
            there = _ends(store.snapshot(), reused.keys() & store.artifacts.sizes().keys())
            for trial_id in [i for i in there if reused.get(i) == there[i]]:
                del reused[trial_id]
                try:
                    self._artifacts.copy(store.artifacts, trial_id)
                except StoreError as error:
                    self._display.say(f"the artifact of {trial_id} is not kept: {error}")


def _ends(snapshot: Snapshot, trial_ids: Collection[str]) -> dict[str, object]:
    """Look up when trials ended, which tells two runs of one trial apart."""
    if not trial_ids:
        return {}
    rows = snapshot.rows.select(["trial_id", "ended_at"]).to_pylist()
    return {row["trial_id"]: row["ended_at"] for row in rows if row["trial_id"] in trial_ids}
