"""What a sweep file may hold: its keys, their types and their defaults."""

from __future__ import annotations

import json
import math
import re
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
)

Value: TypeAlias = Any
"""A param's value: an integer, number, boolean, string, null, or a tuple of these."""

STORE_COLUMNS = frozenset(
    {
        "trial_id",
        "config_id",
        "cell_id",
        "seed",
        "status",
        "error",
        "attempts",
        "epochs_run",
        "seconds",
        "threads",
        "started_at",
        "ended_at",
        "host",
        "device",
        "code_digest",
        "versions",
        "params",
        "reused_from",
        "epoch",
        "probe",
        "layer",
        "layer_index",
        "unit",
        "at",
        "value",
    }
)
TABLE_COLUMNS = frozenset(
    {"metric", "mean", "std", "n", "ci_low", "ci_high", "complete", "selected_on"}
)
"""Columns of the tidy tables, in which the factors and search params stand as well."""

SMOKE_SUFFIX = "--smoke"
"""Ends the name of a smoke run's store, and of no sweep."""

RESERVED = STORE_COLUMNS | TABLE_COLUMNS

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def canonical(value: Value) -> str:
    """Write a value so that equal values give equal text, and 1 and 1.0 are equal."""
    return _CANONICAL.encode(_plain_number(value))


def _plain_number(value: Value) -> Value:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _plain_number(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_number(item) for item in value]
    return value


def _param_value(value: Value) -> Value:
    if isinstance(value, dict):
        raise ValueError("expected a number, string, boolean, null or a list of these")
    if isinstance(value, tuple):
        return tuple(_param_value(item) for item in value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("expected a finite number")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("expected an integer of at most 64 bits")
    return value


def _param_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError("expected a param's name: letters, digits and _")
    if name in RESERVED or name.startswith("best_"):
        hint = "; replicates go under the top-level `seeds`" if name == "seed" else ""
        raise ValueError(f"`{name}` is reserved for a column of the store or of its tables{hint}")
    return name


def _axis(value: Value) -> tuple[Value, ...]:
    if not isinstance(value, tuple):
        raise ValueError(f"expected a list of values, such as [{_shown(value)}]")
    if not value:
        raise ValueError("an empty axis; expected at least one value")
    for item in value:
        _param_value(item)
    return _distinct(value)


def _distinct(values: tuple[Value, ...]) -> tuple[Value, ...]:
    seen: set[str] = set()
    for value in values:
        if canonical(value) in seen:
            raise ValueError(f"the value {_shown(value)} stands twice")
        seen.add(canonical(value))
    return values


def _shown(value: Value) -> str:
    return json.dumps(value)


def check_seeds(seeds: tuple[int, ...]) -> tuple[int, ...]:
    """Return the seeds if they are distinct and fit 64 bits; raise ValueError otherwise."""
    if not seeds:
        raise ValueError("expected at least one seed")
    if any(not 0 <= seed < 2**63 for seed in seeds):
        raise ValueError("expected seeds from 0 to 2^63 - 1")
    return _distinct(seeds)


def _gpu(gpus: float) -> float:
    if gpus > 1 and not gpus.is_integer():
        raise ValueError("expected a fraction below 1 or a whole number of GPUs")
    return gpus


ParamName = Annotated[str, AfterValidator(_param_name)]
ParamValue = Annotated[Value, PlainValidator(_param_value)]
Axis = Annotated[tuple[Value, ...], PlainValidator(_axis)]
Seeds = Annotated[tuple[int, ...], AfterValidator(check_seeds)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Gpus = Annotated[Amount, AfterValidator(_gpu)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


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

    smoke: ClassVar[bool] = False
    """Whether one short trial of each cell stands for all of them."""

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

    @property
    def module(self) -> str:
        """The module that holds the trainable."""
        return self.trainable.partition(":")[0]

    def with_seeds(self, seeds: tuple[int, ...]) -> Sweep:
        """Replace the top-level seeds."""
        return self.model_copy(update={"seeds": seeds})

    def as_smoke(self) -> Sweep:
        """Make the sweep that tries one config and seed of every cell for two batches."""
        changed = {"name": f"{self.name}{SMOKE_SUFFIX}", "retries": 0}
        return SmokeSweep.model_construct(**{**dict(self), **changed})


class SmokeSweep(Sweep):
    """A sweep of which every cell is only tried."""

    smoke: ClassVar[bool] = True
