"""The keys of a sweep file, their types and their defaults."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, model_validator

from orchestrator.spec.axes import (
    Axis,
    AxisKey,
    Points,
    Searched,
    axis_of,
    names_of,
    values_by_name,
)
from orchestrator.spec.claim import Claim
from orchestrator.spec.exclusions import Exclusions
from orchestrator.spec.identity import Runs
from orchestrator.spec.part import Part
from orchestrator.spec.ranges import MOST_SAMPLES, Range, points
from orchestrator.spec.shown import Figure, Table
from orchestrator.spec.source import Source
from orchestrator.spec.values import (
    FIRST_CONFIRM_SEED,
    Amount,
    ConfirmSeeds,
    Duration,
    Gpus,
    Name,
    ParamName,
    ParamValue,
    Seeds,
    Value,
    Word,
    flat_params,
)

SMOKE_SUFFIX = "--smoke"
"""Suffix of the names of smoke runs' stores; no sweep has it."""


class Select(Part):
    """How the best config of a cell is chosen."""

    metric: str
    """The metric whose mean over the seeds is compared."""
    mode: Literal["max", "min"] = "max"
    """Whether the largest or the smallest mean is best; required unless the metric's name says it,
    as that of an accuracy, a score or a reward does."""
    at: Literal["last", "best"] = "last"
    """Whether a trial's value is its last one that is not null, or its best finite one."""


class Resources(Part):
    """What one trial occupies."""

    cpu: Amount = 1.0
    """CPUs, and so threads, per trial; a fraction lets trials share one CPU."""
    gpu: Gpus = 0.0
    """GPUs: a whole number, or a fraction of one, which Ray counts but does not enforce."""


class ResourceChange(Part):
    """The resources that a variant changes."""

    cpu: Amount | None = None
    """CPUs instead of the top-level ones."""
    gpu: Gpus | None = None
    """GPUs instead of the top-level ones."""


class Metrics(Part):
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


class Race(Part):
    """How configs that are behind are dropped, in every cell by the same rule."""

    keep: Annotated[float, Field(gt=0, lt=1)]
    """The share of a cell's configs that goes on after each of the ``seeds``: those with the best
    means so far."""
    at_least: Annotated[int, Field(ge=1)] = 2
    """How many configs go on at least."""


class Decide(Part):
    """How confirm seeds are added until the claims have verdicts."""

    at_most: Annotated[int, Field(ge=2, lt=FIRST_CONFIRM_SEED)] = 20
    """How many confirm seeds a cell gets in all, those of ``confirm`` included."""


class Variant(Part):
    """An exception for the cells that ``when`` matches."""

    when: Annotated[dict[str, ParamValue], Field(min_length=1)]
    """Values of factors and search params, each one value or a list of them. An exception for
    values of search params changes ``search`` and ``resources`` only."""
    seeds: Seeds | None = None
    """Seeds instead of the top-level ones."""
    confirm: ConfirmSeeds | None = None
    """Confirm seeds instead of the top-level ones; 0 for none."""
    search: dict[AxisKey, Searched] = {}
    """Values of search params instead of the top-level ones, or of further search params, which are
    null elsewhere."""
    fixed: Annotated[dict[str, ParamValue], BeforeValidator(flat_params)] = {}
    """Values of fixed params instead of the top-level ones."""
    resources: ResourceChange = ResourceChange()
    """Resources instead of the top-level ones."""


