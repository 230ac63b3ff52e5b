"""How values of params and measurements are written for people."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.results.measures import PROBE
from orchestrator.spec.model import Value, canonical


@dataclass(frozen=True)
class Unit:
    """How to print a measurement that is stored as the trainable yields it."""

    percent: bool
    decimals: int

    @property
    def factor(self) -> float:
        """What a stored value is multiplied by."""
        return 100.0 if self.percent else 1.0

    def text(self, value: float) -> str:
        """Write a value, without its unit."""
        return f"{value * self.factor:z.{self.decimals}f}"

    def signed(self, difference: float) -> str:
        """Write a difference with its sign, without its unit."""
        return f"{difference * self.factor:+z.{self.decimals}f}"

    def points(self, difference: float) -> str:
        """Write a difference, with its unit."""
        return self.text(difference) + (" points" if self.percent else "")

    def heading(self, name: str) -> str:
        """Name a measurement and its unit."""
        return f"{name} (%)" if self.percent else name


def unit(name: str, percent: bool | None = None, decimals: int | None = None) -> Unit:
    """Look up how a measurement is printed.

    Args:
        name: a metric or ``probe:NAME``.
        percent: whether fractions become percent; by default, those of accuracies do.
        decimals: by default 2 in percent and 4 otherwise.
    """
    if percent is None:
        percent = name.endswith("accuracy") and not name.startswith(PROBE)
    if decimals is None:
        decimals = 2 if percent else 4
    return Unit(percent, decimals)


def named_label(name: str, value: Value) -> str:
    """Write a param's value where its name stands nowhere near: a number alone tells nothing."""
    return value if isinstance(value, str) else f"{name} {label(value)}"


def label(value: Value) -> str:
    """Write a param's value as the sweep file does."""
    return value if isinstance(value, str) else canonical(value)
