"""Columns of the store, from which schemas, reserved names and docs/columns.md derive.

In addition, all three tables have one column per param (each factor and search param, and each
fixed param that a variant changes), and `trials` and `epochs` have one per metric.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

TableName = Literal["trials", "epochs", "probes"]
TABLES: tuple[TableName, ...] = ("trials", "epochs", "probes")

Type = Literal["string", "category", "int32", "int64", "double", "timestamp"]
"""Types of columns; a `category` is a string that many rows share."""
Role = Literal["id", "result", "detail"]
"""The order in a row: ids, params, results, metrics, details."""


class Status(StrEnum):
    """The state in which the store has a trial."""

    COMPLETED = "completed"
    DIVERGED = "diverged"
    """The selection metric, or one of `diverged_on`, was not finite."""
    FAILED = "failed"
    UNFINISHED = "unfinished"
    """It has only a checkpoint; readers show this status, and no file of `trials` holds it."""


FINISHED = (Status.COMPLETED, Status.DIVERGED)
"""Statuses of trials that do not run again, and that count in tables."""
ENDED = (*FINISHED, Status.FAILED)


@dataclass(frozen=True)
class Column:
    """A column of one or more tables."""

    name: str
    type: Type
    role: Role
    meaning: str
    tables: tuple[TableName, ...] = ("trials",)


_EPOCHS: tuple[TableName, ...] = ("epochs",)
_PROBES: tuple[TableName, ...] = ("probes",)

_TRIAL_ID = "Id of the config and seed: 16 hexadecimal digits."

COLUMNS = (
    Column("trial_id", "string", "id", _TRIAL_ID, ("trials", "epochs")),
    Column("trial_id", "category", "id", _TRIAL_ID, _PROBES),
    Column("config_id", "category", "id", "Id of the cell and search values, likewise.", TABLES),
    Column("cell_id", "category", "id", "Id of the combination of factors, likewise.", TABLES),
    Column("seed", "int64", "id", "The replicate.", TABLES),
    Column(
        "status",
        "category",
        "result",
        "`completed`, `diverged` or `failed`; `open_store` adds `unfinished`.",
    ),
    Column("error", "string", "result", "Why it failed; null otherwise."),
    Column("attempts", "int32", "result", "Number of times it was started."),
    Column("epochs_run", "int32", "detail", "Epochs that it finished."),
    Column(
        "seconds",
        "double",
        "detail",
        "Duration, without what failed attempts did after the checkpoint that others went on from.",
    ),
    Column(
        "threads",
        "int32",
        "detail",
        "CPU threads that it had; results are bit-identical only for equal numbers.",
    ),
    Column("started_at", "timestamp", "detail", "Start of the first attempt, UTC."),
    Column("ended_at", "timestamp", "detail", "End of the last one, UTC."),
    Column("host", "category", "detail", "The host that it ran on."),
    Column("device", "category", "detail", "`cpu`, or the GPU's name."),
    Column(
        "processor",
        "category",
        "detail",
        "The CPU's model and instruction sets, or the GPU, its driver and cuDNN.",
    ),
    Column("gpus", "double", "detail", "GPUs that it had, or the fraction of one."),
    Column(
        "code_digest",
        "category",
        "detail",
        "SHA-256 of the manifest of its code; `code/DIGEST.zip` holds the files.",
    ),
    Column(
        "environment_digest",
        "category",
        "detail",
        "SHA-256 of the versions of Python and of the packages that it had loaded; "
        "`code/DIGEST.json` lists them.",
    ),
    Column("data_digest", "category", "detail", "What the trainable recorded of its data."),
    Column(
        "metrics_digest",
        "string",
        "detail",
        "SHA-256 of all its epochs' metrics; equal ones are equal to the bit.",
    ),
    Column(
        "resumed_at",
        "string",
        "detail",
        "Epochs after which later attempts went on, as a JSON list.",
    ),
    Column("facts", "string", "detail", "What else the trainable recorded, as JSON."),
    Column("params", "string", "detail", "The fixed params as JSON."),
    Column(
        "reused_from",
        "category",
        "detail",
        "The sweep whose store it was copied from; null if it ran here.",
    ),
    Column("epoch", "int32", "result", "Number of the epoch, from 1.", ("epochs", "probes")),
    Column(
        "step",
        "double",
        "result",
        "The trainable's own counter, if it yields a `step`; null otherwise.",
        _EPOCHS,
    ),
    Column("seconds", "double", "detail", "Duration of the epoch.", _EPOCHS),
    Column("probe", "category", "result", "Name of the measurement, such as `skewness`.", _PROBES),
    Column("layer", "category", "result", "Name of the layer.", _PROBES),
    Column(
        "layer_index",
        "int32",
        "result",
        "Position of the layer, from 0.",
        _PROBES,
    ),
    Column(
        "unit",
        "int32",
        "result",
        "The channel or neuron; null for the whole layer.",
        _PROBES,
    ),
    Column(
        "at",
        "double",
        "result",
        "The centre of a histogram's bin, or a step; null otherwise.",
        _PROBES,
    ),
    Column("value", "double", "result", "The measurement.", _PROBES),
)

STORE_COLUMNS = frozenset(column.name for column in COLUMNS)
STEP = "step"
"""The trainable's own counter among what it yields; it is no metric."""
LOGGED = "logged/"
"""Prefix of the columns of metrics whose own name is taken."""
BEST = "best_"
"""Prefix of the column of `trials` that holds the selection metric's best epoch."""
TIDY_COLUMNS = (
    *("metric", "mean", "std", "n", "ci_low", "ci_high"),
    *("complete", "status", "epochs_run", "selected_on"),
)
"""Columns of the tidy tables, in addition to factors, search params and ``config_id``."""
RESERVED = STORE_COLUMNS | frozenset(TIDY_COLUMNS)


def columns_of(table: str, role: Role | None = None) -> Iterator[Column]:
    """List the columns of one role that every such table has, or those of all roles."""
    return (c for c in COLUMNS if table in c.tables and role in {None, c.role})


def logged_name(metric: str, params: Collection[str]) -> str | None:
    """Return the column of a metric whose name is that of a param or of a store's own column.

    Returns:
        ``logged/NAME``; None if the name is free.
    """
    if metric in STORE_COLUMNS or metric in params or metric.startswith(BEST):
        return f"{LOGGED}{metric}"
    return None


def is_reserved(name: str) -> bool:
    """Tell whether a name is not available for a param."""
    return name in RESERVED or name.startswith(BEST)
