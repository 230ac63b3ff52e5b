"""Runs a sweep, from the first check to the last merged file."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from orchestrator.code import Archive, Currency
from orchestrator.errors import (
    CorruptFileError,
    EditedError,
    MetricError,
    TrainableError,
    unknown,
)
from orchestrator.labels import counted
from orchestrator.running import heartbeat, preflight, reuse, runners
from orchestrator.running.attempts import Attempts
from orchestrator.running.clock import SYSTEM, Clock
from orchestrator.running.display import Display
from orchestrator.running.inventory import Inventory, take_inventory
from orchestrator.running.job import Job, make_job
from orchestrator.running.new_metrics import MetricColumns
from orchestrator.running.progress import Progress
from orchestrator.running.rows import failed_row
from orchestrator.running.trial_code import RunCode
from orchestrator.running.watch import Watch
from orchestrator.spec import PlannedTrial, Sweep, expand
from orchestrator.spec.problems import placed
from orchestrator.store import Store, Stores, Writer
from orchestrator.store.checkpoints import drop_first_format
from orchestrator.store.schema import Layout
from orchestrator.store.settle import clear, create, settle
from orchestrator.store.stored_sweep import require_same, stored_sweep
from orchestrator.store.sweep_code import read_code, scope_of


@dataclass(frozen=True)
class Options:
    """Options of one run, which are not in the sweep file."""

    runner: str = "tune"
    rerun_stale: bool = False


class Driver:
    """Makes a store match a sweep: missing trials run, finished trials do not run again.

    Args:
        sweep: the sweep.
        stores: where its store lies, and its siblings.
        options: of this run.
        display: shows the run.
        opened: makes a runner by name.
        clock: by which the run tells of itself.
    """

    def __init__(
        self,
        sweep: Sweep,
        stores: Stores,
        options: Options,
        display: Display,
        opened: Callable[[str], AbstractContextManager[runners.Runner]] = runners.opened,
        clock: Clock = SYSTEM,
    ) -> None:
        self.sweep, self.stores, self.options, self.display = sweep, stores, options, display
        self.store = stores.store_of(sweep.name)
        self.trials = expand(sweep)
        self._open, self._clock = opened, clock
        self._opened = contextlib.ExitStack()
        """Closes the runner."""
        self._running: runners.Runner | None = None

    def run(self) -> None:
        """Run the missing trials.

        Raises:
            OrchError: the file, the store, the code or the cluster is at fault.
            KeyboardInterrupt: Ctrl-C; finished trials are kept.
        """
        self.scope = scope_of(self.sweep, self.stores.files.local)
        code = read_code(self.sweep, self.scope)
        self._currency = Currency(self.scope)
        with contextlib.ExitStack() as locked, self._opened:
            existed = self.store.exists
            if existed:
                self._require_same()
                locked.enter_context(heartbeat.exclusively(self.store))
            inventory = self._inventory()
            self._require_stored_metric(inventory)
            if inventory.missing:
                self._check([] if self.sweep.smoke else inventory.missing)
            create(self.store)
            if not existed:
                locked.enter_context(heartbeat.exclusively(self.store))
                self._require_same()  # another driver may have created the store meanwhile
                inventory = self._inventory()
            if self.sweep.smoke:
                clear(self.store)
                inventory = self._inventory()
            self._match(inventory, code)

    def _require_same(self) -> None:
        """Refuse a store of another sweep; a smoke run starts again with an empty store."""
        if self.store.exists and not self.sweep.smoke:
            require_same(self.sweep, self.store)

    def _match(self, inventory: Inventory, code: Archive) -> None:
        """Make the store match the sweep file."""
        layout = self._prepare(inventory, code)
        # Files that cannot be read are noticed only now; their trials are missing after all.
        current = self._inventory(siblings=False)
        if not (current.missing or inventory.elsewhere):
            self.display.say(f"{self.sweep.name}: all {current.done:,} trials are already done")
            return
        try:
            self._run(current, layout, code)
        except KeyboardInterrupt:
            settle(self.store, self.sweep)
            raise
        self._warn_of_unwatched(settle(self.store, self.sweep))

    def _warn_of_unwatched(self, layout: Layout) -> None:
        """Warn of names in ``diverged_on`` that no trial has, and so ended no trial."""
        for name in self.sweep.diverged_on:
            if layout.metrics and name not in layout.metrics:
                text = unknown("metric", name, layout.metrics)
                self.display.say(f"warning: {self.sweep.name}: `diverged_on`: {text}")

    def _inventory(self, *, siblings: bool = True) -> Inventory:
        return take_inventory(
            self.sweep,
            self.trials,
            self.store,
            self.stores.siblings_of(self.sweep.name) if siblings else [],
            self._currency,
            rerun_stale=self.options.rerun_stale,
        )

    def _require_stored_metric(self, inventory: Inventory) -> None:
        """Refuse a selection metric that no finished trial has, before anything changes."""
        layout, metric = self.store.layout(), self.sweep.select.metric
        if layout is None or inventory.done == len(inventory.elsewhere):
            return
        if metric not in layout.metrics:
            text = f"{unknown('metric', metric, layout.metrics)}; these are in the store"
            raise placed(MetricError(text), self.sweep.source, "select", "metric")

    def _check(self, missing: Sequence[PlannedTrial]) -> None:
        """Have the trainable check the configs while Ray starts, before anything is written."""
        try:
            with self.display.checking(len(missing)):
                preflight.check(self.sweep.trainable, missing, meanwhile=self._runner)
        except TrainableError as error:
            raise placed(error, self.sweep.source, "trainable") from None

    def _runner(self) -> runners.Runner:
        """Start the runner, once."""
        if self._running is None:
            self._running = self._opened.enter_context(self._open(self.options.runner))
        return self._running

    def _prepare(self, inventory: Inventory, code: Archive) -> Layout:
        """Store the sweep file and the code, settle the store, and copy trials from siblings."""
        files = self.store.files
        if self.store.exists and self.store.index().is_old:
            settle(self.store, stored_sweep(self.store))  # by the file that tells its ids
        if self.sweep.source is not None:
            files.write("sweep.yaml", self.sweep.source.text.encode())
        if dropped := drop_first_format(files):
            trials = f"{counted(dropped, 'trial')} {'begins' if dropped == 1 else 'begin'} anew"
            self.display.say(f"{trials}, since checkpoints of format 1 are no longer read")
        again = {trial.trial_id for trial in inventory.missing} | inventory.elsewhere.keys()
        layout = settle(self.store, self.sweep, again & inventory.outcomes.keys())
        self.store.archives.write(code)
        return self._copy(inventory, layout, code)

    def _copy(self, inventory: Inventory, layout: Layout, code: Archive) -> Layout:
        """Copy finished trials from the sibling stores."""
        columns = MetricColumns(self.store, layout)
        sources: dict[str, tuple[Store, list[PlannedTrial]]] = {}
        for trial in self.trials:
            if source := inventory.elsewhere.get(trial.trial_id):
                sources.setdefault(source.files.location, (source, []))[1].append(trial)
        for source, trials in sources.values():
            if (source_layout := source.layout()) is None:
                continue
            columns.add(source_layout.metrics)
            tasks = self._job(trials, columns.layout, code).tasks
            try:
                reuse.copy(self.store, source, tasks, columns.layout)
            except CorruptFileError as error:
                self.display.warn(error)
            except FileNotFoundError:
                continue  # another driver has just merged the file; the trials run here
        return columns.layout

    def _job(self, trials: Sequence[PlannedTrial], layout: Layout, code: Archive) -> Job:
        location = self.store.files.location
        return make_job(self.sweep, trials, location, layout, code, self.scope)

    def _run(self, inventory: Inventory, layout: Layout, code: Archive) -> None:
        """Run the missing trials."""
        todo = inventory.queue()
        if not todo:
            return
        job = self._job(todo, layout, code)
        progress = Progress(self.sweep, inventory, self.store, self._clock)
        attempts = Attempts(
            self.sweep,
            [trial.trial_id for trial in todo],
            progress,
            add_metrics=MetricColumns(self.store, layout).add,
            give_up=functools.partial(self._commit_failure, job),
        )
        epochs, seconds_left = progress.running_epochs, progress.seconds_left
        with (
            heartbeat.beating(self.store, epochs, seconds_left, self._clock),
            self.display.following(progress),
            Watch(code, self.scope, self.display.say).looking(self._clock),
            self._opened,  # the runner is closed before the store is settled
        ):
            while not attempts.over:
                attempts.recover(self._runner().run(job, attempts))
        if progress.not_run and not progress.done:  # there is nothing to show
            reason = next(iter(progress.not_run))
            raise EditedError(f"no trial has run: {reason}; run the same command again")

    def _commit_failure(self, job: Job, trial_id: str, text: str, attempts: int) -> bool:
        """Commit a trial as failed, unless its worker died after committing it as finished.

        Returns:
            Whether it has failed.
        """
        writer = Writer(self.store)
        if writer.is_finished(trial_id, RunCode(job, self.store).is_current):
            return False
        layout = self.store.layout() or job.layout
        epochs, probes = (layout.schema(name).empty_table() for name in ("epochs", "probes"))
        row = failed_row(job, job.tasks[trial_id], text, attempts)
        writer.commit(row, epochs, probes, layout)
        return True
