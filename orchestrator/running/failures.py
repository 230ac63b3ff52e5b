"""Why an attempt failed, and whether the trial is retried."""

from __future__ import annotations

import importlib
import signal
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.code.scope import counts
from orchestrator.errors import (
    EditedError,
    GpuMemoryError,
    KilledError,
    MetricError,
    NodeMemoryError,
    NotLoadedError,
    OrchError,
    RunError,
    TrialError,
    TrialFailedError,
    UsageError,
    WorkerDiedError,
)
from orchestrator.labels import duration, memory, printable
from orchestrator.running.gpus import larger_fraction

_ALLOCATION_FAILED = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""Messages of CUDA and its libraries for errors without a class of their own in torch."""
_KINDS = (GpuMemoryError, KilledError, UsageError, TrialFailedError)
"""Errors of trials from which different things follow."""
_TOOLS = (Path(__file__).parents[1], Path(str(importlib.__file__)).parent)
"""Folders of what runs and imports the user's code."""


LONGEST = 2000
"""Characters of an error that are stored and shown; the log has the rest."""
_LEFT_OUT = "\n[… the log has the rest …]\n"


class Retries:
    """Decides which trials are retried after a failed attempt.

    A trial that runs out of GPU memory is retried once, since it may have shared the GPU with
    unusually large trials; it would hardly fit the third time. A trial that lacks the selection
    metric is not retried: it would lack it again. Nor is one that does not load its state, or
    whose files were edited.

    Args:
        limit: how many retries a trial may have.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._out_of_gpu_memory: set[str] = set()

    def allow(self, trial_id: str, attempts: int, error: BaseException) -> bool:
        """Decide whether a trial is retried after a failed attempt.

        Args:
            trial_id: the trial.
            attempts: how many attempts have failed, this one included.
            error: what ended this one.
        """
        if isinstance(error, EditedError | MetricError | NotLoadedError):
            return False
        if isinstance(error, GpuMemoryError):
            if trial_id in self._out_of_gpu_memory:
                return False
            self._out_of_gpu_memory.add(trial_id)
        return attempts <= self._limit


def of_gpu_memory(error: Exception, gpus: float) -> GpuMemoryError | None:
    """Recognize an error that means that a GPU's memory is full.

    Args:
        error: what the trainable raised; recognized by name, to avoid importing torch.
        gpus: the trial's ``resources.gpu``; at 0 the machine's own memory was full.

    Returns:
        The error to raise instead; None for any other error.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    text = _text(error)
    is_memory_full = "OutOfMemoryError" in names or (
        "RuntimeError" in names and any(phrase in text for phrase in _ALLOCATION_FAILED)
    )
    if not (is_memory_full and gpus):
        return None
    if gpus < 1:
        remedy = f"try {larger_fraction(gpus):g}, so that fewer trials share a GPU"
    else:
        remedy = "the trial had whole GPUs: lower its batch_size or width"
    first_line = text.partition("\n")[0]
    return GpuMemoryError(
        f"out of GPU memory at `resources.gpu: {gpus:g}`; {remedy} ({first_line})"
    )


def for_log(error: BaseException) -> str:
    """Write an error for the log; one whose message says all is shown without its traceback."""
    is_ours = isinstance(error, OrchError) and error.__cause__ is None
    if isinstance(error, MetricError | EditedError) or (is_ours and not in_user_code(error)[0]):
        return f"{error}\n"
    return "".join(traceback.format_exception(error))


def ended(status: int, had: int = 0, *, memory_was_full: bool = False) -> str:
    """Say how a process ended, after its name: by a signal, or with an exit code.

    Args:
        status: its exit code, or the negative number of the signal.
        had: the most memory that it had, in bytes; 0 if that is not known.
        memory_was_full: whether the kernel has killed processes for memory while it ran.
    """
    if status == -signal.SIGKILL:
        most = f"; it had {memory(had)}" if had else ""
        if memory_was_full:
            return f"was killed by the kernel because memory was full{most}"
        return f"was killed by SIGKILL, as may happen when memory is full{most}"
    if status < 0:
        known = {each.value: each.name for each in signal.Signals}  # not those of real time
        return f"was killed by {known.get(-status, f'signal {-status}')}"
    return f"ended with exit code {status}"


