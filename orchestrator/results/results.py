"""What a sweep came to: the one object to read with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.columns import FINISHED, Status
from orchestrator.errors import InputError, ShowError, unknown
from orchestrator.labels import PROBE, counted, quoted
from orchestrator.results.measures import measure
from orchestrator.results.selection import CellSelection, select
from orchestrator.spec import PlannedTrial, Sweep, expand, with_seeds
from orchestrator.spec.checks import check
from orchestrator.spec.model import Claim, Figure, Table
from orchestrator.spec.values import Value
from orchestrator.store import Store
from orchestrator.store.stored_sweep import stored_sweep

# Each method imports what it computes with: scipy, matplotlib and Vega take a second to load.
if TYPE_CHECKING:
    import pandas as pd

    from orchestrator.results.claims import Finding, Findings
    from orchestrator.results.figures import Plot
    from orchestrator.results.tables import Tables


class Results:
    """A sweep and its store, read as of now: also while the sweep runs, or half finished.

    What was read once is kept; for a later state, make another one.

    Attributes:
        sweep: what was asked for.
        store: where it lies.
    """

    def __init__(self, sweep: Sweep, store: Store) -> None:
        self.sweep = sweep
        self.store = store
        self._measured: dict[str, Mapping[str, float]] = {}
        self._probes: dict[str, pd.DataFrame] = {}

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per trial that ended, and per trial that has a checkpoint."""
        return self.store.trials()

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """One row per epoch of those trials."""
        return self.store.epochs()

    def probes(self, name: str) -> pd.DataFrame:
        """One row per epoch and layer of those trials, and per unit and bin, of one probe.

        Raises:
            ShowError: the store has no such probe.
        """
        if name not in self._probes:
            rows = self.store.probes(name)
            if rows.empty:
                known = quoted(self.store.probe_names())
                raise ShowError(f"the store has no probe `{name}`; it has {known}")
            self._probes[name] = rows
        return self._probes[name]

    @cached_property
    def selections(self) -> list[CellSelection]:
        """What is selected in each cell, in file order.

        Raises:
            ShowError: the store lacks the selection metric.
        """
        return select(self.sweep, self.trials)

    @property
    def missing(self) -> list[PlannedTrial]:
        """The trials that the sweep asks for and that are not finished, failed ones included."""
        finished = set(self.trials["trial_id"][self.trials["status"].isin(FINISHED)])
        return [trial for trial in expand(self.sweep) if trial.trial_id not in finished]

    def measure(self, name: str) -> Mapping[str, float]:
        """Look up one value per trial.

        Args:
            name: a metric, taken at the last epoch (or, if it is the selection metric, at the
                epoch that selection goes by); or ``probe:NAME``, the mean over layers at the
                last epoch at which the trial took the probe.

        Returns:
            The value by trial id, in the unit that the trainable yields. Empty while no trial
            has finished.

        Raises:
            ShowError: the trials have no such metric or probe.
        """
        if name not in self._measured:
            self._measured[name] = measure(self, name)
        return self._measured[name]

    def tables(self) -> Tables:
        """Lay out every table of the sweep.

        Raises:
            ShowError: the store lacks a metric or probe that is asked for.
        """
        from orchestrator.results.tables import tables_of

        return tables_of(self)

    def tidy(self) -> pd.DataFrame:
        """Describe every value in the sweep's tables, one row per cell and value.

        Returns:
            The columns of `orchestrator.results.tables.tidy`.

        Raises:
            ShowError: the store lacks a metric or probe that is asked for.
        """
        from orchestrator.results.tables import tidy

        return tidy(self, self.sweep.tables)

    def best(self, *values: str) -> pd.DataFrame:
        """Describe the selected config of every cell, one row per cell and value.

        Args:
            values: metrics, or ``probe:NAME``; by default the selection metric.

        Returns:
            The columns of `orchestrator.results.tables.tidy`.

        Raises:
            ShowError: the store has no such metric or probe.
        """
        from orchestrator.results.tables import tidy

        return tidy(self, [Table(name="best", values=values)])

    def claims(self) -> Findings:
        """Judge every claim of the sweep.

        Raises:
            ShowError: the store lacks a metric or probe that is asked for.
        """
        from orchestrator.results.claims import judge

        return judge(self, self.sweep.claims)

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
        from orchestrator.results.claims import judge

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
        if problems := check(self.sweep.model_copy(update={"claims": (claim,)})):
            raise InputError("; ".join(problem.text for problem in problems))
        (finding,) = judge(self, (claim,))
        return finding

    @cached_property
    def figures(self) -> Mapping[str, Figure]:
        """The sweep's figures by name; by default curves, and one figure per layer-wise probe."""
        from orchestrator.results.figures import default_figures

        return {figure.name: figure for figure in self.sweep.figures or default_figures(self)}

    def figure(self, name: str) -> Plot:
        """Compute what a figure shows; it draws itself in a notebook, and by its ``save``.

        Raises:
            InputError: there is no figure of that name.
            ShowError: the store lacks a metric or probe that the figure shows.
        """
        from orchestrator.results.figures import plot

        if name not in self.figures:
            raise InputError(unknown("figure", name, self.figures))
        return plot(self, self.figures[name])

    def report(self, file: str | Path | None = None) -> str:
        """Write one self-contained HTML page about the sweep, finished or not.

        Args:
            file: the sweep file that the page names; by default the store's own copy.

        Raises:
            ShowError: the store lacks a metric or probe that is asked for.
        """
        from orchestrator.results.report import render

        return render(self, file)

    def __repr__(self) -> str:
        return f"<Results of {self.sweep.name} in {self.store.files}: {self._progress()}>"

    def _repr_html_(self) -> str:
        return self.tables()._repr_html_()

    def _progress(self) -> str:
        missing = len(self.missing)
        total = counted(len(expand(self.sweep)), "trial")
        failed = int((self.trials["status"] == Status.FAILED).sum())
        return f"{total}, {missing:,} missing" + (f", {failed:,} failed" if failed else "")


def open_store(location: str | Path, *, seeds: Sequence[int] | None = None) -> Results:
    """Open a store to read it.

    Args:
        location: a sweep's folder, such as ``results/table1``, or its URI.
        seeds: seeds instead of those of the last run.

    Raises:
        StoreError: there is no store.
        InputError: the seeds are no distinct integers.
    """
    store = Store(str(location))
    sweep = stored_sweep(store)
    return Results(sweep if seeds is None else with_seeds(sweep, seeds), store)
