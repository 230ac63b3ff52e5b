"""The boundary of a t test at which one looks after every seed: computed, not simulated.

The error is spent over the looks as O'Brien and Fleming's boundary spends it (Lan & DeMets,
Biometrika 1983), and what a look may spend gives its critical t by the recursive integration of
Armitage, McPherson & Rowe (JRSS A 1969). That needs the law of a t statistic given the one of the
seed before. With S the sum and Q the sum of squares of n normal values of mean 0, U = S / √Q
determines t, and is independent of Q (Basu), so that with the next value v · √Q

    U' = (U + v) / √(1 + v²),    v · √n of Student's t distribution with n degrees of freedom,

independent of all U before: a Markov chain in one dimension, without a nuisance parameter.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from orchestrator.results.claims.contrasts import Array

_CELLS = 150
"""Cells of the integration.

The error spent is 0.96 to 1.002 times alpha: for 5, 20 and 50 looks and 1 to 30 claims, by the same
integration with 600 cells.
"""

_LOWEST, _HIGHEST = -5.0, 8.0
"""Range of the cells, in standard normal quantiles; lower values do not reach the boundary."""

_RAREST = 1e-300
"""Smallest probability whose quantile is computed."""

_NEGLIGIBLE = 1e-4
"""Looks that spend less than this share of the error are not subtracted from later ones."""


@dataclass(frozen=True)
class Looks:
    """The numbers of seeds at which one looks: each from the first to the last.

    Attributes:
        first: at least 2; or 1, where the spread is known from elsewhere and there is one look.
        last: at least ``first``; if equal, there is one look, which is an ordinary t test.
    """

    first: int
    last: int

    @property
    def seeds(self) -> range:
        """The number of seeds of each look."""
        return range(self.first, self.last + 1)


def spent(looks: Looks, alpha: float) -> Array:
    """Compute the error spent up to each look, of ``alpha`` at the last; shape (looks,)."""
    share = np.array(looks.seeds) / looks.last
    return np.asarray(2 * ndtr(ndtri(alpha / 2) / np.sqrt(share)))


@cache
def critical(looks: Looks, alpha: float) -> Array:
    """Compute the t that decides at each look.

    If the true effect is zero, t exceeds these with a probability of alpha / 2 at any look, and
    falls below their negatives with the same: at most alpha together.

    Returns:
        Positive values, shape (looks,); read-only.
    """
    levels = np.diff(spent(looks, alpha) / 2, prepend=0.0)
    found = np.empty(len(levels))
    mass = middle = np.empty(0)
    for look, (n, level) in enumerate(zip(looks.seeds, levels, strict=True)):
        marginal = look == 0 or level < _NEGLIGIBLE * alpha
        z = float(-ndtri(level))
        if not marginal:
            z = _crossing(middle, mass, n, level)
        found[look] = _t(z, n)
        edges = np.linspace(_LOWEST, min(z, _HIGHEST), _CELLS + 1)
        below = ndtr(edges)
        if not marginal:
            below = mass.sum() - _exceeds(_u(edges[:, None], n), middle, n - 1) @ mass
        below[0] = 0.0
        mass, middle = np.diff(below), _u((edges[1:] + edges[:-1]) / 2, n)
    found.flags.writeable = False
    return found


def rarity(looks: Looks, alpha: float) -> Array:
    """Compute the two-sided p-value that decides at each look; shape (looks,).

    A single look may have one seed, which a pooled error allows.
    """
    if looks.first == looks.last:
        return np.array([alpha])
    n = np.array(looks.seeds)
    return np.asarray(np.maximum(2 * stdtr(n - 1, -critical(looks, alpha)), _RAREST))


def _crossing(middle: Array, mass: Array, n: int, level: float) -> float:
    """Find the quantile after n seeds that is exceeded for the first time with a probability.

    Args:
        middle: U of each cell after n - 1 seeds.
        mass: probability of being there, and not decided.
        n: number of seeds.
        level: the probability.
    """

    def excess(z: float) -> float:
        return float(mass @ _exceeds(_u(z, n), middle, n - 1)) / level - 1

    return float(brentq(excess, -2.0, 1.0 - ndtri(level), xtol=1e-8))


def _t(z: Array | float, n: int) -> Array:
    """Return the quantiles of t after n seeds at those of a standard normal variable."""
    return np.asarray(-stdtrit(n - 1, np.maximum(ndtr(-np.asarray(z)), _RAREST)))


def _u(z: Array | float, n: int) -> Array:
    """Return the quantiles of U after n seeds at those of a standard normal variable."""
    t = _t(z, n)
    return np.asarray(t * np.sqrt(n) / np.sqrt(n - 1 + t * t))


def _exceeds(bound: Array, u: Array, n: int) -> Array:
    """Compute the probability that U exceeds a bound after n + 1 seeds, given it after n.

    With v the tangent of an angle and u that of another, ``turn``, the next U is
    √(1 + u²) · sin(angle + turn).
    """
    turn = np.arctan(u)
    edge = np.arcsin(np.clip(bound / np.hypot(1.0, u), -1.0, 1.0))
    beyond = _below(turn - edge, n) - _below(turn + edge - np.pi, n)
    return np.asarray(beyond + _below(-np.pi - edge - turn, n))


def _below(angle: Array, n: int) -> Array:
    quarter = np.pi / 2
    return np.asarray(stdtr(n, np.sqrt(n) * np.tan(np.clip(angle, -quarter, quarter))))
