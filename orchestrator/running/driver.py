"""One run of a sweep, from the checks to the last merged file."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.code import Code, code_of
from orchestrator.errors import CorruptFileError, TrainableError
from orchestrator.running import heartbeat, preflight, reuse, runners
from orchestrator.running.display import Display
from orchestrator.running.inventory import Inventory, take_inventory
from orchestrator.running.job import Job, make_job
from orchestrator.running.progress import Progress
from orchestrator.running.rows import failed_row
from orchestrator.spec import PlannedTrial, Sweep, expand
from orchestrator.spec.metrics import require_metrics
from orchestrator.spec.problems import placed
from orchestrator.store import Store, Stores, Writer
from orchestrator.store.schema import Layout
from orchestrator.store.settle import clear, create, settle, write_schema
from orchestrator.store.stored_sweep import require_same


@dataclass(frozen=True)
class Options:
    """What is decided for one run, not by the sweep file."""

    runner: str = "tune"
    rerun_stale: bool = False


class Driver:
    """Makes a store match a sweep: what is missing runs, nothing runs twice."""

    def __init__(self, sweep: Sweep, stores: Stores, options: Options, display: Display) -> None:
        self.sweep, self.stores, self.options, self.display = sweep, stores, options, display
        self.store = stores.store_of(sweep.name)
        self.trials = expand(sweep)
        self._opened = contextlib.ExitStack()
        """Ends what the runner started."""
        self._running: runners.Runner | None = None

    def run(self) -> None:
        """Run what is missing.

        Raises:
            OrchError: something is wrong with the file, the store, the code or the cluster.
            KeyboardInterrupt: Ctrl-C; what is finished is kept.
        """
        code = self._code()
        with contextlib.ExitStack() as held, self._opened:
            known = self.store.exists
            if known:
                self._require_same()
                held.enter_context(heartbeat.exclusively(self.store))
            inventory = self._inventory(code)
            self._require_stored_metrics(inventory)
            if inventory.missing:
                self._check([] if self.sweep.smoke else inventory.missing)
            create(self.store)
            if not known:
                held.enter_context(heartbeat.exclusively(self.store))
                self._require_same()  # another driver may have been quicker
                inventory = self._inventory(code)
            if self.sweep.smoke:
                clear(self.store)
                inventory = self._inventory(code)
            self._match(inventory, code)

    def _require_same(self) -> None:
        """Refuse a store of another sweep; a smoke run's is tried anew as a whole."""
        if self.store.exists and not self.sweep.smoke:
            require_same(self.sweep, self.store)

    def _match(self, inventory: Inventory, code: Code) -> None:
        """Make the store match the file."""
        layout = self._prepare(inventory, code)
        # What could not be read is known only now, and is missing after all.
        now = self._inventory(code, siblings=False)
        if not (now.missing or inventory.elsewhere):
            self.display.say(f"{self.sweep.name}: all {now.done:,} trials are done already")
            return
        try:
            self._run(now, layout, code)
        except KeyboardInterrupt:
            settle(self.store, self.sweep)
            raise
        settle(self.store, self.sweep)

    def _code(self) -> Code:
        try:
            return code_of(self.sweep.module)
        except TrainableError as error:
            raise placed(error, self.sweep.source, "trainable") from None

    def _inventory(self, code: Code, *, siblings: bool = True) -> Inventory:
        return take_inventory(
            self.trials,
            self.store,
            self.stores.siblings_of(self.sweep.name) if siblings else [],
            code.digest,
            rerun_stale=self.options.rerun_stale,
        )

    def _require_stored_metrics(self, inventory: Inventory) -> None:
        """Refuse a metric that the trials done so far do not have, before anything changes."""
        layout = self.store.layout()
        if layout and layout.metrics and inventory.done > len(inventory.elsewhere):
            require_metrics(self.sweep, layout.metrics)

    def _check(self, missing: Sequence[PlannedTrial]) -> None:
        """Let the trainable check what is to run, before anything is written, while Ray starts."""
        try:
            with self.display.checking(len(missing)):
                preflight.check(self.sweep.trainable, missing, meanwhile=self._runner)
        except TrainableError as error:
            raise placed(error, self.sweep.source, "trainable") from None

    def _runner(self) -> runners.Runner:
        """Start what the trials run on, once."""
        if self._running is None:
            self._running = self._opened.enter_context(runners.opened(self.options.runner))
        return self._running

    def _prepare(self, inventory: Inventory, code: Code) -> Layout:
        """Write down what is asked for, tidy up, and copy what siblings have."""
        files = self.store.files
        if self.sweep.source is not None:
            files.write("sweep.yaml", self.sweep.source.text.encode())
        again = {trial.trial_id for trial in inventory.missing} | inventory.elsewhere.keys()
        layout = settle(self.store, self.sweep, again & inventory.outcomes.keys())
        archive = f"code/{code.digest}.zip"
        if not files.exists(archive):
            files.write(archive, code.to_zip())
        return self._copy(inventory, layout, code)

    def _copy(self, inventory: Inventory, layout: Layout, code: Code) -> Layout:
        """Copy the trials that sibling stores have finished, as far as their metrics are alike."""
        sources: dict[str, tuple[Store, list[PlannedTrial]]] = {}
        for trial in self.trials:
            if source := inventory.elsewhere.get(trial.trial_id):
                sources.setdefault(source.files.location, (source, []))[1].append(trial)
        for source, trials in sources.values():
            theirs = source.layout()
            if theirs is None:
                continue
            if not layout.metrics:
                layout = self._learn(layout, theirs.metrics)
            if set(theirs.metrics) == set(layout.metrics):
                try:
                    reuse.copy(self.store, source, self._job(trials, layout, code).tasks, layout)
                except CorruptFileError as error:
                    self.display.warn(error)
                except FileNotFoundError:
                    continue  # a sweep in that store has just merged it; the trials run here
        return layout

    def _learn(self, layout: Layout, metrics: Sequence[str]) -> Layout:
        """Give the tables their metric columns, if the metrics are what the file asks for."""
        require_metrics(self.sweep, metrics)
        layout = layout.with_metrics(metrics)
        write_schema(self.store, layout)
        return layout

    def _job(self, trials: Sequence[PlannedTrial], layout: Layout, code: Code) -> Job:
        location = self.store.files.location
        return make_job(self.sweep, trials, location, layout, code)

    def _run(self, inventory: Inventory, layout: Layout, code: Code) -> None:
        """Run the missing trials."""
        todo = inventory.queue()
        if not todo:
            return
        job = self._job(todo, layout, code)
        learn = None if layout.metrics else lambda metrics: self._learn(layout, metrics)
        give_up = functools.partial(self._commit_failure, job)
        progress = Progress(self.sweep, inventory, self.store, learn, give_up)
        order = [trial.trial_id for trial in todo]
        with (
            heartbeat.beating(self.store, progress.running_epochs, progress.seconds_left),
            self.display.following(progress),
            self._opened,  # nothing runs any more when the store is tidied up
        ):
            self._runner().run(job, order, self.sweep.retries, progress)

    def _commit_failure(self, job: Job, trial_id: str, text: str, attempts: int) -> None:
        """Commit a failed trial, unless its worker died after it had committed it as done."""
        writer = Writer(self.store)
        if writer.is_finished(trial_id, job.code_digest):
            return
        layout = self.store.layout() or job.layout
        epochs, probes = (layout.schema(name).empty_table() for name in ("epochs", "probes"))
        row = failed_row(job, job.tasks[trial_id], text, attempts)
        writer.commit(row, epochs, probes, layout)
