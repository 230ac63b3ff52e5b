"""The process of a program: how it starts, what it prints, and how it ends."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence

from orchestrator.errors import KilledError, TrialError, TrialFailedError, UsageError
from orchestrator.labels import printable
from orchestrator.running import failures
from orchestrator.running.processes.descendants import (
    become_subreaper,
    children,
    kill_descendants,
)
from orchestrator.running.processes.full_memory import killed_by_kernel
from orchestrator.running.processes.lines import CHUNK, LineBuffer
from orchestrator.running.programs import Epoch, Source

_KEPT_LINES = 20
"""The last ones, among which an error is looked for."""
GRACE_SECONDS = 5.0
"""How long a program that is asked to end by SIGTERM may take to leave."""
_PAUSE_SECONDS = 0.25
"""Between two looks at the files that a program writes."""
_USAGE = 2
"""The exit code of argparse, click and others for arguments that they do not know."""


@contextlib.contextmanager
def started(
    words: Sequence[str], folder: str, environment: Mapping[str, str], *, apart: bool
) -> Iterator[RunningProgram]:
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
            yield RunningProgram(process, others)
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


class RunningProgram:
    """A program that runs.

    Args:
        process: its own.
        others: children of this process that it has not started.
    """

    def __init__(self, process: subprocess.Popen[bytes], others: frozenset[int]) -> None:
        self._process, self._others = process, others
        self._buffers: dict[int, LineBuffer] = {}
        self._ended: list[tuple[int, LineBuffer]] = []
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                self._buffers[stream.fileno()] = LineBuffer()
        self._errors: deque[str] = deque(maxlen=_KEPT_LINES)
        """The last lines of stderr, if it is apart."""
        self._printed: deque[str] = deque(maxlen=_KEPT_LINES)
        self._killed_before = killed_by_kernel()

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
        rest = [(ended, self._show(ended, buffer.rest())) for ended, buffer in self._ended]
        self._require_success(gpus)  # which may have cut those last lines
        for descriptor, lines in rest:
            for line in lines:
                yield from source.line(line, stdout=self._is_stdout(descriptor))
        yield from source.end()

    def _read(self, descriptor: int, source: Source) -> Iterator[Epoch]:
        """Read some output; at its end, keep what has no line break."""
        chunk = os.read(descriptor, CHUNK)
        if not chunk:
            self._ended.append((descriptor, self._buffers.pop(descriptor)))
            return
        for line in self._show(descriptor, self._buffers[descriptor].feed(chunk)):
            yield from source.line(line, stdout=self._is_stdout(descriptor))

    def _show(self, descriptor: int, lines: list[str]) -> list[str]:
        """Pass on what was printed, and keep the last lines, which may say why it ends."""
        if lines:
            print("\n".join(map(printable, lines)))
            last = self._printed if self._is_stdout(descriptor) else self._errors
            last.extend(line.strip() for line in lines[-_KEPT_LINES:] if line.strip())
        return lines

    def _is_stdout(self, descriptor: int) -> bool:
        return self._process.stdout is not None and descriptor == self._process.stdout.fileno()

    def _require_success(self, gpus: float) -> None:
        status = self._process.returncode
        if status == 0:
            return
        last = [*self._printed, *self._errors]
        for line in reversed(last):
            if error := failures.of_gpu_memory(RuntimeError(line), gpus):
                raise error
        had = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        was_full = killed_by_kernel() > self._killed_before
        text = f"the program {failures.ended(status, had, memory_was_full=was_full)}"
        if last:
            text += f": {last[-1]}"
        kind = KilledError if status < 0 else UsageError if status == _USAGE else TrialFailedError
        raise kind(text)
