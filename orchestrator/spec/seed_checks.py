"""Checks of `race` and `confirm`: that confirm seeds lie apart, and that a race drops something."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.spec.grid import cells
from orchestrator.spec.keys import Key
from orchestrator.spec.model import Race, Sweep
from orchestrator.spec.problems import Problem


def check_confirm(sweep: Sweep) -> Iterator[Problem]:
    """Refuse confirm seeds that also select: what they report would be flattered by the choice."""
    seeds: dict[Key, tuple[int, ...]] = {("seeds",): sweep.seeds}
    confirm: dict[Key, tuple[int, ...]] = {("confirm",): sweep.confirm}
    for index, variant in enumerate(sweep.variants):
        seeds[("variants", index, "seeds")] = variant.seeds or ()
        confirm[("variants", index, "confirm")] = variant.confirm or ()
    selecting = {seed for each in seeds.values() for seed in each}
    for key, reporting in confirm.items():
        both = sorted(selecting.intersection(reporting))
        if both:
            text = f"the seed {both[0]} is among `seeds`; a confirm seed never selects"
            yield Problem(key, text)


def check_race(sweep: Sweep) -> Iterator[Problem]:
    """Refuse a race that drops no config of any cell."""
    if sweep.race is None or sweep.smoke:
        return
    all_cells = cells(sweep)
    most = max((len(cell.configs) for cell in all_cells), default=0)
    if not sweep.search:
        yield Problem(("race",), "a race without `search` does nothing: a cell has one config")
    elif all(len(cell.seeds) == 1 for cell in all_cells):
        text = "a race with one seed does nothing: it drops configs between two of the `seeds`"
        yield Problem(("race",), text)
    elif sweep.race.at_least > most:
        text = f"is above every cell's number of configs, {most} at most: none would be dropped"
        yield Problem(("race", "at_least"), text)


def going_on(race: Race, configs: int) -> int:
    """Count the configs that go on after a seed.

    Args:
        race: the rule.
        configs: how many have run the seed.
    """
    share = -int(-round(race.keep * configs, 9) // 1)  # rounded up, but not for 0.1 * 30
    return min(configs, max(race.at_least, share))
