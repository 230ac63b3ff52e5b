"""Runs a command as a trainable: its output and its files become epochs."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shlex
import signal
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.code.programs import program_path
from orchestrator.code.recorder import Recorder
from orchestrator.errors import KilledError, TrialError, TrialFailedError, UsageError
from orchestrator.running import failures
from orchestrator.running.live_trial import ClosedError, LiveTrial
from orchestrator.running.processes.descendants import (
    become_subreaper,
    children,
    kill_descendants,
)
from orchestrator.running.processes.lines import CHUNK, LineBuffer
from orchestrator.running.programs import Epoch, Source, opened
from orchestrator.running.programs.imports import Imports
from orchestrator.running.programs.reports import Reports
from orchestrator.spec.command import TrialNames, render, render_path

_KEPT_LINES = 20
"""The last ones, among which an error is looked for."""
GRACE_SECONDS = 5.0
"""How long a program that is asked to end by SIGTERM may take to leave."""
_PAUSE_SECONDS = 0.25
"""Between two looks at the files that a program writes."""
PATHS = ("csv", "tensorboard")
"""The keys of `metrics` that are paths, with placeholders as in the command."""
_USAGE = 2
"""The exit code of argparse, click and others for arguments that they do not know."""


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
            tempfile.TemporaryDirectory(prefix="orch-program-") as private,
            contextlib.closing(Reports(trial.log)) as reports,
        ):
            imports = Imports(Path(private), self.recorder)
            words, metrics = self._rendered(params, trial, Path(private, "params.json"))
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
            with _started(words, self.folder, environment, apart="json" in metrics) as running:
                for epoch in running.epochs(source, [reports.fileno()], look, trial.gpus):
                    trial.take(epoch)
                    if trial.smoke:
                        return
            look()
            imports.note_packages()
            if trial.epoch == trial.start.epoch:
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
def _started(
    words: Sequence[str], folder: str, environment: Mapping[str, str], *, apart: bool
) -> Iterator[_Running]:
    """Start a program; end it, and all that it has started, after the block.

    Args:
        words: its command.
        folder: in which it runs.
        environment: its variables.
        apart: whether to tell stdout from stderr, for which their lines may change places.
    """
    become_subreaper()
    others = children()
    try:
        process = subprocess.Popen(
            words,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if apart else subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise TrialError(f"`{words[0]}` cannot be started: {error.strerror}") from None
    with process:
        try:
            yield _Running(process, others)
        finally:
            _end(process)
            kill_descendants(others)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask a program to end, and kill it if it does not."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
    process.kill()


class _Running:
    """A program that runs.

    Args:
        process: its own.
        others: children of this process that it has not started.
    """

    def __init__(self, process: subprocess.Popen[bytes], others: frozenset[int]) -> None:
        self._process, self._others = process, others
        self._buffers: dict[int, LineBuffer] = {}
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                self._buffers[stream.fileno()] = LineBuffer()
        self._last: deque[str] = deque(maxlen=_KEPT_LINES)

    def epochs(
        self, source: Source, others: Sequence[int], look: Callable[[], None], gpus: float
    ) -> Iterator[Epoch]:
        """Pass on what it prints, and yield its epochs, until it has ended.

        Args:
            source: where the epochs come from.
            others: descriptors that may have something for it, besides the output.
            look: called every now and then.
            gpus: as the program may use.

        Raises:
            GpuMemoryError: it needs more of a GPU's memory than there is.
            TrialFailedError: it ended by a signal, or with an exit code that is not 0.
        """
        handle = os.pidfd_open(self._process.pid)
        try:
            ready: Sequence[int] = ()
            while handle not in ready:
                watched = [handle, *self._buffers, *others]
                ready, _, _ = select.select(watched, [], [], _PAUSE_SECONDS)
                for descriptor in self._buffers.keys() & set(ready):
                    yield from self._read(descriptor, source)
                yield from source.poll()
                look()
        finally:
            os.close(handle)
        self._process.wait()
        kill_descendants(self._others)  # which may hold its output open
        while self._buffers:
            yield from self._read(next(iter(self._buffers)), source)
        yield from source.poll()
        self._require_success(gpus)
        yield from source.end()

    def _read(self, descriptor: int, source: Source) -> Iterator[Epoch]:
        """Read some output; at its end, the last line."""
        chunk, buffer = os.read(descriptor, CHUNK), self._buffers[descriptor]
        if not chunk:
            del self._buffers[descriptor]
        is_stdout = self._process.stdout is not None and descriptor == self._process.stdout.fileno()
        lines = buffer.feed(chunk) if chunk else buffer.rest()
        if lines:
            print("\n".join(lines))
            self._last.extend(line.strip() for line in lines[-_KEPT_LINES:] if line.strip())
        for line in lines:
            yield from source.line(line, stdout=is_stdout)

    def _require_success(self, gpus: float) -> None:
        status = self._process.returncode
        if status == 0:
            return
        for line in reversed(self._last):
            if error := failures.of_gpu_memory(RuntimeError(line), gpus):
                raise error
        text = f"the program {failures.ended(status)}"
        if self._last:
            text += f": {self._last[-1]}"
        kind = KilledError if status < 0 else UsageError if status == _USAGE else TrialFailedError
        raise kind(text)
