"""The keys of a sweep file, their types and their defaults."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from orchestrator.spec.claim import Claim
from orchestrator.spec.identity import Runs
from orchestrator.spec.source import Source
from orchestrator.spec.values import (
    FIRST_CONFIRM_SEED,
    Amount,
    Axis,
    ConfirmSeeds,
    Gpus,
    Name,
    ParamName,
    ParamValue,
    Seeds,
    Value,
    Word,
    by_value,
)

SMOKE_SUFFIX = "--smoke"
"""Suffix of the names of smoke runs' stores; no sweep has it."""


class _Part(BaseModel):
    # Docstrings below fields are the descriptions of the keys in docs/sweep-file.md.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Select(_Part):
    """How the best config of a cell is chosen."""

    metric: str
    """The metric whose mean over the seeds is compared."""
    mode: Literal["max", "min"] = "max"
    """Whether the largest or the smallest mean is best; required unless the metric's name says it,
    as that of an accuracy, a score or a reward does."""
    at: Literal["last", "best"] = "last"
    """Whether a trial's value is its last one that is not null, or its best finite one."""


class Resources(_Part):
    """What one trial occupies."""

    cpu: Amount = 1.0
    """CPUs, and so threads, per trial; a fraction lets trials share one CPU."""
    gpu: Gpus = 0.0
    """GPUs: a whole number, or a fraction of one, which Ray counts but does not enforce."""


class ResourceChange(_Part):
    """The resources that a variant changes."""

    cpu: Amount | None = None
    """CPUs instead of the top-level ones."""
    gpu: Gpus | None = None
    """GPUs instead of the top-level ones."""


class Metrics(_Part):
    """Where the metrics of a command's trials come from."""

    lines: Annotated[Literal["stdout"] | None, Field(alias="json")] = None
    """``stdout``: each line of the standard output that holds a JSON object is an epoch."""
    regex: str | None = None
    """Each match in the output is an epoch; its named groups, as ``(?P<accuracy>…)``, are the
    metrics."""
    csv: Word | None = None
    """The path of a CSV file with a header, which may hold placeholders; each row is an epoch."""
    tensorboard: Word | None = None
    """The path of a folder of event files, which may hold placeholders; each step is an epoch."""
    step: Word | None = None
    """The name of the program's own counter; by default ``step``, else ``epoch``."""


class Race(_Part):
    """How configs that are behind are dropped, in every cell by the same rule."""

    keep: Annotated[float, Field(gt=0, lt=1)]
    """The share of a cell's configs that goes on after each of the ``seeds``: those with the best
    means so far."""
    at_least: Annotated[int, Field(ge=1)] = 2
    """How many configs go on at least."""


class Decide(_Part):
    """How confirm seeds are added until the claims have verdicts."""

    at_most: Annotated[int, Field(ge=2, lt=FIRST_CONFIRM_SEED)] = 20
    """How many confirm seeds a cell gets in all, those of ``confirm`` included."""


class Variant(_Part):
    """An exception for the cells that ``when`` matches."""

    when: Annotated[dict[str, ParamValue], Field(min_length=1)]
    """Factor values, each one value or a list of them."""
    seeds: Seeds | None = None
    """Seeds instead of the top-level ones."""
    confirm: ConfirmSeeds | None = None
    """Confirm seeds instead of the top-level ones; 0 for none."""
    search: dict[str, Axis] = {}
    """Values of search params instead of the top-level ones."""
    fixed: dict[str, ParamValue] = {}
    """Values of fixed params instead of the top-level ones."""
    resources: ResourceChange = ResourceChange()
    """Resources instead of the top-level ones."""


class Published(_Part):
    """Numbers from a paper, printed beside those of a table."""

    source: Annotated[str, Field(min_length=1)]
    """The publication, and where in it the numbers are."""
    columns: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names of factors and of values of the table."""
    rows: Annotated[tuple[tuple[ParamValue, ...], ...], Field(min_length=1)]
    """One value per column in each row; numbers in the table's unit, null where there is none."""


class Table(_Part):
    """A table to print from the selected configs."""

    name: Name
    """Printed above the table; each table has its own."""
    rows: tuple[str, ...] = ()
    """Factors whose values label the rows; factors on neither side are added here."""
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
    """Numbers from a paper, listed beside ours with the difference."""


class Figure(_Part):
    """A figure of the selected configs; factors that vary among its cells make its series."""

    name: Name
    """Names the files; each figure has its own."""
    kind: Literal["curves", "layers", "relation", "bars", "histogram"]
    """``curves``: metrics by epoch. ``layers``: probes by layer. ``relation`` and ``bars``:
    values by ``x``. ``histogram``: a probe's values by bin, a panel per layer and channel."""
    values: Annotated[tuple[str, ...], Field(min_length=1)]
    """Metrics, or ``probe:NAME``; one row of panels each."""
    x: str | None = None
    """A factor; or, for ``relation``, a metric or ``probe:NAME``, which gives a point per seed."""
    panels: str | None = None
    """A factor; each of its values gets a panel."""
    where: dict[str, ParamValue] = {}
    """Factor values of the cells to show, each one value or a list of them."""
    layers: tuple[str, ...] = ()
    """The layers of a ``histogram``; by default all."""
    units: tuple[int, ...] = ()
    """The channels of a ``histogram``; by default all."""
    title: str = ""
    """The title above the figure; by default the names of sweep and figure."""
    labels: dict[str, str] = {}
    """Text to print for an entry of ``values``, for ``x``, or for a factor's value."""