class Sweep(Part):
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
    factor_axes: Annotated[dict[AxisKey, Points], Field(alias="factors")] = {}
    """The axes of the table, with their values; one combination is a cell. Params whose values go
    together are one axis, ``"optimizer, momentum": [[sgd, 0.9], [adam, null]]``."""
    search_axes: Annotated[dict[AxisKey, Searched], Field(alias="search")] = {}
    """Params that are tuned within every cell, with the values to try: a list, or with ``samples``
    a range (``uniform``, ``loguniform`` or ``integers``, with the smallest and largest value)."""
    samples: Annotated[int, Field(ge=1, le=MOST_SAMPLES)] | None = None
    """How many points to take from the ranges in ``search``, the same ones in every cell."""
    fixed: Annotated[dict[ParamName, ParamValue], BeforeValidator(flat_params)] = {}
    """Params with one value; only a variant may change it. A mapping is the same as names with
    dots: ``optim: {lr: 0.1}`` as ``optim.lr: 0.1``."""
    added: Annotated[dict[ParamName, ParamValue], BeforeValidator(flat_params)] = {}
    """Params that came later, each with the value that trials had before: at it they stay done."""
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
    timeout: Duration | None = None
    """How long one attempt at a trial may take, such as ``90s``, ``15m`` or ``2h``; then it has
    failed. By default as long as it takes."""
    artifacts: Literal["none", "winners", "all"] = "none"
    """Which trials' ``trial.folder/keep`` the store retains: that of ``winners``, the trials that
    tables report, or ``all``; by default none."""
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

    @cached_property
    def factor_grid(self) -> tuple[Axis, ...]:
        """The axes of the factors, in file order."""
        return tuple(axis_of(key, values) for key, values in self.factor_axes.items())

    @cached_property
    def factors(self) -> Mapping[str, tuple[Value, ...]]:
        """The factors, with the values that each takes."""
        return values_by_name(self.factor_grid)

    @cached_property
    def search(self) -> Mapping[str, tuple[Value, ...]]:
        """The search params, with the values that each takes in some cell."""
        sections = [self.search_axes, *(variant.search for variant in self.variants)]
        found = values_by_name([axis for each in sections for axis in self.search_grid(each)])
        own = {name for key in self.search_axes for name in names_of(key)}
        return {name: values if name in own else (None, *values) for name, values in found.items()}

    def search_grid(self, section: Mapping[str, tuple[Value, ...] | Range]) -> list[Axis]:
        """List the axes that a section makes: lists as they stand, and one of all ranges."""
        ranges = {key: value for key, value in section.items() if isinstance(value, Range)}
        axes = []
        for key, value in section.items():
            if not isinstance(value, Range):
                axes.append(axis_of(key, value))
            elif key == next(iter(ranges)):
                dimensions = tuple(self._dimensions[name] for name in ranges)
                rows = points(tuple(ranges.values()), dimensions, self.samples or 1)
                axes.append(Axis(tuple(ranges), rows))
        return axes

    @cached_property
    def _dimensions(self) -> Mapping[str, int]:
        """Which dimension of the points each param with a range has, in file order."""
        sections = [self.search_axes, *(variant.search for variant in self.variants)]
        named = [n for each in sections for n, value in each.items() if isinstance(value, Range)]
        return {name: index for index, name in enumerate(dict.fromkeys(named))}

    @cached_property
    def exclusions(self) -> Exclusions:
        """What it excludes, to be asked for each of many cells."""
        return Exclusions(self.exclude)

    @property
    def axes(self) -> dict[str, tuple[Value, ...]]:
        """Every factor and search param with all the values that it takes."""
        return {**self.factors, **self.search}

    def paired_with(self, names: Collection[str]) -> set[str]:
        """List the factors that share an axis with some of these, these aside."""
        axes = (axis.names for axis in self.factor_grid if not set(axis.names).isdisjoint(names))
        return {name for axis in axes for name in axis} - set(names)

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
            isinstance(other, Sweep)
            and self._smoke == other._smoke
            and all(getattr(self, key) == getattr(other, key) for key in type(self).model_fields)
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
        name = f"{self.name}{SMOKE_SUFFIX}"
        off = {"retries": 0, "race": None, "decide": None, "artifacts": "none"}
        smoke = self.model_copy(update={"name": name, **off})
        smoke._smoke = True
        return smoke
