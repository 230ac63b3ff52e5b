"""Whether the job of a sweep queues itself again."""

from __future__ import annotations

import math
from collections.abc import Mapping

from orchestrator.errors import HeadDiedError, TimeUpError
from orchestrator.store import Store

_GO_ON = (TimeUpError.exit_code, HeadDiedError.exit_code)
"""Exit codes after which the same command goes on."""


def reached(store: Store) -> dict[str, float]:
    """Tell the epochs that each trial of a store has saved, by trial id; infinite once finished."""
    snapshot = store.snapshot()
    return {**snapshot.saved_epochs, **dict.fromkeys(snapshot.finished, math.inf)}


def why_it_ends(
    code: int | None, before: Mapping[str, float], after: Mapping[str, float]
) -> str | None:
    """Say why a job is not queued again; None if it is.

    Args:
        code: the exit code of `orch`; None if it still ran when the time was up.
        before: what trials had `reached` when the job began.
        after: what they have reached now.
    """
    if code == 0:
        return "the sweep is done"
    if code is not None and code not in _GO_ON:
        return f"orch has ended with exit code {code}"
    if all(epochs <= before.get(trial_id, 0) for trial_id, epochs in after.items()):
        return (
            "in its time no trial has finished and none has saved a newer checkpoint, so another "
            "job would get no further; ask for more `time`, or have trials save more often"
        )
    return None
