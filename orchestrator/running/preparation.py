"""Brings a store to what a sweep asks for before its trials run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.code import Archive, Scope
from orchestrator.errors import CorruptFileError
from orchestrator.labels import counted
from orchestrator.results.claims.first_look import FirstLook
from orchestrator.results.wanted import possible
from orchestrator.running import reuse
from orchestrator.running.display import Display
from orchestrator.running.inventory import Inventory
from orchestrator.running.job import Task, make_job
from orchestrator.running.new_metrics import MetricColumns
from orchestrator.spec import PlannedTrial, Sweep
from orchestrator.store import Snapshot, Store
from orchestrator.store.checkpoints import of_first_format
from orchestrator.store.schema import Layout
from orchestrator.store.settle import clear, create, settle
from orchestrator.store.stored_sweep import stored_sweep


class Preparation:
    """Stores the sweep file and the code, settles the store, and copies trials from siblings.

    Args:
        sweep: the sweep.
        store: its store.
        stored: the sweep as it last ran in the store; None if it has not.
        code: that trials run now.
        scope: in which it is looked for.
        first_look: what was declared before the first look at the claims, in this store.
        display: says what else is done.
    """

    def __init__(
        self,
        sweep: Sweep,
        store: Store,
        stored: Sweep | None,
        code: Archive,
        scope: Scope,
        first_look: FirstLook,
        display: Display,
    ) -> None:
        self.sweep, self.store, self._stored = sweep, store, stored
        self._code, self._scope, self._display = code, scope, display
        self.first_look = first_look
        """The same, or that of the sibling from which trials are copied if this store has none."""

    def prepare(self, found: Inventory, may_follow: Sequence[PlannedTrial]) -> Snapshot:
        """Prepare the store, and return what it holds then.

        Args:
            found: what is done, here or in siblings, and what is missing.
            may_follow: trials for which results may ask later.
        """
        snapshot = found.snapshot
        if found.missing or found.elsewhere:
            create(self.store)
        if self.sweep.smoke:
            clear(self.store)
            snapshot = self.store.snapshot()
        if dropped := len(of_first_format(snapshot.checkpoint_files)):
            trials = f"{counted(dropped, 'trial')} {'begins' if dropped == 1 else 'begin'} anew"
            self._display.say(f"{trials}, since checkpoints of format 1 are no longer read")
        if snapshot.index.is_old:  # by the file that tells its ids
            snapshot = settle(self.store, stored_sweep(self.store), before=snapshot)
        snapshot = self._restamp(snapshot)
        if self.sweep.source is not None:
            self.store.files.write("sweep.yaml", self.sweep.source.text.encode())
        again = {trial.trial_id for trial in (*found.missing, *may_follow)}
        again = (again | found.elsewhere.keys()) & snapshot.outcomes.keys()
        snapshot = settle(self.store, self.sweep, again, before=snapshot)
        self.store.archives.write(self._code)
        return self._copy(found, snapshot) if found.elsewhere else snapshot

    def _restamp(self, snapshot: Snapshot) -> Snapshot:
        """Give the rows of finished trials the columns and cells that the sweep has now.

        It looks at them where the file is not the one that ran last, to the letter. Before they are
        written anew that one gets a letter more, so that a run which is killed is noticed.
        """
        stored = self._stored.source if self._stored else None
        source = self.sweep.source
        if snapshot.layout is None or stored is None or source is None:
            return snapshot
        if stored.original == source.text:
            return snapshot
        trials = [t for t in possible(self.sweep) if t.trial_id in snapshot.finished]
        layout = Layout.of(self.sweep).widened(snapshot.layout)
        others = reuse.differing(snapshot, self._tasks(trials, layout))
        if others:
            self.store.files.write("sweep.yaml", f"{stored.original}\n".encode())
            snapshot = settle(self.store, stored_sweep(self.store), before=snapshot)
            kept = {i: task for i, task in others.items() if i in snapshot.finished}
            reuse.restamp(self.store, snapshot, kept, layout)
            snapshot = self.store.snapshot()
        return snapshot

    def _copy(self, found: Inventory, snapshot: Snapshot) -> Snapshot:
        """Copy finished trials from the sibling stores."""
        columns = MetricColumns(self.store, snapshot.layout or Layout.of(self.sweep))
        sources: dict[str, tuple[Snapshot, list[PlannedTrial]]] = {}
        for trial in found.trials:
            if source := found.elsewhere.get(trial.trial_id):
                location = source.store.files.location
                sources.setdefault(location, (source, []))[1].append(trial)
        for source, trials in sources.values():
            columns.add(source.layout.metrics if source.layout else ())
            tasks = self._tasks(trials, columns.layout)
            self.first_look = self.first_look or FirstLook.read(source.store)
            try:
                reuse.copy(self.store, source, tasks, columns.layout)
            except CorruptFileError as error:
                self._display.warn(error)
            except FileNotFoundError:
                continue  # another driver has just merged the file; the trials run here
        return self.store.snapshot()

    def _tasks(self, trials: Sequence[PlannedTrial], layout: Layout) -> Mapping[str, Task]:
        location = self.store.files.location
        return make_job(self.sweep, trials, location, layout, self._code, self._scope).tasks
