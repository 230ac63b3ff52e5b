"""The keys of a sweep file, their types and their defaults."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from orchestrator.spec.source import Source
from orchestrator.spec.values import (
    Amount,
    Axis,
    Gpus,
    Name,
    ParamName,
    ParamValue,
    Seeds,
    Value,
    canonical,
)

SMOKE_SUFFIX = "--smoke"
"""Ends the name of a smoke run's store, and of no sweep."""


class _Part(BaseModel):
    # Docstrings below fields are the descriptions of the keys in docs/sweep-file.md.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Select(_Part):
    """How the best config of a cell is chosen."""

    metric: str
    """The metric whose mean over the seeds is compared."""
    mode: Literal["max", "min"] = "max"
    """Whether the largest or the smallest mean is best."""
    at: Literal["last", "best"] = "last"
    """Whether a trial's value is that of its last epoch or of its best one."""


class Resources(_Part):
    """What one trial occupies."""

    cpu: Amount = 1.0
    """CPUs, of which a trial gets as many threads; a fraction lets trials share one."""
    gpu: Gpus = 0.0
    """GPUs: a whole number, or a fraction of one, which Ray counts but does not enforce."""


class ResourceChange(_Part):
    """The resources that a variant changes."""

    cpu: Amount | None = None
    """CPUs instead of the top-level ones."""
    gpu: Gpus | None = None
    """GPUs instead of the top-level ones."""


class Variant(_Part):
    """An exception for the cells that ``when`` matches."""

    when: Annotated[dict[str, ParamValue], Field(min_length=1)]
    """Factor values, each one value or a list of them."""
    seeds: Seeds | None = None
    """Seeds instead of the top-level ones."""
    search: dict[str, Axis] = {}
    """Values of search params instead of the top-level ones."""
    fixed: dict[str, ParamValue] = {}
    """Values of fixed params instead of the top-level ones."""
    resources: ResourceChange = ResourceChange()
    """Resources instead of the top-level ones."""


class Published(_Part):
    """Figures of a paper, to stand beside those of a table."""

    source: Annotated[str, Field(min_length=1)]
    """Where they are printed."""
    columns: Annotated[tuple[str, ...], Field(min_length=1)]
    """Factors, and values of the table."""
    rows: Annotated[tuple[tuple[ParamValue, ...], ...], Field(min_length=1)]
    """Per row one value per column; figures in the table's unit, null where there is none."""


class Table(_Part):
    """A table to print from the selected configs."""

    name: Name
    """Told above the table; no two tables share one."""
    rows: tuple[str, ...] = ()
    """Factors whose values label the rows; those that stand on neither side follow here."""
    columns: tuple[str, ...] = ()
    """Factors whose values label the columns."""
    values: tuple[str, ...] = ()
    """Metrics, or ``probe:NAME``; without any, the selection metric."""
    percent: bool | None = None
    """Whether to print fractions as percent; by default, metrics named ``…accuracy``."""
    precision: Annotated[int, Field(ge=0, le=12)] | None = None
    """Decimals to print; by default 2 in percent and 4 otherwise."""
    best: Literal["max", "min"] | None = None
    """Which side is bold in each row, or in each column of a table without columns."""
    published: Published | None = None
    """A paper's figures, to be listed beside ours with the difference."""


class Claim(_Part):
    """A statement about the factors that the store can support or refute."""

    name: Name
    """Told with the verdict; no two claims share one."""
    compare: Annotated[dict[str, tuple[ParamValue, ...]], Field(min_length=1, max_length=1)]
    """One factor and its values to compare; cells are matched on the other factors."""
    where: dict[str, ParamValue] = {}
    """Values of other factors, each one value or a list of them, to compare only there."""
    metric: str | None = None
    """What is compared: a metric of the selected configs. Either this or ``probe``."""
    probe: str | None = None
    """What is compared: a probe, as the mean over layers at the last epoch."""
    expect: Literal["greater", "less", "close", "increasing", "decreasing", "best"]
    """``greater``, ``less``, ``close``: the first of two values against the second.
    ``increasing``, ``decreasing``: over the list. ``best``: the first against each other."""
    margin: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """What counts as ``close``, in the unit that the trainable yields; only with it."""


