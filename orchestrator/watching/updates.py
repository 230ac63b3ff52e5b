"""What one browser is sent: progress, running trials, and of their curves only what it lacks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import takewhile
from typing import Any

from orchestrator.watching.curves import Curve
from orchestrator.watching.feed import State


class Updates:
    """The updates for one browser."""

    def __init__(self) -> None:
        self._sent: State | None = None

    def next(self, state: State) -> str | None:
        """Write the update from the last state to this one as a line of JSON; None if they are one.

        Its keys are those of `Look.facts`, and ``problem``, ``sections`` (the version of each), and
        ``curves``: for each running trial the points from an index on that replace what it had.
        """
        if state is self._sent:
            return None
        look, sent = state.look, self._sent.look if self._sent else None
        self._sent = state
        update: dict[str, Any] = {
            "problem": state.failure or state.problem,
            "sections": {name: section.version for name, section in state.sections.items()},
        }
        if look:
            update |= look.facts
            update["curves"] = _added(look.curves, sent.curves if sent else {})
        return json.dumps(update, allow_nan=False)


def _added(curves: Mapping[str, Curve], sent: Mapping[str, Curve]) -> dict[str, Any]:
    """List what is new in each curve, and from which point on."""
    added = {}
    for trial_id, curve in curves.items():
        before = sent.get(trial_id, [])
        same = sum(1 for _ in takewhile(lambda p: p[0] == p[1], zip(before, curve, strict=False)))
        if same < max(len(before), len(curve)) or trial_id not in sent:
            added[trial_id] = {"from": same, "points": curve[same:]}
    return added