def timed_out(seconds: float) -> TrialError:
    """Make the error of an attempt that takes longer than it may."""
    return TrialError(f"it took longer than `timeout` allows, {duration(seconds)}")


def reason(error: BaseException, last_words: str = "") -> str:
    """Say why an attempt failed, in text that can be stored and shown anywhere.

    Args:
        error: what ended it.
        last_words: the last line that it wrote to standard error.
    """
    return shortened(printable(_reason(error, last_words)))


def shortened(text: str) -> str:
    """Keep the first and the last lines of a long text, `LONGEST` characters in all."""
    if len(text) <= LONGEST:
        return text
    half = (LONGEST - len(_LEFT_OUT)) // 2
    start, end = text[:half], text[-half:]
    start = start[: start.rfind("\n")] if "\n" in start else start  # whole lines, if there are any
    end = end[end.find("\n") + 1 :] if "\n" in end.rstrip("\n") else end
    return f"{start}{_LEFT_OUT}{end}"


def _text(error: BaseException) -> str:
    """Write an error as its class writes it, if that works."""
    try:
        return str(error)
    except Exception as another:  # noqa: BLE001  (a class of the user's may raise anything)
        return f"(its text cannot be had: {type(another).__name__})"


def _reason(error: BaseException, last_words: str) -> str:
    match error:
        case (
            GpuMemoryError()
            | NodeMemoryError()
            | WorkerDiedError()
            | TrialError()
            | TrialFailedError()
            | MetricError()
            | EditedError()
        ):
            return str(error)
        case SystemExit():
            said = f" ({last_words})" if last_words else ""
            return f"SystemExit: {error.code} before the trial was over{said}"
        case KeyboardInterrupt():
            return "KeyboardInterrupt, raised by the trainable"
        case _:
            return ": ".join(filter(None, [type(error).__name__, _text(error)]))


def to_message(error: BaseException, last_words: str) -> dict[str, Any]:
    """Write an error as plain values, for another process; arguments as of `reason`."""
    kind = type(error) if isinstance(error, _KINDS) else TrialFailedError
    return {
        "kind": kind.__name__,
        "reason": reason(error, last_words),
        "raised": in_user_code(error),
    }


def from_message(content: Mapping[str, Any]) -> RunError:
    """Make the error that `to_message` wrote."""
    (kind,) = (kind for kind in _KINDS if kind.__name__ == content["kind"])
    if issubclass(kind, TrialFailedError):
        return kind(content["reason"], *content["raised"])
    return kind(content["reason"])


def in_user_code(error: BaseException) -> tuple[str, str]:
    """Say where in the user's code an error arose.

    Args:
        error: what ended an attempt.

    Returns:
        The frames of its traceback, from the user's first one on and without those of this tool,
        and its place: its class, and the file and line of the user's innermost frame. Both are
        empty if no frame is the user's.
    """
    if isinstance(error, TrialFailedError):
        return error.frames, error.place
    frames = traceback.extract_tb(error.__traceback__)
    users = [index for index, frame in enumerate(frames) if counts(Path(frame.filename))]
    if not users:
        return "", ""
    innermost = frames[users[-1]]
    shown = [frame for frame in frames[users[0] :] if not _is_tool(frame.filename)]
    place = f"{type(error).__qualname__} at {innermost.filename}:{innermost.lineno}"
    return "".join(traceback.format_list(shown)), place


def _is_tool(file: str) -> bool:
    return file.startswith("<frozen ") or any(map(Path(file).is_relative_to, _TOOLS))
