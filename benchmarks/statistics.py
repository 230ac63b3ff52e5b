"""What verdicts are worth: claims judged in simulated worlds of which the truth is known.

Each row judges 20,000 worlds with the functions that judge the claims of a file. *Fixed* is one
look at 5 confirm seeds (`confirm: 5`), *decide* a look after every confirm seed from the 2nd to the
20th (`decide: {at_most: 20}`). Behind a share stands its 95 % Clopper-Pearson interval, behind a
number of seeds its 10 % and 90 % quantiles. Trials are normal with standard deviation 1 unless a
row says otherwise, and claims of a file have trials of their own. A pooled spread is that of the
two cells of the claim and of two others, which have the first 5 or, with decide, 2 confirm seeds.
The last rows replay races, confirm seeds and decide on the published stores.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.stats import binomtest

from benchmarks._measure import Record, Target, absolute, at_least, at_most, main, ratio
from benchmarks._replay import confirmed, decided, replayed, simulated
from orchestrator.results.claims.boundary import Looks, critical
from orchestrator.results.claims.contrasts import ALPHA, Array, fisher_z, slope_weights
from orchestrator.results.claims.contrasts import paired as estimated
from orchestrator.results.claims.pooling import pooled_spread
from orchestrator.results.claims.sequential import (
    NEGLIGIBLE,
    REFUTED,
    SUPPORTED,
    UNDECIDED,
    Evidence,
    decide,
)
from orchestrator.results.statistics import statistics

SEED = 24
WORLDS = 20_000
FAMILIES = (1, 6)
CONFIRM, AT_MOST = 5, 20
FIXED, DECIDE = Looks(CONFIRM, CONFIRM), Looks(2, AT_MOST)
DESIGNS = {"fixed": FIXED, "decide": DECIDE}

FAR = 10.0
"""An effect that no test misses."""

FALSE = 6.0
"""Percent of worlds with a false verdict, at most."""

KEPT = {0.5: (0.88, 0.85), 0.8: (0.93, 0.9), 0.95: (0.97, 0.94)}
"""By the power of one look, the share of it that decide keeps: with one claim, and with six."""

Noise = Callable[[tuple[int, ...]], Array]
Draw = Callable[[np.random.Generator, Looks], Evidence]


def greater(random: np.random.Generator, looks: Looks, noise: Noise | None = None) -> Evidence:
    """Compare two equal sides."""
    first, second = (noise or random.standard_normal)((2, WORLDS, 1, looks.last))
    return Evidence(first - second, looks)


def unequal(random: np.random.Generator, looks: Looks) -> Evidence:
    """Compare sides of which one varies five times as much as the other."""
    sizes = np.array([1.0, 5.0]).reshape(2, 1, 1, 1)
    return greater(random, looks, lambda shape: sizes * random.standard_normal(shape))


def heavy(random: np.random.Generator, looks: Looks) -> Evidence:
    """Compare equal sides with trials far from the mean."""
    return greater(random, looks, lambda shape: random.standard_t(3, shape))


def diverged(random: np.random.Generator, looks: Looks) -> Evidence:
    """Compare equal sides of which some trials have no number."""

    def noise(shape: tuple[int, ...]) -> Array:
        return np.where(random.random(shape) < 1 / 20, np.nan, random.standard_normal(shape))

    return greater(random, looks, noise)


def searched(random: np.random.Generator, looks: Looks) -> Evidence:
    """Compare the best of 8 equal configs, by the mean of 3 seeds, with a side of one config."""
    grid = random.standard_normal((WORLDS, 8, 3 + looks.last))
    selected = grid[..., :3].mean(axis=-1).argmax(axis=1)
    confirmed = grid[np.arange(WORLDS), selected, 3:]
    return Evidence((confirmed - random.standard_normal(confirmed.shape))[:, None], looks)


def close(random: np.random.Generator, looks: Looks) -> Evidence:
    """Compare sides whose difference is the margin."""
    equal = greater(random, looks)
    return replace(equal, values=equal.values + FAR, margin=FAR)


def increasing(random: np.random.Generator, looks: Looks) -> Evidence:
    """Fit slopes over four values of a factor that does nothing."""
    trials = random.standard_normal((4, WORLDS * looks.last))
    slopes = slope_weights(len(trials)) @ trials
    return Evidence(slopes.reshape(WORLDS, 1, looks.last), looks)


def related(random: np.random.Generator, looks: Looks) -> Evidence:
    """Correlate independent quantities over four values of a factor."""
    first, second = random.standard_normal((2, 4, WORLDS * looks.last))
    return Evidence(fisher_z(first, second).reshape(WORLDS, 1, looks.last), looks)


def each(random: np.random.Generator, looks: Looks) -> Evidence:
    """Compare two sides in three cells: equal in one, and as claimed in the others."""
    first, second = random.standard_normal((2, WORLDS, 3, looks.last))
    return Evidence(first - second + np.array([[0.0], [FAR], [FAR]]), looks)


def best(random: np.random.Generator, looks: Looks) -> Evidence:
    """Compare a value with three others, one of which is as good."""
    first, *others = random.standard_normal((4, WORLDS, looks.last))
    differences = np.stack([first - other for other in others], axis=1)
    return Evidence(differences + np.array([[0.0], [FAR], [FAR]]), looks)


def pooled(random: np.random.Generator, looks: Looks) -> Evidence:
    """Compare two equal sides by the spread of four cells."""
    cells = random.standard_normal((4, WORLDS, 1, looks.last))
    others = min(looks.first, CONFIRM)
    spreads = [
        pooled_spread([*cells[:2, ..., :n], *cells[2:, ..., : min(n, others)]]) for n in looks.seeds
    ]
    error = np.stack([spread for spread, _ in spreads], axis=-1) * np.sqrt(
        2 / np.array(looks.seeds)
    )
    df = np.array([df for _, df in spreads])
    return Evidence(cells[0] - cells[1], looks, pooled=(error, df))


KINDS: dict[str, Draw] = {
    "`greater`": greater,
    "`close`, at the margin": close,
    "`increasing`": increasing,
    "`relate`": related,
    "`over: each`, one of three cells at 0": each,
    "`best`, one of three others as good": best,
    "`greater`, pooled": pooled,
    "`greater`, unequal variances": unequal,
    "`greater`, t with 3 degrees of freedom": heavy,
    "`greater`, one trial in 20 diverged": diverged,
    "`greater`, 8 configs against 1": searched,
}


def false_verdicts() -> Iterator[Record]:
    """Judge claims at the edge of their null, where every verdict is false."""
    for row, (kind, claims, name) in enumerate(product(KINDS, FAMILIES, DESIGNS)):
        random = np.random.default_rng((SEED, row))
        decisions = decide([KINDS[kind](random, DESIGNS[name]) for _ in range(claims)])
        false = (decisions.outcomes != UNDECIDED).any(axis=1)
        yield judged(f"False verdicts: {kind}, {counted(claims)}, {name}", false)
    edge = decide([replace(paired(1), smallest=1.0)])
    false = edge.outcomes[:, 0] == NEGLIGIBLE
    yield judged("False verdicts: `negligible` at an effect of `smallest`, 1 claim, decide", false)
    for row, (name, effect) in enumerate(product(DESIGNS, (0.0, 1.0))):
        random = np.random.default_rng((SEED, 1000 + row))
        noise = [greater(random, DESIGNS[name]).values / np.sqrt(2) for _ in range(FAMILIES[-1])]
        family = [Evidence(values + effect, DESIGNS[name], smallest=1.0) for values in noise]
        false = {0.0: (SUPPORTED, REFUTED), 1.0: (REFUTED, NEGLIGIBLE)}[effect]
        at = f"an effect of {effect:g} sd, `smallest` of 1"
        wrong = np.isin(decide(family).outcomes, false).any(axis=1)
        yield judged(f"False verdicts: `greater`, {at}, {counted(FAMILIES[-1])}, {name}", wrong)
    mean, error = greater(np.random.default_rng(SEED), DECIDE).moments
    alone = [float(critical(Looks(n, n), ALPHA)[0]) for n in DECIDE.seeds]
    false = (np.abs(mean / error)[:, 0] > alone).any(axis=1)
    yield share("False verdicts: `greater`, 1 claim, the test of one look after every seed", false)


def judged(claim: str, false: npt.ArrayLike) -> Record:
    """Record the share of worlds with a false verdict."""
    record = share(claim, false)
    met = record.spread[1] <= FALSE
    return replace(record, target=f"upper end at most {FALSE:g} %", met=met)


def power() -> Iterator[Record]:
    """Judge true claims, whose effect one look at all seeds finds with a known probability."""
    one_look = Looks(AT_MOST, AT_MOST)
    for position, claims in enumerate(FAMILIES):
        random = np.random.default_rng(SEED)
        noise = [greater(random, DECIDE).values for _ in range(claims)]
        for known, kept in KEPT.items():
            effect = found_with(known, noise, one_look)
            yield ratio(
                f"Power: decide against one look at 20, {counted(claims)}, {known:.0%}",
                [100 * supported(effect, noise, DECIDE)],
                [100 * supported(effect, noise, one_look)],
                "% of claims",
                at_least(kept[position]),
            )


def found_with(power: float, noise: list[Array], looks: Looks) -> float:
    """Return the effect that is found with a probability."""
    return float(brentq(lambda effect: supported(effect, noise, looks) - power, 0, 3, xtol=1e-3))


def supported(effect: float, noise: list[Array], looks: Looks) -> float:
    """Return the share of claims that are supported, where all of a file have an effect."""
    decisions = decide([Evidence(values + effect, looks) for values in noise])
    return float((decisions.outcomes == SUPPORTED).mean())


def stopping() -> Iterator[Record]:
    """Count seeds until one claim is decided; all seeds where it is not."""
    sd = "sd of the paired difference"
    for effect, bound in ((1, 12), (2, 8)):
        yield seeds(f"Seeds: an effect of {effect} {sd}", paired(effect), bound)
    nothing = replace(paired(0), smallest=1.0)
    yield seeds(f"Seeds: no effect, `smallest` of 1 {sd}", nothing, 14)


def coverage() -> Iterator[Record]:
    """Count how often intervals hold the truth."""
    near = Target("93 to 97", lambda held: 93 <= held <= 97)
    for n in (CONFIRM, 2 * CONFIRM):
        first, second = np.random.default_rng(SEED).standard_normal((2, WORLDS, n))
        means = [statistics(trials.tolist()) for trials in first]
        held = [mean.ci_low <= 0 <= mean.ci_high for mean in means]
        yield share(f"Coverage: a cell's mean, {n} confirm seeds", held, near)
        fractions = [
            statistics((0.97 + trials / 100).tolist(), is_accuracy=True) for trials in first
        ]
        held = [mean.ci_low <= 0.97 <= mean.ci_high for mean in fractions]
        yield share(f"Coverage: a cell's mean accuracy of 97 %, {n} confirm seeds", held, near)
        low, high = estimated(first - second).interval()
        held = list((low <= 0) & (high >= 0))
        yield share(f"Coverage: an effect, {n} confirm seeds", held, near)
        low, high = pooled(np.random.default_rng(SEED), Looks(n, n)).intervals(ALPHA)
        yield share(f"Coverage: a pooled effect, {n} confirm seeds", (low <= 0) & (high >= 0), near)
    low, high = (end[:, 0] for end in pooled(np.random.default_rng(SEED), DECIDE).intervals(ALPHA))
    holds = ((low <= 0) & (high >= 0)).all(axis=1)
    yield share("Coverage: sequential interval, pooled, at all looks", holds, at_least(93))
    for effect in (0, 1):
        low, high = (end[:, 0] for end in paired(effect).intervals(ALPHA))
        holds = (low <= effect) & (effect <= high)
        last = stops(paired(effect)) - DECIDE.first
        claim = f"Coverage: sequential interval, an effect of {effect} sd"
        yield share(f"{claim}, at all looks", holds.all(axis=1), at_least(93))
        yield share(f"{claim}, at the last", holds[np.arange(WORLDS), last], at_least(93))


def bias() -> Iterator[Record]:
    """Compare means with the truth, after decide has stopped at an effect."""
    evidence = paired(1, Looks(CONFIRM, AT_MOST))
    values = evidence.values[:, 0] - 1
    counts = np.arange(1, AT_MOST + 1)
    at_stop = (values.cumsum(axis=1) / counts)[np.arange(WORLDS), stops(evidence) - 1]
    shown = float(values[:, :CONFIRM].mean())
    claim = "Bias after decide, an effect of 1 sd"
    below = Target("below 0.1 in size, in", lambda size: abs(size) < 0.1)
    yield absolute(
        f"{claim}: mean of the first 5 confirm seeds, as tables show it", [shown], "sd", below
    )
    yield absolute(f"{claim}: mean of all, which no table shows", [float(at_stop.mean())], "sd")


def paired(effect: float, looks: Looks = DECIDE) -> Evidence:
    """Draw differences with a standard deviation of 1 and an effect."""
    noise = np.random.default_rng(SEED).standard_normal((WORLDS, 1, looks.last))
    return Evidence(noise + effect, looks)


def stops(claim: Evidence) -> npt.NDArray[np.int64]:
    """Return the seeds at which one claim is decided; all seeds where it is not."""
    decided = decide([claim]).seeds[:, 0]
    return np.where(decided == 0, claim.looks.last, decided)


def seeds(name: str, claim: Evidence, bound: float) -> Record:
    """Record the median number of seeds until a claim is decided."""
    low, median, high = np.quantile(stops(claim), (0.1, 0.5, 0.9)).tolist()
    return replace(absolute(name, [median], "seeds", at_most(bound)), spread=(low, high))


def share(claim: str, worlds: npt.ArrayLike, target: Target | None = None) -> Record:
    """Record the share of worlds in which something is so."""
    so = np.ravel(worlds)
    exact = binomtest(int(so.sum()), len(so)).proportion_ci()
    record = absolute(claim, [100 * float(so.mean())], "%", target)
    return replace(record, spread=(100 * float(exact.low), 100 * float(exact.high)))


def counted(claims: int) -> str:
    """Name a number of claims."""
    return "1 claim" if claims == 1 else f"{claims} claims"


def benchmark() -> Iterator[Record]:
    """Simulate errors, power, stopping, coverage and bias, and replay races."""
    yield from false_verdicts()
    yield from power()
    yield from stopping()
    yield from coverage()
    yield from bias()
    yield from replayed()
    yield from confirmed()
    yield from decided()
    yield from simulated()


if __name__ == "__main__":
    main(benchmark)
