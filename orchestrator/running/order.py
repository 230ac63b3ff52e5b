"""The order in which trials run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from orchestrator.spec.grid import PlannedTrial


def longest_first(
    trials: Sequence[PlannedTrial], seconds: Mapping[str, float], *, by_cell: bool = False
) -> list[PlannedTrial]:
    """Order trials by the position of their seed, then longest first; unknown durations lead.

    Args:
        trials: as `wanted` lists them.
        seconds: mean durations by config id, as far as they are known.
        by_cell: order them by their cell before all else, as they are listed.
    """
    positions: dict[str, int] = {}
    places: dict[str, int] = {}
    order: dict[str, tuple[int, int, float]] = {}
    for trial in trials:
        config_id = trial.config.config_id
        positions[config_id] = positions.get(config_id, -1) + 1
        place = places.setdefault(trial.config.cell_id, len(places)) if by_cell else 0
        order[trial.trial_id] = (place, positions[config_id], -seconds.get(config_id, math.inf))
    return sorted(trials, key=lambda trial: order[trial.trial_id])
