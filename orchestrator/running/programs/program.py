"""Runs a command as a trainable: its output and its files become epochs."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from orchestrator.code.programs import program_path
from orchestrator.code.recorder import Recorder
from orchestrator.errors import TrialError
from orchestrator.running.live_trial import ClosedError, LiveTrial
from orchestrator.running.programs import opened
from orchestrator.running.programs.imports import Imports
from orchestrator.running.programs.process import started
from orchestrator.running.programs.reports import Reports
from orchestrator.spec.command import TrialNames, render, render_path
from orchestrator.temporary import temporary

PATHS = ("csv", "tensorboard")
"""The keys of `metrics` that are paths, with placeholders as in the command."""


@dataclass(frozen=True)
class Program:
    """A trainable that runs a command.

    Args:
        command: its words, with placeholders.
        metrics: where its epochs come from: the key `metrics` of the sweep file.
        folder: in which it runs.
        recorder: takes what its Pythons import.
    """

    command: Sequence[str]
    metrics: Mapping[str, str]
    folder: str
    recorder: Recorder

    def __call__(self, params: Mapping[str, Any], trial: LiveTrial) -> None:
        """Run the program to its end, and report its epochs.

        Raises:
            TrialError: it cannot be started, or its metrics cannot be read.
            TrialFailedError: it failed.
        """
        with (
            temporary("program") as private,
            contextlib.closing(Reports(trial.log)) as reports,
            contextlib.ExitStack() as alone,
        ):
            imports = Imports(Path(private), self.recorder)
            words, metrics = self._rendered(params, trial, Path(private, "params.json"))
            alone.enter_context(_claimed(self.folder, metrics))
            source = opened(metrics, Path(self.folder), trial.log) if metrics else reports
            environment = {
                **_environment(trial),
                **reports.environment,
                **imports.environment(os.environ.get("PYTHONPATH")),
            }

            def look() -> None:
                imports.note()
                if source is not reports:
                    reports.discard()
                if trial.is_closed():
                    raise ClosedError

            trial.log(f"runs {shlex.join(words)}")
            with started(words, self.folder, environment, apart="json" in metrics) as running:
                for epoch in running.epochs(source, [reports.fileno()], look, trial.gpus):
                    trial.take(epoch)
                    if trial.smoke:
                        return
            look()
            imports.note_packages()
            if trial.epoch == 1:  # one that went on from earlier epochs may have had none left
                raise TrialError(f"the program ended without a metric: {source.nothing()}")

    def _rendered(
        self, params: Mapping[str, Any], trial: LiveTrial, file: Path
    ) -> tuple[list[str], dict[str, str]]:
        """Write command and metrics for a trial, and the file of its params."""
        file.write_text(json.dumps(params))
        own = TrialNames(str(trial.folder), trial.id, trial.attempt)
        metrics = {
            key: render_path(value, params, own, str(file)) if key in PATHS else value
            for key, value in self.metrics.items()
        }
        return render(self.command, params, own, str(file)), metrics


def _environment(trial: LiveTrial) -> dict[str, str]:
    """Make the environment of a program, as if that of this Python were activated."""
    return {
        "PYTHONUNBUFFERED": "1",  # else the lines of an epoch would come with those of the next
        **os.environ,
        "PATH": program_path(os.environ),
        "ORCH_TRIAL_ID": trial.id,
        "ORCH_TRIAL_FOLDER": str(trial.folder),
        "ORCH_ATTEMPT": str(trial.attempt),
        **({"ORCH_SMOKE": "1"} if trial.smoke else {}),
    }


@contextlib.contextmanager
def _claimed(folder: str, metrics: Mapping[str, str]) -> Iterator[None]:
    """Refuse a file that another trial, which runs now, takes its metrics from as well.

    Raises:
        TrialError: there is such a trial on this machine.
    """
    paths = [os.path.realpath(Path(folder, metrics[key])) for key in PATHS if key in metrics]
    with contextlib.ExitStack() as claimed:
        for path in paths:
            digest = hashlib.sha256(path.encode()).hexdigest()[:16]
            lock = FileLock(Path(tempfile.gettempdir(), f"orch-metrics-{digest}.lock"))
            try:
                claimed.enter_context(lock.acquire(blocking=False))
            except Timeout:
                raise TrialError(
                    f"another trial that runs now has its metrics in {path} too; put "
                    "`{trial.folder}` or `{trial.id}` into the path, in `command` and in `metrics`"
                ) from None
            claimed.callback(Path(lock.lock_file).unlink, missing_ok=True)  # before its release
        yield
