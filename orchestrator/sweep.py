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
    gpu: Gpus = 0.0


class ResourceChange(_Part):
    """The resources that a variant changes."""

    cpu: Amount | None = None
    gpu: Gpus | None = None


class Variant(_Part):
    """An exception for the cells that ``when`` matches."""

    when: Annotated[dict[str, ParamValue], Field(min_length=1)]
    """Factor values, each one value or a list of them."""
    seeds: Seeds | None = None
    search: dict[str, Axis] = {}
    fixed: dict[str, ParamValue] = {}
    resources: ResourceChange = ResourceChange()


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
    rows: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    """Metrics, or ``probe:NAME``; without any, the selection metric."""
    percent: bool | None = None
    """Whether to print fractions as percent; by default, metrics named ``…accuracy``."""
    precision: Annotated[int, Field(ge=0, le=12)] | None = None
    """Decimals to print; by default 2 in percent and 4 otherwise."""
    best: Literal["max", "min"] | None = None
    """Which side is bold in each row, or in each column of a table without columns."""
    published: Published | None = None


class Claim(_Part):
    """A statement about the factors that the store can support or refute."""

    name: Name
    compare: Annotated[dict[str, tuple[ParamValue, ...]], Field(min_length=1, max_length=1)]
    where: dict[str, ParamValue] = {}
    metric: str | None = None
    probe: str | None = None
    expect: Literal["greater", "less", "close", "increasing", "decreasing", "best"]
    margin: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


class Figure(_Part):
    """A figure of the selected configs; what varies among its cells makes its series."""

    name: Name
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
    labels: dict[str, str] = {}
    """What to write for a value of ``values``, for ``x``, or for a factor's value."""


class Sweep(_Part):
    """Everything that is to be run and reported."""

    smoke: ClassVar[bool] = False
    """Whether one short trial of each cell stands for all of them."""

    name: Name
    description: str = ""
    trainable: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
    seeds: Seeds
    factors: Annotated[dict[ParamName, Axis], Field(min_length=1)]
    search: dict[ParamName, Axis] = {}
    fixed: dict[ParamName, ParamValue] = {}
    variants: tuple[Variant, ...] = ()
    exclude: tuple[dict[str, ParamValue], ...] = ()
    select: Select
    resources: Resources = Resources()
    retries: Annotated[int, Field(ge=0)] = 2
    checkpoint_every: Annotated[int, Field(ge=1)] = 1
    tables: tuple[Table, ...] = ()
    claims: tuple[Claim, ...] = ()
    figures: tuple[Figure, ...] = ()

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
