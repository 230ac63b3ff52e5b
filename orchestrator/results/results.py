"""A store and the questions that one asks of it from Python."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import pandas as pd

from orchestrator.errors import InputError
from orchestrator.results.claims import Finding, judge
from orchestrator.results.measures import PROBE
from orchestrator.results.selection import select
from orchestrator.results.tables import tidy
from orchestrator.spec.checks import check
from orchestrator.spec.model import Claim, Sweep, Table, Value
from orchestrator.store import Store
from orchestrator.store import stored_sweep as editing


class Results(Store):
    """A store, read: also while a sweep runs in it."""

    @cached_property
    def sweep(self) -> Sweep:
        """The sweep as it was last run, with the seeds asked for."""
        return editing.stored(self)

    def best(self, *values: str) -> pd.DataFrame:
        """Describe the selected config of every cell, one row per cell and value.

        Args:
            values: metrics, or ``probe:NAME``; by default the selection metric.

        Returns:
            The columns of `orchestrator.results.tables.tidy`.

        Raises:
            ShowError: the store has no such metric or probe.
        """
        table = Table(name="best", values=values)
        trials = self.trials()
        return tidy(self.sweep, table, select(self.sweep, trials), trials, self._probes(values))

    def compare(
        self,
        factor: str,
        first: Value,
        second: Value,
        value: str | None = None,
        where: Mapping[str, Value] | None = None,
    ) -> Finding:
        """Compare two values of a factor, as a claim that the first gives the greater results.

        Args:
            factor: its name.
            first: one of its values.
            second: another one.
            value: a metric, or ``probe:NAME``; by default the selection metric.
            where: values, or tuples of values, of other factors, to compare only there.

        Raises:
            InputError: there is no such factor or value.
            ShowError: the store has no such metric or probe.
        """
        value = value or self.sweep.select.metric
        is_probe = value.startswith(PROBE)
        claim = Claim(
            name="compare",
            compare={factor: (first, second)},
            where=dict(where or {}),
            metric=None if is_probe else value,
            probe=value.removeprefix(PROBE) if is_probe else None,
            expect="greater",
        )
        sweep = self.sweep.model_copy(update={"claims": (claim,)})
        if problems := check(sweep):
            raise InputError("; ".join(problem.text for problem in problems))
        trials = self.trials()
        (finding,) = judge(sweep, select(sweep, trials), trials, self._probes((value,)))
        return finding

    def _probes(self, values: tuple[str, ...]) -> pd.DataFrame | None:
        """Read the probes, which may be many, only if they are asked for."""
        return self.probes() if any(value.startswith(PROBE) for value in values) else None


def open_store(location: str) -> Results:
    """Open a store to read it.

    Args:
        location: a sweep's folder, such as ``results/table1``, or its URI.
    """
    return Results(location)
