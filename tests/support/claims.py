"""A synthetic sweep of orders with known effects, and the findings of claims about it."""

from __future__ import annotations

from typing import Any

import numpy as np

from orchestrator.results.claims.judge import Finding, judge
from orchestrator.spec.grid import PlannedTrial
from orchestrator.spec.model import Sweep
from support.synthetic import make_sweep, make_trials, results_of

ORDERS = ("convention", "swap", "nobn")
SEEDS = tuple(range(6))
NOISE = np.random.default_rng(0).normal(0, 0.01, (2, 3, 6))
EFFECTS = {"convention": 0.0, "swap": 0.05, "nobn": 0.001}


def sweep_of(*claims: dict[str, Any], **changes: Any) -> Sweep:
    """Make a sweep of two datasets and three orders that makes claims about the accuracy."""
    defaults = {"metric": "test_accuracy"}
    named = tuple(
        {"name": f"claim{i}"} | ({} if "probe" in claim else defaults) | claim
        for i, claim in enumerate(claims)
    )
    factors = {"dataset": ("digits", "letters"), "order": ORDERS}
    return make_sweep(**{"factors": factors, "seeds": SEEDS, "claims": named} | changes)


def value(trial: PlannedTrial) -> float:
    """Return the accuracy of a trial: the second rate is the better one everywhere."""
    factors = trial.config.factors
    dataset = ("digits", "letters").index(factors["dataset"])
    noise = NOISE[dataset, ORDERS.index(factors["order"]), trial.seed]
    worse = trial.config.search["lr"] == 0.1
    return 0.6 + EFFECTS[factors["order"]] + dataset / 10 + noise - worse / 2


def findings(sweep: Sweep, outcome: Any = value, probes: Any = None) -> list[Finding]:
    """Judge a sweep's claims on trials with these outcomes."""
    trials = make_trials(sweep, outcome)
    return judge(results_of(sweep, trials, probes), sweep.claims)


def side(order: str, datasets: tuple[int, ...] = (0, 1), seeds: Any = SEEDS) -> np.ndarray:
    """The values that the selected configs have, shape (seeds,)."""
    noise = NOISE[list(datasets), ORDERS.index(order)].mean(axis=0)
    return (0.6 + EFFECTS[order] + np.mean(datasets) / 10 + noise)[list(seeds)]


GREATER = {"compare": {"order": ("swap", "convention")}, "expect": "greater"}


def pooled_spread() -> float:
    """The deviation of the selected configs' values around their cells' means."""
    residuals = NOISE - NOISE.mean(axis=2, keepdims=True)
    return float(np.sqrt((residuals**2).sum() / 30))
