"""Reads from Ray and Tune why an attempt failed, as an exception and as a message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray import cloudpickle
from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError

from orchestrator.errors import RunError
from orchestrator.running import failures


def error_of(trial: Any) -> Exception | None:
    """Read the error of a trial from the files that Tune writes on this machine."""
    if trial.pickled_error_file is not None:
        error: Exception = cloudpickle.loads(Path(trial.pickled_error_file).read_bytes())
        return error.cause if isinstance(error, RayTaskError) else error
    if trial.error_file is None:
        return None
    text = Path(trial.error_file).read_text()
    if "running low on memory" in text:  # Tune stores this class, unlike others, as text only
        return OutOfMemoryError(text)  # type: ignore[no-untyped-call]
    return RunError(text)


def reason_for(error: Exception | None) -> str:
    """Return one line on why an attempt failed."""
    if error is None:
        return "the run ended before the trial"
    if isinstance(error, OutOfMemoryError):
        return (
            "out of memory: Ray killed the worker because the node's memory was nearly full; "
            "raise `resources.cpu`, so that fewer trials run at once"
        )
    if isinstance(error, RayActorError):
        return "the worker process died (killed, or crashed in native code)"
    return failures.reason(error)
