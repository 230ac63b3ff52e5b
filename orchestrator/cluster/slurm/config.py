"""Reads a cluster file for Slurm: what one allocation of a sweep is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import NonNegativeInt, PositiveInt, ValidationError

from orchestrator.errors import SpecError
from orchestrator.labels import duration
from orchestrator.spec import source
from orchestrator.spec.part import Part
from orchestrator.spec.problems import Problem, explain, raise_all
from orchestrator.spec.values import Duration

LEAST_LEAD = 60.0
"""Seconds; Slurm looks at the time every 30 s."""


class Allocation(Part):
    """What Slurm is asked for, once for each job of a sweep."""

    scheduler: Literal["slurm"]
    """Tells the file apart from those for Ray's launcher."""
    nodes: PositiveInt = 1
    cpus_per_node: PositiveInt
    gpus_per_node: NonNegativeInt = 0
    time: Duration
    """The limit of a job, in seconds; a sweep that takes longer queues itself again."""
    lead: Duration = 300.0
    """Seconds before the limit at which trials are asked to save."""
    partition: str | None = None
    account: str | None = None
    sbatch: tuple[str, ...] = ()
    """Further options of ``sbatch``."""
    setup: tuple[str, ...] = ()
    """Lines of shell that the job runs first."""


def is_slurms(path: Path) -> bool:
    """Tell whether a cluster file is for Slurm, rather than for Ray's launcher.

    Raises:
        SpecError: it cannot be read.
    """
    return "scheduler" in source.read(path).data


def load(path: Path) -> Allocation:
    """Read a cluster file for Slurm.

    Raises:
        SpecError: each problem is named with file, line and key.
    """
    document = source.read(path)
    try:
        allocation = Allocation.model_validate(document.data)
    except ValidationError as error:
        raise SpecError(explain(error, document, Allocation)) from None
    raise_all(_problems(allocation), document)
    return allocation


def _problems(allocation: Allocation) -> Iterator[Problem]:
    lead, time = allocation.lead, allocation.time
    if lead < LEAST_LEAD:
        yield Problem(("lead",), f"expected at least 1m, since Slurm is not exact, got {lead:g} s")
    if lead >= time:
        yield Problem(
            ("lead",) if "lead" in allocation.model_fields_set else ("time",),
            f"trials would be asked to save {duration(lead)} before the end (`lead`), and the job "
            f"has only {duration(time)} (`time`); ask for more time, or set a shorter `lead`",
        )
    for i, option in enumerate(allocation.sbatch):
        if not option.startswith("-") or "\n" in option:
            yield Problem(("sbatch", i), "expected an option of sbatch, such as --mem=32G")
