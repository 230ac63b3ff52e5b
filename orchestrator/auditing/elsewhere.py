"""The trials that need not be equal to the bit here, beside the spread over seeds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from orchestrator.auditing.audit import Audit, Audited, Outcome
from orchestrator.auditing.spread import Array, Spread, deviation, residuals, spread
from orchestrator.columns import FINISHED
from orchestrator.labels import counted, unit
from orchestrator.results.selection import selection_column


@dataclass(frozen=True)
class Elsewhere:
    """The trials that need not be equal to the bit, of which some are not.

    Attributes:
        metric: the column of ``trials`` whose values are compared.
        conditions: what is not the same here.
        differences: from the stored value, in the metric's unit, by trial id.
        deviations: the standard deviation over seeds in the trial's cell, likewise.
        together: what they say together; None if no cell has two seeds.
    """

    metric: str
    conditions: tuple[str, ...]
    differences: Mapping[str, float]
    deviations: Mapping[str, float]
    together: Spread | None

    @property
    def smallest(self) -> float | None:
        """The smallest alteration that would have been caught, in the metric's unit."""
        typical = float(np.mean([d for d in self.deviations.values() if d > 0] or [math.nan]))
        return None if self.together is None else self.together.smallest * typical

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "metric": self.metric,
            "conditions": list(self.conditions),
            "together": self.together and asdict(self.together),
            "smallest": self.smallest,
        }

    def lines(self) -> Iterator[str]:
        """Write it as lines of text."""
        yield f"not the same here: {'; '.join(self.conditions)}"
        if self.together is None or self.smallest is None:
            yield "no cell has two seeds, beside whose spread their differences could be judged"
            return
        found, value = self.together, unit(self.metric)
        yield (
            f"{self.metric} differs by {found.mean:+.2f} standard deviations over seeds, in the "
            f"mean of {counted(found.n, 'trial')}; of honest audits, {found.p:.0%} come as far"
        )
        yield (
            f"had all trials been altered alike by {value.points(self.smallest)} "
            f"({found.smallest:.2g} standard deviations), this would show in 95 % of such audits"
        )


def elsewhere(audit: Audit, audited: Sequence[Audited]) -> Elsewhere | None:
    """Set the trials that need not be equal beside the spread over seeds, unless all are equal."""
    if all(each.outcome is not Outcome.ELSEWHERE for each in audited):
        return None
    own = _elsewhere(audited)
    metric = selection_column(audit.results.sweep.select)
    cells = _configs(audit, metric)
    sizes = {cell: deviation(configs) for cell, configs in cells.items()}
    spread_out = {cell: size for cell, size in sizes.items() if size > 0}
    differences = {each.trial.trial_id: _difference(each, metric) for each in own}
    deviations = {
        each.trial.trial_id: sizes.get(each.trial.config.cell_id, math.nan) for each in own
    }
    scaled = np.array([differences[i] / deviations[i] for i in differences if deviations[i] > 0])
    usable = scaled[np.isfinite(scaled)]
    together = None
    if len(usable):
        honest = [residuals(cells[cell]) / size for cell, size in spread_out.items()]
        together = spread(usable, np.concatenate(honest), audit.seed)
    return Elsewhere(metric, conditions(audited), differences, deviations, together)


def conditions(audited: Sequence[Audited]) -> tuple[str, ...]:
    """Say why trials need not be equal here."""
    return tuple(dict.fromkeys(text for each in _elsewhere(audited) for text in _conditions(each)))


def _elsewhere(audited: Sequence[Audited]) -> list[Audited]:
    """List the trials that need not be equal here, those that are equal included."""
    known = {Outcome.EQUAL, Outcome.ELSEWHERE}
    return [each for each in audited if each.outcome in known and each.may_differ]


def _configs(audit: Audit, metric: str) -> dict[str, list[Array]]:
    """Return the stored values of each cell's configs, by cell id."""
    trials = audit.results.trials
    trials = trials[trials["status"].isin(FINISHED) & np.isfinite(trials[metric].astype(float))]
    found: dict[str, list[Array]] = {}
    for (cell, _), values in trials.groupby(["cell_id", "config_id"], observed=True)[metric]:
        found.setdefault(str(cell), []).append(values.to_numpy(float))
    return found


def _difference(audited: Audited, metric: str) -> float:
    comparison = audited.comparison
    if comparison is None:
        return math.nan
    return float(comparison.now.trial[metric]) - float(comparison.stored.trial[metric])


def _conditions(audited: Audited) -> tuple[str, ...]:
    found = audited.comparison.conditions if audited.comparison else ()
    return found or ("a GPU need not repeat a trial to the bit",)
