"""What Ray and Tune tell of an attempt that failed, as the exception behind it and in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray import cloudpickle
from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError

from orchestrator.errors import RunError
from orchestrator.running import failures


def error_of(trial: Any) -> Exception | None:
    """Read what Tune itself wrote about a trial's end, on this machine."""
    if trial.pickled_error_file is not None:
        error: Exception = cloudpickle.loads(Path(trial.pickled_error_file).read_bytes())
        return error.cause if isinstance(error, RayTaskError) else error
    if trial.error_file is None:
        return None
    text = Path(trial.error_file).read_text()
    if "running low on memory" in text:  # Tune keeps this class, unlike others, as text only
        return OutOfMemoryError(text)  # type: ignore[no-untyped-call]
    return RunError(text)


def words(error: Exception | None) -> str:
    """Say in a line why an attempt failed."""
    if error is None:
        return "the run ended before the trial did"
    if isinstance(error, OutOfMemoryError):
        return (
            "out of memory: Ray ended the worker because the node's memory was nearly full; "
            "give each trial more `resources.cpu`, so that fewer run at once"
        )
    if isinstance(error, RayActorError):
        return "the worker process died (killed, or crashed in native code)"
    return failures.reason(error)
