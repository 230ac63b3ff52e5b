"""The spread over seeds, pooled over cells: pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from orchestrator.results.claims.contrasts import ALPHA, NO_SPREAD, Array


@dataclass(frozen=True)
class Pool:
    """The spread of single numbers around the means of their cells.

    Attributes:
        spread: standard deviation of the residuals.
        df: its degrees of freedom, one less than there are numbers in each cell.
        cells: how many cells it is from.
        p_equal: p-value of the Brown-Forsythe test that all cells have one spread; None with fewer
            than two cells of three numbers or more.
    """

    spread: float
    df: int
    cells: int
    p_equal: float | None

    @property
    def alike(self) -> bool:
        """Whether nothing speaks against one spread of all cells."""
        return self.p_equal is None or self.p_equal >= ALPHA


def pool(cells: Sequence[Array]) -> Pool | None:
    """Pool the spread of cells.

    Args:
        cells: the numbers of each cell, one per seed; a cell with fewer than two, or with one
            that is not finite, does not count.

    Returns:
        None if no cell counts, or none of their numbers differ.
    """
    counted = [values for values in cells if len(values) > 1 and np.isfinite(values).all()]
    if not counted:
        return None
    found, df = pooled_spread(counted)
    largest = max(float(np.abs(values).max()) for values in counted)
    if found <= NO_SPREAD * largest:
        return None
    return Pool(float(found), df, len(counted), _equal(counted))


def pooled_spread(cells: Sequence[Array]) -> tuple[Array, int]:
    """Compute the standard deviation of residuals around the means of cells, and its df.

    Args:
        cells: at least one, shape (..., seeds) each; the axes before are independent worlds.
    """
    df = sum(values.shape[-1] - 1 for values in cells)
    squares = sum(values.var(axis=-1) * values.shape[-1] for values in cells)
    return np.asarray(np.sqrt(squares / df)), df


def _equal(cells: Sequence[Array]) -> float | None:
    """Test the spreads of cells for equality, by their deviations from the median.

    Two numbers are equally far from theirs, and say nothing.
    """
    more = [values for values in cells if len(values) > 2]
    if len(more) < 2:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):  # where all are equally far
        p = float(stats.levene(*more, center="median").pvalue)
    return None if math.isnan(p) else p
