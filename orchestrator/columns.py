"""The columns of the store, declared once: schema, reserved names and docs/columns.md follow.

Between these, every row of the three tables has one column per param (each factor and search
param, and each fixed param that a variant changes), and `trials` and `epochs` have one per metric.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

TableName = Literal["trials", "epochs", "probes"]
TABLES: tuple[TableName, ...] = ("trials", "epochs", "probes")

Type = Literal["string", "category", "int32", "int64", "double", "timestamp"]
"""Types of columns; a `category` is a string that repeats from row to row."""
Role = Literal["id", "result", "detail"]
"""Ids come first in every row, then the params, the results, the metrics and the details."""


class Status(StrEnum):
    """What became of a trial."""

    COMPLETED = "completed"
    DIVERGED = "diverged"
    """A metric was not finite."""
    FAILED = "failed"
    UNFINISHED = "unfinished"
    """It has a checkpoint only; never written to `trials`, but shown by readers."""


FINISHED = (Status.COMPLETED, Status.DIVERGED)
"""How a trial ends that does not run again, and that counts in a table."""
ENDED = (*FINISHED, Status.FAILED)


@dataclass(frozen=True)
class Column:
    """One column of one or several tables."""

    name: str
    type: Type
    role: Role
    meaning: str
    tables: tuple[TableName, ...] = ("trials",)


_EPOCHS: tuple[TableName, ...] = ("epochs",)
_PROBES: tuple[TableName, ...] = ("probes",)

_TRIAL_ID = "Config and seed, as 16 hexadecimal digits."

COLUMNS = (
    Column("trial_id", "string", "id", _TRIAL_ID, ("trials", "epochs")),
    Column("trial_id", "category", "id", _TRIAL_ID, _PROBES),
    Column("config_id", "category", "id", "Cell and search values, likewise.", TABLES),
    Column("cell_id", "category", "id", "The combination of factors, likewise.", TABLES),
    Column("seed", "int64", "id", "The replicate.", TABLES),
    Column(
        "status",
        "category",
        "result",
        "`completed`, `diverged` or `failed`; from `open_store`, `unfinished` too.",
    ),
    Column("error", "string", "result", "Why it failed; null otherwise."),
    Column("attempts", "int32", "result", "How often it was started."),
    Column("epochs_run", "int32", "detail", "Epochs that it finished."),
    Column("seconds", "double", "detail", "What it took, in all attempts."),
    Column(
        "threads",
        "int32",
        "detail",
        "CPU threads that it was given. Other numbers of threads give other bits.",
    ),
    Column("started_at", "timestamp", "detail", "Start of the first attempt, UTC."),
    Column("ended_at", "timestamp", "detail", "End of the last one, UTC."),
    Column("host", "category", "detail", "Where it ran."),
    Column("device", "category", "detail", "On what: `cpu`, or the GPU's name."),
    Column(
        "code_digest",
        "category",
        "detail",
        "SHA-256 of the trainable's sources; `code/DIGEST.zip` holds them.",
    ),
    Column(
        "versions",
        "category",
        "detail",
        "Versions of Python and packages as JSON, and what the trainable recorded.",
    ),
    Column("params", "string", "detail", "The fixed params as JSON."),
    Column(
        "reused_from",
        "category",
        "detail",
        "The sweep whose store it was copied from; null if it ran here.",
    ),
    Column("epoch", "int32", "result", "From 1.", ("epochs", "probes")),
    Column("seconds", "double", "detail", "What the epoch took.", _EPOCHS),
    Column("probe", "category", "result", "What was measured, such as `skewness`.", _PROBES),
    Column("layer", "category", "result", "Where, by name.", _PROBES),
    Column(
        "layer_index",
        "int32",
        "result",
        "Where, as a number from 0 that orders the layers.",
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
BEST = "best_"
"""Begins the column of `trials` that has the selection metric's best epoch."""
TIDY_COLUMNS = ("metric", "mean", "std", "n", "ci_low", "ci_high", "complete", "selected_on")
"""Columns of the tidy tables beside the factors, the search params and ``config_id``."""
RESERVED = STORE_COLUMNS | frozenset(TIDY_COLUMNS)


def columns_of(table: str, role: Role | None = None) -> Iterator[Column]:
    """List a table's columns of one role, or all that it always has."""
    return (c for c in COLUMNS if table in c.tables and role in {None, c.role})


def is_reserved(name: str) -> bool:
    """Say whether a name may belong to no param."""
    return name in RESERVED or name.startswith(BEST)
