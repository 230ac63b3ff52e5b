"""What a sweep has cost: how long its trials held CPUs and GPUs, failed attempts included."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from orchestrator.store.files import Files

FILE = "cost.json"


@dataclass(frozen=True)
class Cost:
    """CPUs and GPUs, or fractions of them, times the hours for which they were held."""

    cpu_hours: float
    gpu_hours: float

    @classmethod
    def of(cls, seconds: float, *, cpu: float, gpu: float) -> Cost:
        """Return what holding so many CPUs and GPUs for so long costs."""
        return cls(cpu * seconds / 3600, gpu * seconds / 3600)

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.cpu_hours + other.cpu_hours, self.gpu_hours + other.gpu_hours)

    def __mul__(self, factor: float) -> Cost:
        return Cost(self.cpu_hours * factor, self.gpu_hours * factor)

    def without(self, other: Cost) -> Cost:
        """Return what is left of it, and nothing where there was less."""
        return Cost(
            max(self.cpu_hours - other.cpu_hours, 0.0), max(self.gpu_hours - other.gpu_hours, 0.0)
        )

    def __str__(self) -> str:
        gpus = f" and {_written(self.gpu_hours, 'GPU')}" if self.gpu_hours else ""
        return f"{_written(self.cpu_hours, 'CPU')}{gpus}"


NOTHING = Cost(0.0, 0.0)
_LEAST_HOURS = 0.1
"""Below this, seconds are easier to read."""
_COST = TypeAdapter(Cost)


def _written(hours: float, what: str) -> str:
    value, unit = (hours, "hours") if hours >= _LEAST_HOURS else (3600 * hours, "seconds")
    return f"{value:,.0f} {what}-{unit}" if value >= 10 else f"{value:.2g} {what}-{unit}"


def read(files: Files) -> Cost | None:
    """Read what the runs of a store have cost; None where no driver has written it."""
    data = files.read(FILE)
    if data is None:
        return None
    try:
        return _COST.validate_json(data)
    except ValidationError:
        return None  # it is cut, or of another version


def write(files: Files, cost: Cost) -> None:
    """Write what the runs of a store have cost.

    Raises:
        StoreError: the store cannot be written.
    """
    files.write(FILE, _COST.dump_json(cost))