class Figure(_Part):
    """A figure of the selected configs; what varies among its cells makes its series."""

    name: Name
    """Names the files; no two figures share one."""
    kind: Literal["curves", "layers", "relation", "bars", "histogram"]
    """``curves``: metrics by epoch. ``layers``: probes by layer. ``relation`` and ``bars``:
    values by ``x``. ``histogram``: a probe's values by bin, a panel per layer and channel."""
    values: Annotated[tuple[str, ...], Field(min_length=1)]
    """Metrics, or ``probe:NAME``; a row of panels each."""
    x: str | None = None
    """A factor; or, for ``relation``, a value, which gives a point per seed."""
    panels: str | None = None
    """A factor with a panel for each of its values."""
    where: dict[str, ParamValue] = {}
    """Factor values of the cells to show, each one value or a list of them."""
    layers: tuple[str, ...] = ()
    """The layers of a ``histogram``; by default all."""
    units: tuple[int, ...] = ()
    """The channels of a ``histogram``; by default all."""
    title: str = ""
    """What stands above the figure; by default the names of sweep and figure."""
    labels: dict[str, str] = {}
    """What to write for a value of ``values``, for ``x``, or for a factor's value."""


class Sweep(_Part):
    """Everything that is to be run and reported."""

    _smoke: bool = PrivateAttr(default=False)
    _source: Source | None = PrivateAttr(default=None)

    name: Name
    """Names the store's folder: small letters, digits, ``_`` and ``-``, 64 at most."""
    description: str = ""
    """A line for people."""
    trainable: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
    """What runs a trial, as ``module:generator``; importable from the working folder."""
    seeds: Seeds
    """Replicates of every config, never a hyperparameter."""
    factors: Annotated[dict[ParamName, Axis], Field(min_length=1)]
    """The axes of the table, with their values; one combination is a cell."""
    search: dict[ParamName, Axis] = {}
    """Params that are optimised inside every cell, with the values to try."""
    fixed: dict[ParamName, ParamValue] = {}
    """Params with one value; only a variant may change it."""
    variants: tuple[Variant, ...] = ()
    """Exceptions for some cells; of several that match, later ones win."""
    exclude: tuple[dict[str, ParamValue], ...] = ()
    """What is left out: entries of factor and search values, each one value or a list."""
    select: Select
    """How the best config of a cell is chosen."""
    resources: Resources = Resources()
    """What one trial occupies."""
    retries: Annotated[int, Field(ge=0)] = 2
    """How often a trial that fails is tried again, from its last checkpoint."""
    checkpoint_every: Annotated[int, Field(ge=1)] = 1
    """Every how many epochs a checkpoint is wanted."""
    tables: tuple[Table, ...] = ()
    """Tables to print; by default one of all factors and the selection metric."""
    claims: tuple[Claim, ...] = ()
    """Statements that the store can support or refute."""
    figures: tuple[Figure, ...] = ()
    """Figures to draw; by default learning curves and one figure per layer-wise probe."""

    @property
    def axes(self) -> dict[str, tuple[Value, ...]]:
        """Every factor and search param with all the values it takes, variants included."""
        axes = {**self.factors, **self.search}
        for variant in self.variants:
            for name, values in variant.search.items():
                known = {canonical(value) for value in axes[name]}
                axes[name] += tuple(value for value in values if canonical(value) not in known)
        return axes

    def values_of(self, table: Table) -> tuple[str, ...]:
        """Name what a table shows: its values, or else the selection metric."""
        return table.values or (self.select.metric,)

    @property
    def module(self) -> str:
        """The module that holds the trainable."""
        return self.trainable.partition(":")[0]

    def __eq__(self, other: object) -> bool:
        """Compare what is to run and reported, whatever text it was read from."""
        return (
            isinstance(other, Sweep) and self._smoke == other._smoke and dict(self) == dict(other)
        )

    @property
    def source(self) -> Source | None:
        """The file that it was read from; None for a sweep that was made in Python."""
        return self._source

    def with_source(self, source: Source) -> Sweep:
        """Say where it was read from."""
        read = self.model_copy()
        read._source = source
        return read

    def with_seeds(self, seeds: tuple[int, ...]) -> Sweep:
        """Replace the top-level seeds."""
        return self.model_copy(update={"seeds": seeds})

    @property
    def smoke(self) -> bool:
        """Whether one short trial of each cell stands for all of them."""
        return self._smoke

    def as_smoke(self) -> Sweep:
        """Make the sweep that tries one config and seed of every cell for two batches."""
        tried = self.model_copy(update={"name": f"{self.name}{SMOKE_SUFFIX}", "retries": 0})
        tried._smoke = True
        return tried
