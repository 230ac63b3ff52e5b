"""What the process of one trial does: it runs the trainable, reports each epoch, and leaves."""

from __future__ import annotations

import atexit
import contextlib
import functools
import logging
import os
import sys
import threading
import weakref
from multiprocessing import util
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from orchestrator.code import Trainable
from orchestrator.code.recorder import Recorder
from orchestrator.running import failures
from orchestrator.running.last_words import LastWords
from orchestrator.running.live_trial import ClosedError, LiveTrial, Report, Start, run_trainable
from orchestrator.running.processes.messages import loading, receive, send
from orchestrator.running.processes.seeding import Seeding, seed_of


def run(
    connection: Connection[Any, Any],
    output: int,
    trainable: Trainable,
    seeding: Seeding,
    recorder: Recorder,
) -> None:
    """Run the trial that the worker sends, and end this process.

    Args:
        connection: to the worker.
        output: descriptor that takes what the trial prints.
        trainable: what the warm process has imported.
        seeding: of this process's generators.
        recorder: of what this process imports.
    """
    try:
        _redirect(output)
        last_words = LastWords.of_stderr()
        start, state = _receive_start(connection)
        seeding.seed(seed_of(start))
        _report_all(connection, trainable, start, state, last_words, recorder)
    except (OSError, EOFError):
        os._exit(1)  # the worker is gone, and the trial with it
    _leave()


def leave_exit_functions_to_parent() -> None:
    """Do not run at this process's exit what was registered before the fork, as at an import.

    It would delete the temporary folders of modules, say, which later trials find as this one did.
    `multiprocessing` does the same where it forks.
    """
    atexit._clear()
    util._finalizer_registry.clear()  # type: ignore[attr-defined]
    for info in weakref.finalize._registry.values():  # type: ignore[attr-defined]
        info.atexit = False
    weakref.finalize._registered_with_atexit = False  # type: ignore[attr-defined]
    for function in (logging.shutdown, util._exit_function):  # type: ignore[attr-defined]
        atexit.register(function)


def _redirect(output: int) -> None:
    """Let the trial print to the worker, and read nothing."""
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.close(output)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  (for the life of the process)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = open(  # noqa: SIM115
            descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _receive_start(connection: Connection[Any, Any]) -> tuple[Start, bytes | None]:
    message = receive(connection)
    return Start(**message.content), message.state


class _Worker:
    """The worker, as the threads of this process hear it."""

    def __init__(self, connection: Connection[Any, Any]) -> None:
        self._connection, self._lock = connection, threading.Lock()
        self._process = os.getpid()
        self._heard: set[str] = set()

    def wants_another_after(self, epoch: dict[str, Any]) -> bool:
        """Report an epoch, and wait for whether another one is wanted."""
        with self._lock:
            send(self._connection, "report", epoch, epoch.pop("state"))
            while self._heard.isdisjoint({"continue", "close"}):
                self._hear()
            self._heard.discard("continue")
            return "close" not in self._heard

    def has_closed(self) -> bool:
        """Tell whether no further epoch is wanted."""
        return self._has_said("close")

    def has_asked_to_save(self) -> bool:
        """Tell whether the run ends as soon as the trial has saved."""
        return self._has_said("save")

    def _has_said(self, kind: str) -> bool:
        if os.getpid() != self._process:  # a fork, which would take the words from the trial
            return kind in self._heard
        with self._lock:
            while "close" not in self._heard and self._connection.poll():
                self._hear()
            return kind in self._heard

    def _hear(self) -> None:
        try:
            self._heard.add(receive(self._connection).kind)
        except (EOFError, OSError):
            self._heard.add("close")  # it is gone


def _report_all(
    connection: Connection[Any, Any],
    trainable: Trainable,
    start: Start,
    state: bytes | None,
    last_words: LastWords,
    recorder: Recorder,
) -> None:
    """Report every epoch, then the end or why there is none."""
    worker = _Worker(connection)

    def hand_over(report: Report) -> None:
        recorder.require_unedited()
        content = {**report._asdict(), **loading(recorder)}
        if worker.wants_another_after(content):
            return
        if threading.current_thread() is not threading.main_thread():
            _leave_now()  # the error would end this thread alone
        raise ClosedError

    log = functools.partial(print, flush=True)
    trial = LiveTrial(start, state, log, hand_over, worker.has_closed, worker.has_asked_to_save)
    trial.announce()
    try:
        run_trainable(trainable, trial)
        recorder.require_unedited()
        send(connection, "ended", loading(recorder))
    except ClosedError:
        return
    except BaseException as error:  # noqa: BLE001  (the trainable's, whatever it is)
        _fail(connection, error, last_words.line, recorder)


def _fail(
    connection: Connection[Any, Any], error: BaseException, last_words: str, recorder: Recorder
) -> None:
    if recorder.edited is not None:
        with contextlib.suppress(OSError):
            content = {"reason": str(recorder.edited), **loading(recorder)}
            send(connection, "edited", content)
        return
    sys.stderr.write(failures.for_log(error))
    with contextlib.suppress(OSError):
        send(connection, "failed", failures.to_message(error, last_words) | loading(recorder))


def _leave() -> None:
    """End as Python would, but for torch's teardown, which takes 150 ms."""
    with contextlib.suppress(Exception):
        # Ends pools of threads that are still open, then waits for all threads but daemons.
        threading._shutdown()  # type: ignore[attr-defined]
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()
    _leave_now()


def _leave_now() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(0)
