"""Runs stored trials once more, into a store of their own that ends with the block."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from orchestrator.code import Archive, Scope
from orchestrator.errors import InputError
from orchestrator.labels import quoted
from orchestrator.results import Results
from orchestrator.running.execution import Execution
from orchestrator.running.job import Job, make_job
from orchestrator.running.processes.descendants import become_subreaper
from orchestrator.running.processes.host import TrialProcesses
from orchestrator.running.trial_code import RunCode, TrialCode
from orchestrator.spec import PlannedTrial
from orchestrator.store import Store, Writer
from orchestrator.store.schema import Layout
from orchestrator.store.settle import create
from orchestrator.store.sweep_code import read_code, scope_beside
from orchestrator.temporary import temporary


class Repetition:
    """Runs trials of one code, each in a process of its own as under Ray.

    Attributes:
        store: where their rows are.
        folder: from which their code is imported.
    """

    def __init__(self, job: Job, store: Store) -> None:
        self.store, self.folder = store, job.folder
        self._job, self._writer = job, Writer(store)
        self._code = RunCode(job, store)
        self._processes: dict[int, TrialProcesses] = {}
        """By their number of threads."""

    def run(
        self,
        trial: PlannedTrial,
        say: Callable[[str], object],
        printed: Callable[[str], None],
    ) -> None:
        """Run a trial to its commit.

        Args:
            trial: one of the job's.
            say: takes a line per epoch.
            printed: takes each line that the trial prints.

        Raises:
            OrchError: it cannot run, or fails.
        """
        task, code = self._job.tasks[trial.trial_id], TrialCode(self._code)
        execution = Execution(self._job, task, self._writer, 1, code)
        processes = self._processes.setdefault(
            task.threads,
            TrialProcesses(self._job.runs, self._job.folder, task.threads, self._code),
        )
        reports = processes.run(execution.start, execution.state, printed, code.note)
        for epoch in execution.follow(reports):
            say(f"epoch {epoch.number}")

    def close(self) -> None:
        """End the processes."""
        for processes in self._processes.values():
            processes.close()


@contextlib.contextmanager
def repetition(
    results: Results, trials: Collection[PlannedTrial], digest: str | None, *, keep: bool = False
) -> Iterator[Repetition]:
    """Prepare to run some trials of a sweep once more.

    Args:
        results: of the sweep.
        trials: the trials.
        digest: of the code to run, which the store holds; None for the present files.
        keep: keep what the trials leave to be kept, until the block ends.

    Raises:
        InputError: the store lacks the code.
        OrchError: the present files cannot run.
    """
    with empty_store() as store, _code(results, digest) as (code, scope):
        store.archives.write(code)
        layout = Layout.of(results.sweep)
        job = make_job(results.sweep, [*trials], store.files.location, layout, code, scope)
        job = replace(job, keeps_artifacts=keep)
        job.set_environment()
        become_subreaper()
        repeated = Repetition(job, store)
        try:
            yield repeated
        finally:
            repeated.close()


@contextlib.contextmanager
def empty_store() -> Iterator[Store]:
    """Make a store that is deleted at the end."""
    with temporary("again") as folder:
        store = Store(folder)
        create(store)
        yield store


@contextlib.contextmanager
def _code(results: Results, digest: str | None) -> Iterator[tuple[Archive, Scope]]:
    """Give the code to run, and where it lies."""
    if digest is None:
        scope = scope_beside(results.sweep, results.store)
        yield read_code(results.sweep, scope), scope
        return
    archive = results.store.archives.read(digest)
    if archive is None:
        raise InputError(f"{results.store.files} does not hold the code that the trial ran")
    contents = {name: archive.content(name) for name in archive.manifest.files}
    if lacking := [name for name, data in contents.items() if data is None]:
        raise InputError(f"the store does not hold {quoted(lacking)}, which the trial read")
    with temporary("code") as place:
        # What lay beside or above the working folder does so here.
        steps = max((PurePosixPath(name).parts.count("..") for name in contents), default=0)
        folder = Path(place, *["work"] * steps)
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in contents.items():
            path = Path(os.path.normpath(folder / name))
            if not path.is_relative_to(place):
                raise InputError(f"the code that the trial ran names a file elsewhere: {name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data or b"")
        yield archive, Scope(str(folder))
