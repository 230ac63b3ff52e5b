"""In which unit and with how many decimals a value is printed."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.measures import PROBE
from orchestrator.sweep import Table


@dataclass(frozen=True)
class Unit:
    """How to print a value that is stored as the trainable yields it."""

    percent: bool
    decimals: int

    def text(self, value: float) -> str:
        """Write a value."""
        return f"{value * (100 if self.percent else 1):.{self.decimals}f}"

    def heading(self, name: str) -> str:
        """Name a value and its unit."""
        return f"{name} (%)" if self.percent else name


def unit(table: Table, name: str) -> Unit:
    """Look up how a table prints the value of that name."""
    percent = table.percent
    if percent is None:
        percent = name.endswith("accuracy") and not name.startswith(PROBE)
    decimals = table.precision
    if decimals is None:
        decimals = 2 if percent else 4
    return Unit(percent, decimals)
