"""`Results`, the one object to read a sweep's results with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.columns import FINISHED, Status
from orchestrator.errors import InputError, ShowError, unknown
from orchestrator.labels import PROBE, counted, quoted
from orchestrator.results.cost import spent
from orchestrator.results.marks import Ends, Marks, cell_marks, ends_of
from orchestrator.results.measures import measure
from orchestrator.results.observed import observe
from orchestrator.results.origins import Origins
from orchestrator.results.replicas import equal_to_the_bit, lost_trials
from orchestrator.results.selection import CellSelection, select
from orchestrator.results.wanted import Wanted, wanted
from orchestrator.spec import PlannedTrial, Sweep, with_seeds
from orchestrator.spec.checks import check
from orchestrator.spec.claim import Claim
from orchestrator.spec.shown import Figure, Table
from orchestrator.spec.source import of_mapping
from orchestrator.spec.values import Value
from orchestrator.store import Snapshot, Store
from orchestrator.store.cost import Cost
from orchestrator.store.stored_sweep import stored_sweep

# Each method imports what it computes with: scipy, matplotlib and Vega take a second to load.
if TYPE_CHECKING:
    import pandas as pd

    from orchestrator.results.claims.judge import Finding, Findings
    from orchestrator.results.effects import Effects
    from orchestrator.results.figures import Plot
    from orchestrator.results.tables import Tables


class Results:
    """The results of a sweep, which may be unfinished or still running.

    Everything is read from the store once and kept; open the store again to see a later state.

    Attributes:
        sweep: the sweep.
        store: its store.
        snapshot: what it holds; by default, as of the first question.
    """

    def __init__(self, sweep: Sweep, store: Store, snapshot: Snapshot | None = None) -> None:
        self.sweep = sweep
        self.store = store
        self.snapshot = snapshot or store.snapshot()
        self._measured: dict[tuple[str, str, int | None], Mapping[str, float]] = {}
        self._probes: dict[str, pd.DataFrame] = {}

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per trial that has ended or has a checkpoint."""
        return self.snapshot.trials(self.sweep.select)

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """One row per epoch of these trials."""
        return self.snapshot.epochs()

    def probes(self, name: str) -> pd.DataFrame:
        """Read one probe: a row per trial, epoch and layer, and per unit and bin if it has them.

        Raises:
            ShowError: the store has no such probe.
        """
        if name not in self._probes:
            rows = self.snapshot.probes(name)
            if rows.empty:
                names = quoted(self.snapshot.probe_names())
                raise ShowError(f"the store has no probe `{name}`; it has {names}")
            self._probes[name] = rows
        return self._probes[name]

    @cached_property
    def selections(self) -> list[CellSelection]:
        """The selection in each cell, in file order.

        Raises:
            ShowError: the store lacks the selection metric.
        """
        return select(self.sweep, self.trials)

    @cached_property
    def ends(self) -> Ends:
        """How the finished trials ended, by trial id."""
        return ends_of(self.trials)

    @cached_property
    def origins(self) -> Origins:
        """Compares what trials ran."""
        return Origins(self.store.archives)

    def marks(self, selection: CellSelection) -> Marks:
        """Tell what marks the numbers of a cell: how its trials ended, and what they ran."""
        return cell_marks(selection, self.ends, self.origins)

    @cached_property
    def equal_to_the_bit(self) -> list[str]:
        """Seeds, and values of a param, that make no difference in any epoch, in sentences."""
        layout = self.snapshot.layout
        lost = lost_trials(self.snapshot.rows, layout.metrics if layout else ())
        return equal_to_the_bit(self.sweep, self.trials, lost)

    @cached_property
    def artifacts(self) -> Mapping[str, int]:
        """The bytes of each artifact that the store retains, by trial id."""
        return self.store.artifacts.sizes()

    @cached_property
    def cost(self) -> Cost:
        """What the sweep has cost so far, in CPU- and GPU-hours, failed attempts included."""
        return spent(self)

    @cached_property
    def wanted(self) -> Wanted:
        """The trials that the sweep asks for now, and how many it will have asked for."""
        return wanted(self.sweep, observe(self))

    @cached_property
    def missing(self) -> list[PlannedTrial]:
        """The trials that the sweep asks for and that are not finished, failed ones included."""
        finished = set(self.trials["trial_id"][self.trials["status"].isin(FINISHED)])
        return [trial for trial in self.wanted.trials if trial.trial_id not in finished]

    @property
    def failed(self) -> list[PlannedTrial]:
        """The trials of the sweep that failed for good."""
        failed = set(self.trials["trial_id"][self.trials["status"] == Status.FAILED])
        return [trial for trial in self.missing if trial.trial_id in failed]

    def measure(
        self, name: str, layers: str = "mean", epoch: int | None = None
    ) -> Mapping[str, float]:
        """Look up the value of a metric or probe for each trial.

        Args:
            name: a metric, at the last epoch (the selection metric: at the epoch that
                ``select.at`` names); or ``probe:NAME``, at the last epoch at which the trial
                took the probe.
            layers: of a probe, ``mean`` or ``max`` over its layers, or the name of one.
            epoch: the epoch whose values to take, instead of the last.

        Returns:
            Values by trial id, in the unit that the trainable yields; empty until a trial has
            finished.

        Raises:
            ShowError: the trials have no such metric, probe, layer or epoch.
        """
        key = (name, layers, epoch)
        if key not in self._measured:
            self._measured[key] = measure(self, *key)
        return self._measured[key]

    def tables(self) -> Tables:
        """Lay out every table of the sweep.

        Raises:
            ShowError: the store lacks a metric or probe that a table shows.
        """
        from orchestrator.results.tables import tables_of

        return tables_of(self)

    def tidy(self) -> pd.DataFrame:
        """List the values of the sweep's tables, one row per cell and value.

        Returns:
            The columns of `orchestrator.results.tables.tidy`.

        Raises:
            ShowError: the store lacks a metric or probe that a table shows.
        """
        from orchestrator.results.tables import tidy

        return tidy(self, self.sweep.tables)

    def best(self, *values: str) -> pd.DataFrame:
        """List the selected config of every cell, one row per cell and value.

        Args:
            values: metrics, or ``probe:NAME``; by default the selection metric.

        Returns:
            The columns of `orchestrator.results.tables.tidy`, and ``artifacts``: of each trial
            whose numbers these are, in the order of their seeds, the path (or URI) of the folder
            that the store retains, or None without one.

        Raises:
            ShowError: the store has no such metric or probe.
        """
        from orchestrator.results.tables import tidy

        found, there = tidy(self, [Table(name="best", values=values)]), self.artifacts
        places = {
            selection.best.config.config_id: tuple(
                self.store.artifacts.place(i) if i in there else None
                for i in selection.reported_ids
            )
            for selection in self.selections
            if selection.best is not None
        }
        found["artifacts"] = [places.get(config_id, ()) for config_id in found["config_id"]]
        return found

    def claims(self, smallest: float | None = None) -> Findings:
        """Test every claim of the sweep.

        Args:
            smallest: the smallest difference that would matter, in the unit that the trainable
                yields, for claims of differences that do not state it. An undecided claim then says
                how many seeds find it, and one whose effect is surely smaller is ``negligible``.

        Raises:
            InputError: ``smallest`` is not a finite number above 0.
            ShowError: the store lacks a metric, probe, layer or epoch that a claim is about.
        """
        from orchestrator.results.claims.judge import judge

        return judge(self, self.sweep.claims, smallest)

    def compare(
        self,
        factor: str,
        first: Value,
        second: Value,
        value: str | None = None,
        where: Mapping[str, Value] | None = None,
    ) -> Finding:
        """Compare two values of a factor, by a claim that the first gives greater results.

        Args:
            factor: the factor's name.
            first: one of its values.
            second: the value to compare it with.
            value: a metric, or ``probe:NAME``; by default the selection metric.
            where: the cells to compare in, by values (or tuples of values) of other factors.

        Raises:
            InputError: there is no such factor or value.
            ShowError: the store has no such metric or probe.
        """
        from orchestrator.results.claims.judge import judge

        value = value or self.sweep.select.metric
        is_probe = value.startswith(PROBE)
        # As a file has them: numpy's numbers, which pandas hands out, are plain ones there.
        given = of_mapping({"compare": {factor: (first, second)}, "where": where or {}}).data
        claim = Claim(
            **given,
            name="compare",
            metric=None if is_probe else value,
            probe=value.removeprefix(PROBE) if is_probe else None,
            expect="greater",
        )
        alone = self.sweep.model_copy(update={"claims": (claim,), "decide": None})
        if problems := check(alone):
            raise InputError("; ".join(problem.text for problem in problems))
        of_no_file = alone.model_copy(update={"claims": ()})  # whose claims were edited
        (finding,) = judge(Results(of_no_file, self.store, self.snapshot), (claim,))
        return finding

    def effects(self, metric: str | None = None) -> Effects:
        """Decompose the variance between trials into effects of params, seed and interactions.

        It covers every config, not only the selected ones, in the balanced part of the grid.

        Args:
            metric: a metric, or ``probe:NAME``; by default the selection metric.

        Raises:
            ShowError: the store has no such metric or probe, too few trials, or no variance.
        """
        from orchestrator.results.decomposition import effects_of

        return effects_of(self, metric or self.sweep.select.metric)

    @cached_property
    def figures(self) -> Mapping[str, Figure]:
        """The sweep's figures by name; by default curves, and one figure per layer-wise probe."""
        from orchestrator.results.figures import default_figures

        return {figure.name: figure for figure in self.sweep.figures or default_figures(self)}

    def figure(self, name: str) -> Plot:
        """Compute a figure, which a notebook displays and its ``save`` writes to files.

        Raises:
            InputError: there is no figure of that name.
            ShowError: the store lacks a metric or probe that the figure shows.
        """
        from orchestrator.results.figures import plot

        if name not in self.figures:
            raise InputError(unknown("figure", name, self.figures))
        return plot(self, self.figures[name])

    def report(self, file: str | Path | None = None) -> str:
        """Render the report, one self-contained HTML page; the sweep may be unfinished.

        Args:
            file: the sweep file that the page names; by default the store's own copy.

        Raises:
            ShowError: the store lacks a metric or probe that the report shows.
            SpecError: the sweep file is missing or not text.
        """
        from orchestrator.results.report import render

        return render(self, file)

    def __repr__(self) -> str:
        return f"<Results of {self.sweep.name} in {self.store.files}: {self._progress()}>"

    def _repr_html_(self) -> str:
        return self.tables()._repr_html_()

    def _progress(self) -> str:
        missing = len(self.missing) + self.wanted.in_all - len(self.wanted.trials)
        total = counted(self.wanted.in_all, "trial")
        failed = len(self.failed)
        return f"{total}, {missing:,} missing" + (f", {failed:,} failed" if failed else "")


def open_store(location: str | Path, *, seeds: Sequence[int] | None = None) -> Results:
    """Open the store of a sweep to read its results.

    Args:
        location: the store's folder, such as ``results/table1``, or its URI.
        seeds: the seeds to read, instead of those of the last run.

    Raises:
        StoreError: there is no store at this location.
        InputError: the seeds are not distinct integers.
    """
    store = Store(str(location))
    sweep = stored_sweep(store)
    return Results(sweep if seeds is None else with_seeds(sweep, seeds), store)
