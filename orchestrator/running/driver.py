"""Runs a sweep, from the first check to the last merged file."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.code import Currency, require_free
from orchestrator.errors import (
    EditedError,
    MetricError,
    TimeUpError,
    TrainableError,
    unknown,
)
from orchestrator.labels import duration
from orchestrator.results import Results
from orchestrator.results.claims import first_look
from orchestrator.results.claims.first_look import FirstLook
from orchestrator.results.observed import Observed, came_to, deciding_seeds, grows, is_followed
from orchestrator.results.wanted import possible
from orchestrator.running import heartbeat, preflight, runners, sigusr1, spending
from orchestrator.running.alike import Alike
from orchestrator.running.attempts import Attempts
from orchestrator.running.budget import Budget
from orchestrator.running.clock import SYSTEM, Clock
from orchestrator.running.display import Display
from orchestrator.running.edits import EditWatch
from orchestrator.running.growth import Growth
from orchestrator.running.inventory import Inventory, take_inventory
from orchestrator.running.job import Job, make_job
from orchestrator.running.metric_checks import doubts
from orchestrator.running.new_metrics import MetricColumns
from orchestrator.running.preparation import Preparation
from orchestrator.running.progress import Progress
from orchestrator.running.retention import Retention
from orchestrator.running.rows import failed_row
from orchestrator.running.trial_code import RunCode
from orchestrator.spec import PlannedTrial, Sweep
from orchestrator.spec.problems import placed
from orchestrator.store import Snapshot, Store, Stores, Writer
from orchestrator.store.schema import Layout
from orchestrator.store.settle import settle
from orchestrator.store.stored_sweep import require_same
from orchestrator.store.sweep_code import read_code, scope_of
from orchestrator.temporary import clear_abandoned

if TYPE_CHECKING:  # it imports scipy.stats
    from orchestrator.results.claims.family import Member


@dataclass(frozen=True)
class Options:
    """Options of one run, which are not in the sweep file."""

    runner: str = "tune"
    rerun_stale: bool = False
    keep_going: bool = False
    hours: float | None = None


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
        self._open, self._clock = opened, clock
        self._retention = Retention(sweep, self.store, display)
        self._opened = contextlib.ExitStack()
        """Closes the runner."""
        self._running: runners.Runner | None = None

    def run(self) -> Snapshot:
        """Run the missing trials, and return what the store holds then.

        Raises:
            OrchError: the file, the store, the code or the cluster is at fault.
            KeyboardInterrupt: Ctrl-C; finished trials are kept.
        """
        clear_abandoned()
        self._began = self._clock.time()
        self.scope = scope_of(self.sweep, self.stores.files.local)
        self.code = read_code(self.sweep, self.scope)
        self._currency = Currency(self.scope)
        with heartbeat.exclusively(self.store), self._opened:
            self._first_look = FirstLook.read(self.store)
            found = self._compare(self.store.snapshot(), self.stores.siblings_of(self.sweep.name))
            stored = self._require_runnable(found)
            preparation = Preparation(
                self.sweep,
                self.store,
                stored,
                self.code,
                self.scope,
                self._first_look,
                self.display,
            )
            prepared = preparation.prepare(found, self._may_follow(found))
            self._first_look = preparation.first_look
            # Files that cannot be read may be noticed only now; their trials are missing after all.
            inventory = found if prepared is found.snapshot else self._compare(prepared)
            siblings = self.stores.siblings_of(self.sweep.name)
            self._retention.begin(Results(self.sweep, self.store, prepared), siblings)
            if not (inventory.missing or found.elsewhere):
                if self.sweep.claims and not self._first_look.claims:
                    self._growth(inventory)  # which looks at the confirm seeds, if there are any
                self.display.say(
                    f"{self.sweep.name}: all {inventory.done:,} trials are already done"
                )
                return prepared
            time_is_up = False
            try:
                self._run(inventory)
            except KeyboardInterrupt:
                settle(self.store, self.sweep)
                raise
            except TimeUpError:
                time_is_up = True
            ended = settle(self.store, self.sweep)
            if time_is_up:  # trials may have been committed since, while the runner closed
                _require_done(self._compare(ended), self._progress)
            for text in doubts(ended, self.sweep.diverged_on):
                self.display.say(f"warning: {self.sweep.name}: {text}")
            return ended

    def _compare(self, snapshot: Snapshot, siblings: Iterable[Store] = ()) -> Inventory:
        rerun_stale = self.options.rerun_stale
        return take_inventory(
            self.sweep, snapshot, [*siblings], self._currency, rerun_stale=rerun_stale
        )

    def _require_runnable(self, found: Inventory) -> Sweep | None:
        """Refuse what cannot run, before anything is written; Ray starts meanwhile.

        Returns:
            The sweep as it last ran in the store, if it has.
        """
        stored = None
        if self.store.exists and not self.sweep.smoke:
            stored = require_same(self.sweep, self.store)
            self._require_stored_metric(found)
        if found.missing:
            self._check([] if self.sweep.smoke else found.missing)
        return stored

    def _require_stored_metric(self, found: Inventory) -> None:
        """Refuse a selection metric that no finished trial has."""
        layout, metric = found.snapshot.layout, self.sweep.select.metric
        if layout is None or found.done == len(found.elsewhere):
            return
        if metric not in layout.metrics:
            text = f"{unknown('metric', metric, layout.metrics)}; these are in the store"
            raise placed(MetricError(text), self.sweep.source, "select", "metric")

    def _check(self, missing: Sequence[PlannedTrial]) -> None:
        """Have the trainable check the configs while Ray starts; a command has no check."""
        if self.sweep.trainable is None:
            self._runner()
            return
        try:
            if self.options.runner == "inline":
                require_free(self.sweep.module, self.scope.folder)
            with self.display.checking(len(missing)):
                preflight.check(self.sweep.trainable, missing, meanwhile=self._runner)
        except TrainableError as error:
            raise placed(error, self.sweep.source, "trainable") from None

    def _runner(self) -> runners.Runner:
        """Start the runner, once."""
        if self._running is None:
            self._running = self._opened.enter_context(self._open(self.options.runner))
        return self._running

    def _job(
        self, trials: Sequence[PlannedTrial], layout: Layout, stops_at: float | None = None
    ) -> Job:
        location = self.store.files.location
        return make_job(self.sweep, trials, location, layout, self.code, self.scope, stops_at)

    def _make_budget(self, inventory: Inventory) -> Budget:
        outcomes = inventory.snapshot.outcomes.values()
        epochs = max((outcome.epochs_run or 0 for outcome in outcomes), default=0)
        return Budget(
            self.options.hours,
            self._began,
            self._clock,
            inventory.durations,
            epochs,
            saved=inventory.snapshot.saved_epochs if self.options.hours is not None else {},
            checkpoint_every=self.sweep.checkpoint_every,
        )

    def _run(self, inventory: Inventory) -> None:
        """Run the missing trials."""
        todo, growth = inventory.queue(), self._growth(inventory)
        if not todo:
            return
        if self.sweep.command and self.sweep.artifacts == "none":
            self.display.say(
                "what the command leaves in {trial.folder} is deleted when a trial ends; "
                "`artifacts: winners` keeps what is in {trial.folder}/keep"
            )
        layout = inventory.snapshot.layout or Layout.of(self.sweep)
        self._budget = self._make_budget(inventory)
        job = self._job([*todo, *self._may_follow(inventory)], layout, self._budget.stops_at)
        self._progress = progress = Progress(self.sweep, inventory, self.store, self._clock)
        attempts = Attempts(
            self.sweep,
            todo,
            progress,
            self._alike(todo),
            growth,
            self._budget,
            add_metrics=MetricColumns(self.store, layout).add,
            give_up=functools.partial(self._commit_failure, job),
            is_proven=inventory.done > len(inventory.stale),
        )
        try:
            with (
                sigusr1.received(attempts.wind_down),
                heartbeat.beating(self.store, progress.heartbeat, self._clock),
                spending.recording(self.store, progress.spent, self._clock),
                self.display.following(progress),
                EditWatch(self.code, self.scope, self.display.say).looking(self._clock),
            ):
                while not attempts.over:
                    attempts.recover(self._runner().run(job, attempts))
                attempts.end()
        finally:
            self._opened.close()  # no worker may write while the store is settled
        if progress.not_run and not progress.done:  # there is nothing to show
            reason = next(iter(progress.not_run))
            raise EditedError(f"no trial has run: {reason}; run the same command again")

    def _may_follow(self, inventory: Inventory) -> list[PlannedTrial]:
        """List the trials for which results may ask later in the run."""
        if not grows(self.sweep):
            return []
        known = {trial.trial_id for trial in inventory.trials} | inventory.observed.outcomes.keys()
        return [trial for trial in possible(self.sweep) if trial.trial_id not in known]

    def _growth(self, inventory: Inventory) -> Growth | None:
        if not is_followed(self.sweep):
            return None
        deciding = deciding_seeds(self.sweep)

        def observe(trial_id: str) -> Observed:
            """Look up what a trial came to that has just been committed."""
            results = Results(self.sweep, self.store, Snapshot(self.store, trial_id))
            return came_to(results, [trial_id], deciding)

        return Growth(
            self.sweep,
            inventory.trials,
            inventory.wanted.in_all,
            inventory.observed,
            observe,
            looked=self._note_look,
            stands=self._retention.stands,
        )

    def _note_look(self, members: Sequence[Member]) -> None:
        """Write down which claims are made, before more of their results are seen."""
        now = self._first_look.after(members)
        if now != FirstLook.read(self.store):
            self.store.files.write(first_look.FILE, now.text.encode())
        self._first_look = now

    def _alike(self, todo: Sequence[PlannedTrial]) -> Alike:
        """Make the judge of the first trials; it has none to judge if the run is to keep going."""
        judged = [] if self.options.keep_going else todo
        return Alike({trial.trial_id: trial.config.config_id for trial in judged})

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


def _require_done(inventory: Inventory, progress: Progress) -> None:
    """Say what is left to do after the run.

    Args:
        inventory: of the store, in which a trial that is missing and has a row has failed.
        progress: of the run; it learns what has been committed at the very end.

    Raises:
        TimeUpError: something is left.
    """
    failed = inventory.snapshot.outcomes
    left = [trial for trial in inventory.missing if trial.trial_id not in failed]
    if not left:
        return
    progress.settled(inventory, left)
    seconds = progress.seconds_left()
    more = f", about {duration(seconds)} left" if seconds is not None else ""
    raise TimeUpError(
        f"time is up: {progress.done:,} of {progress.total:,} trials done{more}; "
        "run the same command again to go on"
    )
