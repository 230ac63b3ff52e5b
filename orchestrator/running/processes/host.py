"""A worker's side: it keeps a warm process, and runs every trial in a process forked from it."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import asdict
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from orchestrator.code import Archive
from orchestrator.errors import (
    EditedError,
    KilledError,
    OrchError,
    TrainableError,
    TrialFailedError,
)
from orchestrator.running import failures
from orchestrator.running.live_trial import Report, Start
from orchestrator.running.processes.descendants import children, kill_descendants
from orchestrator.running.processes.environment import environment
from orchestrator.running.processes.full_memory import killed_by_kernel
from orchestrator.running.processes.lines import Lines
from orchestrator.running.processes.messages import Message, loaded, receive, require_success, send
from orchestrator.running.processes.warm import FORK, HERE, SIZE_BYTES, STOP
from orchestrator.running.runnable import is_program
from orchestrator.running.trial_code import Note, RunCode

GRACE_SECONDS = 10.0
"""How long a trial that is ended early may take to leave."""
_PAUSE_SECONDS = 1.0
"""Between two looks at whether a trial must save."""


_REFUSALS: dict[str, type[OrchError]] = {"broken": TrainableError, "edited": EditedError}
"""Why a warm process does not start, by what it answers."""


class TrialProcesses:
    """Runs trials of one sweep, one at a time, each in a process of its own.

    What a killed warm process leaves behind is ended too if this process is a subreaper.

    Args:
        runs: the trainable's name, or a program as `Job.runs` has it.
        folder: from which it is imported, and in which trials run.
        threads: CPU threads of each trial.
        code: of the run, with which what is imported is compared; None to compare nothing.
    """

    def __init__(self, runs: str, folder: str, threads: int, code: RunCode | None = None) -> None:
        self._runs = runs
        self._folder = folder
        self._threads = threads
        self._code = code
        self._warm: _Warm | None = None

    def run(
        self,
        start: Start,
        state: bytes | None,
        log: Callable[[str], None],
        note: Note = lambda _loaded: None,
        must_save: Callable[[], bool] = lambda: False,
    ) -> Generator[Report, None, None]:
        """Run one trial; close the iterator to end it.

        Args:
            start: what the trial is given.
            state: of its checkpoint.
            log: takes each line that it prints.
            note: takes what it has loaded.
            must_save: tells whether the run ends as soon as it has saved.

        Raises:
            EditedError: a file that the trial imports was edited while the sweep ran.
            TrainableError: the trainable cannot be imported.
            GpuMemoryError: the trial needs more of a GPU's memory than it has.
            TrialFailedError: its process failed; what it printed says why.
        """
        if self._warm is not None and self._warm.is_dead:
            self.close()
        if self._code is not None and is_program(self._runs):
            self._code.require_closure_unedited()  # each program imports it anew
        warm = self._started()
        try:
            warm.require_ready()
            if warm.cannot_fork:
                log(f"this trial starts a new Python, since {warm.cannot_fork}")
            yield from warm.run(start, state, log, note, must_save)
        finally:
            if warm.is_used_up:
                self.close()

    def start(self) -> None:
        """Have the warm process import the trainable while the worker does something else.

        If that fails, the first trial says why.
        """
        with contextlib.suppress(EditedError):
            self._started()

    def _started(self) -> _Warm:
        if self._warm is None:
            if self._code is not None:
                self._code.require_closure_unedited()
            archive = self._code.archive if self._code else None
            self._warm = _Warm(self._runs, self._folder, self._threads, archive)
        return self._warm

    def close(self) -> None:
        """End the warm process and everything below it."""
        if self._warm is not None:
            self._warm.close()
            self._warm = None


class _Warm:
    """The warm process, seen from the worker."""

    def __init__(self, runs: str, folder: str, threads: int, archive: Archive | None) -> None:
        self._others = children()
        """What this process has started besides, which a trial's end leaves alone."""
        self._control, theirs = socket.socketpair()
        self._answers = self._control.makefile("rb")
        with theirs:
            self._process = subprocess.Popen(
                # -P: its import path gets the folder only once it has imported its own modules.
                [sys.executable, "-P", "-m", "orchestrator.running.processes.warm",
                 str(theirs.fileno()), runs, folder],
                pass_fds=[theirs.fileno()],
                env=environment(threads),
                cwd=folder if Path(folder).is_dir() else None,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
        self.cannot_fork: str | None = None
        """Why a forked process would lack something; known once it is ready."""
        self.is_used_up = False
        self._is_ready = False
        with contextlib.suppress(OSError):  # if it has died, the answer says so
            data = archive.data if archive else b""
            self._control.sendall(len(data).to_bytes(SIZE_BYTES) + data)

    def require_ready(self) -> None:
        """Wait until it has imported the trainable.

        Raises:
            EditedError: a file that it imports was edited while the sweep ran.
            TrainableError: the trainable cannot be imported.
        """
        if self._is_ready:
            return
        answer = self._answer()
        self._is_ready = bool(answer and answer[0] == "ready")
        self.is_used_up = not self._is_ready
        if answer is None:
            status = self._process.wait()
            raise TrainableError(f"importing the trainable: its process {failures.ended(status)}")
        kind, self.cannot_fork = answer
        if kind in _REFUSALS:
            raise _REFUSALS[kind](self.cannot_fork)

    @property
    def is_dead(self) -> bool:
        """Whether something has killed it since the last trial."""
        return self._process.poll() is not None

    def run(
        self,
        start: Start,
        state: bytes | None,
        log: Callable[[str], None],
        note: Note,
        must_save: Callable[[], bool],
    ) -> Generator[Report, None, None]:
        """Run one trial in a process of its own."""
        ours, theirs = Pipe()
        output, written = os.pipe()
        mode = HERE if self.cannot_fork else FORK
        socket.send_fds(self._control, [mode], [theirs.fileno(), written])
        theirs.close()
        os.close(written)
        lines = Lines(output, log)
        running, began, killed = True, time.monotonic(), killed_by_kernel()
        has_asked = False

        def look() -> None:
            nonlocal has_asked
            if not has_asked and must_save():
                has_asked = True
                with contextlib.suppress(OSError):
                    send(ours, "save", {})

        try:
            with contextlib.suppress(OSError):
                send(ours, "start", asdict(start), state)
            while message := self._next(ours, began, start.timeout, look):
                note(loaded(message.content))
                if message.kind != "report":
                    break
                yield Report(state=message.state, **message.content)
                with contextlib.suppress(OSError):
                    send(ours, "continue", {})
            if self._leaves(message, began, start.timeout):
                (status, had), running = self._end(), False
        except GeneratorExit:
            with contextlib.suppress(OSError):
                send(ours, "close", {})
            if wait([self._control], GRACE_SECONDS):
                self._end()
                running = False
            raise
        finally:
            if running:
                self._stop()
            ours.close()
            lines.join()
        if message is None:
            kind = KilledError if status < 0 else TrialFailedError
            was_full = killed_by_kernel() > killed
            raise kind(f"its process {failures.ended(status, had, memory_was_full=was_full)}")
        require_success(message)

    def _next(
        self,
        connection: Connection[Any, Any],
        began: float,
        timeout: float | None,
        look: Callable[[], None],
    ) -> Message | None:
        """Wait for a message, looking now and then; None if the process ends without one.

        Raises:
            TrialError: it takes longer than the attempt may.
        """
        while True:
            look()
            left = _left(began, timeout)
            pause = _PAUSE_SECONDS if left is None else min(left, _PAUSE_SECONDS)
            # The connection alone does not tell: what the trial started may hold its other end.
            if ready := wait([connection, self._control], pause):
                break
            if left == 0 and timeout is not None:
                raise failures.timed_out(timeout)
        try:
            return receive(connection) if connection in ready or connection.poll() else None
        except (EOFError, OSError):
            return None

    def _leaves(self, last: Message | None, began: float, timeout: float | None) -> bool:
        """Wait until the trial's process ends, which waits for its threads.

        Returns:
            Whether it has. Where the trial has failed, threads may wait for ever for what it was
            to do, and are given no longer than a trial that is ended early.

        Raises:
            TrialError: it takes longer than the attempt may.
        """
        left, has_failed = _left(began, timeout), last is not None and last.kind != "ended"
        if has_failed:
            left = min(GRACE_SECONDS, GRACE_SECONDS if left is None else left)
        if wait([self._control], left):
            return True
        if timeout is not None and not has_failed:
            raise failures.timed_out(timeout)
        return False

    def _end(self) -> tuple[int, int]:
        """Wait for the end of the trial's process and all that it started.

        Returns:
            Its exit code, and the most memory that it had, in bytes; 0 if that is not known.
        """
        answer = self._answer()
        if answer is not None:
            status, had = answer[1]
            return status, had
        self.is_used_up = True
        status = self._process.wait()
        kill_descendants(self._others)
        return status, 0

    def _stop(self) -> None:
        """End the trial's process."""
        if self.cannot_fork:
            self._process.kill()
        else:
            with contextlib.suppress(OSError):
                self._control.sendall(STOP)
        self._end()

    def _answer(self) -> list[Any] | None:
        """Wait for what the warm process says; None if it is dead."""
        line = self._answers.readline()
        answer: list[Any] | None = json.loads(line) if line else None
        return answer

    def close(self) -> None:
        """End the warm process, which ends what is below it."""
        self._answers.close()
        self._control.close()
        self._process.wait()


def _left(began: float, timeout: float | None) -> float | None:
    return None if timeout is None else max(0.0, began + timeout - time.monotonic())
