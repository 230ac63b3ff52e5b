"""Text for values, measurements, counts, durations and sizes, the same in every output."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

PROBE = "probe:"
"""Prefix of a value that is a probe, as in ``probe:skewness``."""


def label(value: Any) -> str:
    """Write a param's value as in a sweep file."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(label, value))}]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value)


def named_label(name: str, value: Any) -> str:
    """Write a param's value, with the param's name unless the value is text."""
    return value if isinstance(value, str) else f"{name} {label(value)}"


def assignments(params: Mapping[str, Any]) -> str:
    """Write params with their names, as in ``order=swap, lr=0.1``."""
    return ", ".join(f"{name}={label(value)}" for name, value in params.items())


def quoted(names: Iterable[str]) -> str:
    """List names for a message, in backquotes."""
    return ", ".join(f"`{name}`" for name in names) or "none"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Write a count, as in ``1 trial`` and ``2,000 trials``."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def duration(seconds: float) -> str:
    """Write a duration: ``45 s``, ``3 min``, ``2 h 05 min``, ``2.5 days``."""
    if seconds < 60:
        return f"{max(seconds, 0):.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours < 48 else f"{hours / 24:.1f} days"


def memory(count: int) -> str:
    """Write an amount of memory: ``512 MiB``, ``2.0 GiB``."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def is_accuracy(name: str) -> bool:
    """Tell whether a metric or ``probe:NAME`` is an accuracy, a fraction from 0 to 1, by name."""
    return name.endswith("accuracy") and not name.startswith(PROBE)


@dataclass(frozen=True)
class Unit:
    """How to print a measurement, which the store holds as the trainable yields it."""

    percent: bool
    decimals: int

    @property
    def factor(self) -> float:
        """The factor from stored to printed values."""
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
    """Choose how to print a measurement.

    Args:
        name: a metric or ``probe:NAME``.
        percent: whether to print fractions as percent; by default, if the name is an accuracy's.
        decimals: digits after the point; by default 2 in percent and 4 otherwise.
    """
    if percent is None:
        percent = is_accuracy(name)
    if decimals is None:
        decimals = 2 if percent else 4
    return Unit(percent, decimals)


def seed_ranges(seeds: Iterable[int]) -> str:
    """Write seeds as people do: ``0-2, 5``."""
    parts: list[list[int]] = []
    for seed in sorted(seeds):
        if parts and seed == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], seed]
        else:
            parts.append([seed])
    return ", ".join("-".join(map(str, part)) for part in parts)
