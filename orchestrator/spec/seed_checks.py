"""Checks of `race`, `confirm` and `decide`: that seeds lie apart, and that each does something."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.spec.claim import match
from orchestrator.spec.grid import cells
from orchestrator.spec.keys import Key, dotted
from orchestrator.spec.model import Race, Sweep
from orchestrator.spec.problems import Problem
from orchestrator.spec.values import FIRST_CONFIRM_SEED


def check_confirm(sweep: Sweep) -> Iterator[Problem]:
    """Refuse confirm seeds that also select: what they report would be flattered by the choice."""
    selecting = {seed for seeds in _given(sweep, "seeds").values() for seed in seeds}
    for key, seeds in _confirm(sweep).items():
        both = sorted(selecting.intersection(seeds))
        if both:
            text = f"the seed {both[0]} is among `seeds`; a confirm seed never selects"
            yield Problem(key, text)


def check_decide(sweep: Sweep) -> Iterator[Problem]:
    """Refuse seeds of which it is not clear which one follows, and a decision about nothing."""
    if sweep.decide is None:
        return
    if not sweep.claims:
        yield Problem(("decide",), "there is nothing to decide: the file makes no `claims`")
    at_most = sweep.decide.at_most
    for key, seeds in _confirm(sweep).items():
        if key == ("decide",):
            continue
        if seeds != tuple(range(FIRST_CONFIRM_SEED, FIRST_CONFIRM_SEED + len(seeds))):
            text = "with `decide`, say how many seeds: those that follow are added to them"
            yield Problem(key, text)
        elif len(seeds) > at_most:
            text = f"is {at_most}, below the {len(seeds)} of `{dotted(key)}`"
            yield Problem(("decide", "at_most"), text)


def _confirm(sweep: Sweep) -> dict[Key, tuple[int, ...]]:
    """Collect the confirm seeds of the file by the key that asks for them."""
    seeds = _given(sweep, "confirm")
    if sweep.decide is not None:
        last = FIRST_CONFIRM_SEED + sweep.decide.at_most
        seeds[("decide",)] = tuple(range(FIRST_CONFIRM_SEED, last))
    return seeds


def _given(sweep: Sweep, name: str) -> dict[Key, tuple[int, ...]]:
    """Collect the seeds that a file and its variants give under one name."""
    of_variants: dict[Key, tuple[int, ...]] = {
        ("variants", index, name): getattr(variant, name) or ()
        for index, variant in enumerate(sweep.variants)
    }
    return {(name,): getattr(sweep, name), **of_variants}


def check_race(sweep: Sweep) -> Iterator[Problem]:
    """Refuse a race that drops no config of any cell."""
    if sweep.race is None:
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


def check_decidable(sweep: Sweep) -> Iterator[Problem]:
    """Refuse to decide a claim on cells that get no confirm seeds."""
    if sweep.decide is None:
        return
    all_cells = cells(sweep)
    for index, claim in enumerate(sweep.claims):
        matches = match(claim, sweep, [cell.factors for cell in all_cells])
        without = {i for indices in matches for i in indices if not all_cells[i].confirm}
        if without:
            of_cells = f"`confirm` is 0 in {len(without)} of its cells"
            text = f"{of_cells}, which get no seeds to decide it on"
            yield Problem(("claims", index), text)


def going_on(race: Race, configs: int) -> int:
    """Count the configs that go on after a seed.

    Args:
        race: the rule.
        configs: how many have run the seed.
    """
    share = -int(-round(race.keep * configs, 9) // 1)  # rounded up, but not for 0.1 * 30
    return min(configs, max(race.at_least, share))
