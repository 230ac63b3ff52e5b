"""Translates what Ray and Tune say of a failed attempt into our own exceptions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray import cloudpickle
from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError

from orchestrator.errors import NodeMemoryError, RunError, WorkerDiedError


def error_of(trial: Any) -> Exception:
    """Read the error of a trial from the files that Tune writes on this machine."""
    if trial.pickled_error_file is not None:
        return translated(cloudpickle.loads(Path(trial.pickled_error_file).read_bytes()))
    text = (
        "Ray does not say why" if trial.error_file is None else Path(trial.error_file).read_text()
    )
    if "running low on memory" in text:  # Tune stores this class, unlike others, as text only
        return translated(OutOfMemoryError(text))  # type: ignore[no-untyped-call]
    return RunError(text)


def translated(error: Exception) -> Exception:
    """Return our own exception for one of Ray's, or what a worker has raised."""
    match error:
        case RayTaskError():
            cause: Exception = error.cause
            return cause
        case OutOfMemoryError():
            return NodeMemoryError(
                "out of memory: Ray killed the worker because the node's memory was nearly full; "
                "raise `resources.cpu`, so that fewer trials run at once"
            )
        case RayActorError():
            return WorkerDiedError("the worker process died (killed, or crashed in native code)")
    return error
