"""One `orch sweep`, from the checks to the last merged file."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.code import Code, code_of
from orchestrator.errors import CorruptFileError, TrainableError
from orchestrator.running import heartbeat, preflight, reuse, runners
from orchestrator.running import inventory as state
from orchestrator.running.display import Display
from orchestrator.running.job import Job, make_job
from orchestrator.running.progress import Progress
from orchestrator.spec import loading as spec
from orchestrator.spec.extends import resolve
from orchestrator.spec.grid import PlannedTrial, expand
from orchestrator.spec.metrics import require_metrics
from orchestrator.spec.model import Sweep
from orchestrator.spec.problems import placed
from orchestrator.store import Store, settle
from orchestrator.store import stored_sweep as editing
from orchestrator.store.files import Files
from orchestrator.store.schema import Layout


@dataclass(frozen=True)
class Options:
    """What the command line adds to a sweep file."""

    root: str = "results"
    runner: str = "tune"
    seeds: tuple[int, ...] | None = None
    rerun_stale: bool = False
    smoke: bool = False


@dataclass(frozen=True)
class Report:
    """What one run of a sweep came to."""

    sweep: Sweep
    store: Store
    interrupted: bool
    left: int
    """Trials that are still missing, failed ones among them."""

    @property
    def made_up(self) -> list[str]:
        """The data sets that a smoke run had to make up, as its trials recorded them."""
        if not self.sweep.smoke:
            return []
        facts = map(json.loads, self.store.trials()["versions"].dropna().unique())
        return sorted({fact["made_up_data"] for fact in facts if "made_up_data" in fact})


class Driver:
    """Makes a store match a sweep file: what is missing runs, nothing runs twice."""

    def __init__(self, path: Path, options: Options, display: Display) -> None:
        self.options, self.display = options, display
        self.source = resolve(path)
        sweep = spec.parse(self.source)
        if options.seeds is not None:
            sweep = spec.with_seeds(sweep, options.seeds)
            self.source = self.source.with_integers("seeds", options.seeds)
        self.sweep = sweep.as_smoke() if options.smoke else sweep
        self.root = Files(options.root)
        self.store = Store(f"{self.root.location}/{self.sweep.name}", display.warn)
        self.trials = expand(self.sweep)
        self._opened = contextlib.ExitStack()
        """Ends what the runner started."""
        self._running: runners.Runner | None = None

    def run(self) -> Report:
        """Run what is missing.

        Raises:
            OrchError: something is wrong with the file, the store, the code or the cluster.
        """
        code = self._code()
        with contextlib.ExitStack() as held, self._opened:
            known = self.store.exists
            if known:
                self._require_same()
                held.enter_context(heartbeat.holding(self.store))
            found = self._look(code)
            self._require_stored_metrics(found)
            if found.missing:
                self._check([] if self.sweep.smoke else found.missing)
            settle.create(self.store)
            if not known:
                held.enter_context(heartbeat.holding(self.store))
                self._require_same()  # another driver may have been quicker
                found = self._look(code)
            if self.sweep.smoke:
                settle.clear(self.store)
                found = self._look(code)
            interrupted = self._match(found, code)
        left = self._look(code, beside=False).missing
        return Report(self.sweep, self.store, interrupted, len(left))

    def _require_same(self) -> None:
        """Refuse a store of another sweep; that of a smoke run is tried anew as a whole."""
        if self.store.exists and not self.sweep.smoke:
            editing.require_same(self.sweep, self.store)

    def _match(self, found: state.State, code: Code) -> bool:
        """Make the store match the file; tell whether that was interrupted."""
        layout = self._prepare(found, code)
        # What could not be read is known only now, and is missing after all.
        now = self._look(code, beside=False)
        if not (now.missing or found.elsewhere):
            self.display.say(f"{self.sweep.name}: all {now.done:,} trials are done already")
            return False
        interrupted = self._run(now, layout, code)
        settle.settle(self.store, self.sweep)
        return interrupted

    def _code(self) -> Code:
        try:
            return code_of(self.sweep.module)
        except TrainableError as error:
            raise placed(error, self.source, "trainable") from None

    def _look(self, code: Code, *, beside: bool = True) -> state.State:
        return state.look(
            self.trials,
            self.store,
            state.siblings_of(self.root, self.sweep.name, self.display.warn) if beside else [],
            code.digest,
            rerun_stale=self.options.rerun_stale,
        )

    def _require_stored_metrics(self, found: state.State) -> None:
        """Refuse a metric that the trials done so far do not have, before anything changes."""
        layout = self.store.layout()
        if layout and layout.metrics and found.done > len(found.elsewhere):
            require_metrics(self.source, self.sweep, layout.metrics)

    def _check(self, missing: Sequence[PlannedTrial]) -> None:
        """Let the trainable see what is to run, before anything is written, while Ray starts."""
        try:
            with self.display.checking(len(missing)):
                preflight.check(self.sweep.trainable, missing, meanwhile=self._runner)
        except TrainableError as error:
            raise placed(error, self.source, "trainable") from None

    def _runner(self) -> runners.Runner:
        """Start what the trials run on, once."""
        if self._running is None:
            self._running = self._opened.enter_context(runners.opened(self.options.runner))
        return self._running

    def _prepare(self, found: state.State, code: Code) -> Layout:
        """Write down what is asked for, tidy up, and copy what siblings have."""
        files = self.store.files
        files.write("sweep.yaml", self.source.text.encode())
        again = {trial.trial_id for trial in found.missing} | found.elsewhere.keys()
        layout = settle.settle(self.store, self.sweep, again & found.outcomes.keys())
        archive = f"code/{code.digest}.zip"
        if not files.exists(archive):
            files.write(archive, code.to_zip())
        return self._copy(found, layout, code)

    def _copy(self, found: state.State, layout: Layout, code: Code) -> Layout:
        sources: dict[str, tuple[Store, list[PlannedTrial]]] = {}
        for trial in self.trials:
            if source := found.elsewhere.get(trial.trial_id):
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
        require_metrics(self.source, self.sweep, metrics)
        layout = layout.with_metrics(metrics)
        settle.write_schema(self.store, layout)
        return layout

    def _job(self, trials: Sequence[PlannedTrial], layout: Layout, code: Code) -> Job:
        location = self.store.files.location
        return make_job(self.sweep, trials, location, layout, code)

    def _run(self, found: state.State, layout: Layout, code: Code) -> bool:
        """Run the missing trials; tell whether that was interrupted."""
        todo = found.queue()
        if not todo:
            return False
        job = self._job(todo, layout, code)
        learn = None if layout.metrics else lambda metrics: self._learn(layout, metrics)
        give_up = functools.partial(self._write_failure, job)
        progress = Progress(self.sweep, found, self.store, learn, give_up)
        order = [trial.trial_id for trial in todo]
        try:
            with (
                heartbeat.beating(self.store, progress.running_epochs, progress.seconds_left),
                self.display.following(progress),
                self._opened,  # nothing runs any more when the store is tidied up
            ):
                self._runner().run(job, order, self.sweep.retries, progress)
        except KeyboardInterrupt:
            return True
        return False

    def _write_failure(self, job: Job, trial_id: str, text: str, attempts: int) -> None:
        """Commit a failed trial, unless its worker died after it had committed it as done."""
        if self.store.is_finished(trial_id, job.code_digest):
            return
        layout = self.store.layout() or job.layout
        row: dict[str, Any] = {
            **job.tasks[trial_id].row,
            "status": "failed",
            "error": text,
            "attempts": attempts,
            "epochs_run": 0,
            "threads": job.tasks[trial_id].threads,
            "ended_at": datetime.now(UTC),
            "code_digest": job.code_digest,
        }
        nothing = {table: layout.schema(table).empty_table() for table in ("epochs", "probes")}
        self.store.commit(row, nothing["epochs"], nothing["probes"], layout)