class Sweep(_Part):
    """A sweep file: everything to run and to report."""

    _smoke: bool = PrivateAttr(default=False)
    _source: Source | None = PrivateAttr(default=None)

    name: Name
    """Names the store's folder: small letters, digits, ``_`` and ``-``, 64 at most."""
    description: str = ""
    """A line of free text."""
    trainable: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")] | None = None
    """What runs a trial, as ``module:generator``, importable from the working folder. Either this
    or ``command``."""
    command: Annotated[tuple[Word, ...], Field(min_length=1)] | None = None
    """The words of a program that runs a trial in the working folder; they hold placeholders, such
    as ``"--lr={lr}"``."""
    metrics: Metrics | None = None
    """Where the metrics of a command's trials come from."""
    code: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Files that count as code besides what is imported, as globs from the working folder; ``**``
    stands for any folders."""
    seeds: Seeds
    """Replicates of every config, never a hyperparameter."""
    factors: Annotated[dict[ParamName, Axis], Field(min_length=1)]
    """The axes of the table, with their values; one combination is a cell."""
    search: dict[ParamName, Axis] = {}
    """Params that are tuned within every cell, with the values to try."""
    fixed: dict[ParamName, ParamValue] = {}
    """Params with one value; only a variant may change it."""
    race: Race | None = None
    """How configs that are behind are dropped between two seeds; by default none is."""
    confirm: ConfirmSeeds = ()
    """Seeds that only the selected config of each cell runs, and that tables and claims report
    alone: a list, or how many (1000, 1001, …); with ``decide`` how many, 2 by default."""
    decide: Decide | None = None
    """How confirm seeds are added, one after another, to the cells of claims that have no verdict;
    by default none is."""
    variants: tuple[Variant, ...] = ()
    """Exceptions for some cells; where several match, later ones win."""
    exclude: tuple[dict[str, ParamValue], ...] = ()
    """Combinations to leave out: factors and search params, each with one value or a list."""
    select: Select
    """How the best config of a cell is chosen."""
    diverged_on: tuple[str, ...] = ()
    """Metrics that end a trial as ``diverged`` when they are not finite, as the selection metric
    does."""
    resources: Resources = Resources()
    """What one trial occupies."""
    retries: Annotated[int, Field(ge=0)] = 2
    """How often a failed trial is retried, from its last checkpoint."""
    checkpoint_every: Annotated[int, Field(ge=1)] = 1
    """Epochs from one checkpoint to the next."""
    tables: tuple[Table, ...] = ()
    """Tables to print; by default one of all factors and the selection metric."""
    claims: tuple[Claim, ...] = ()
    """Statements that the store can support or refute."""
    figures: tuple[Figure, ...] = ()
    """Figures to draw; by default learning curves and one figure per layer-wise probe."""

    @model_validator(mode="before")
    @classmethod
    def _confirm_to_decide(cls, keys: Any) -> Any:
        """Confirm on two seeds, the fewest for a verdict, where ``decide`` is set alone."""
        if isinstance(keys, dict) and keys.get("decide") is not None and "confirm" not in keys:
            return {**keys, "confirm": 2}
        return keys

    @property
    def axes(self) -> dict[str, tuple[Value, ...]]:
        """Every factor and search param with all the values it takes, variants included."""
        axes = {**self.factors, **self.search}
        for variant in self.variants:
            for name, values in variant.search.items():
                on_axis = {by_value(value) for value in axes[name]}
                axes[name] += tuple(value for value in values if by_value(value) not in on_axis)
        return axes

    @property
    def params(self) -> tuple[str, ...]:
        """The names of what a trial is given: factors, search and fixed params, and the seed."""
        return (*self.factors, *self.search, *self.fixed, "seed")

    @property
    def watched(self) -> frozenset[str]:
        """The metrics that end a trial as diverged when they are not finite."""
        return frozenset({self.select.metric, *self.diverged_on})

    def values_of(self, table: Table) -> tuple[str, ...]:
        """List what a table shows: its values, or else the selection metric."""
        return table.values or (self.select.metric,)

    @property
    def runs(self) -> Runs:
        """What runs a trial, as ids have it: the trainable, or the command and its metrics."""
        if self.trainable is not None:
            return self.trainable
        runs: dict[str, Any] = {"command": self.command}
        if self.metrics is not None:
            runs["metrics"] = self.metrics.model_dump(by_alias=True, exclude_none=True)
        return runs

    @property
    def module(self) -> str:
        """The module that holds the trainable; empty for a command."""
        return (self.trainable or "").partition(":")[0]

    def __eq__(self, other: object) -> bool:
        """Compare what to run and to report, whatever text the sweeps were read from."""
        return (
            isinstance(other, Sweep) and self._smoke == other._smoke and dict(self) == dict(other)
        )

    @property
    def source(self) -> Source | None:
        """The file that it was read from; None for a sweep made in Python."""
        return self._source

    def with_source(self, source: Source) -> Sweep:
        """Attach the file that it was read from."""
        copy = self.model_copy()
        copy._source = source
        return copy

    def with_seeds(self, seeds: tuple[int, ...]) -> Sweep:
        """Replace the top-level seeds."""
        return self.model_copy(update={"seeds": seeds})

    @property
    def smoke(self) -> bool:
        """Whether it runs one short trial per cell."""
        return self._smoke

    def as_smoke(self) -> Sweep:
        """Make the smoke run: one config and seed of every cell, for two batches."""
        changes = {"name": f"{self.name}{SMOKE_SUFFIX}", "retries": 0, "race": None, "decide": None}
        smoke = self.model_copy(update=changes)
        smoke._smoke = True
        return smoke
