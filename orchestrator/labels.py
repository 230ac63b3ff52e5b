"""Text for values, measurements, counts, durations and sizes, the same in every output."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

PROBE = "probe:"
"""Prefix of a value that is a probe, as in ``probe:skewness``."""


_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""What a terminal obeys instead of showing it, and halves of characters that no file can hold."""
_AMBIGUOUS = re.compile(
    r"""(?ix)  null | ~ | true | false | —
    | [-+]?[0-9_]+ | 0o[0-7_]+ | 0x[0-9a-f_]+
    | [-+]?(\.[0-9_]+ | [0-9_]+(\.[0-9_]*)?)(e[-+]?[0-9]+)? | [-+]?\.inf | \.nan
    | \[.*\] | ".* | \s.* | .*\s | """,
    re.DOTALL,
)
"""Text that could be taken for another value, or for nothing at all."""


def printable(text: str) -> str:
    """Show the characters that a terminal would obey, such as ESC; line breaks and tabs stay."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def label(value: Any) -> str:
    """Write a param's value on one line; text that could be taken for another value is quoted."""
    if isinstance(value, str):
        is_plain = value.isprintable() and not _AMBIGUOUS.fullmatch(value)
        return value if is_plain else _quoted(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_item_label, value))}]"
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGE:
        return str(int(value))
    return json.dumps(value)


def _item_label(value: Any) -> str:
    is_split = isinstance(value, str) and re.search(r"[,\[\]]", value)
    return _quoted(value) if is_split else label(value)


def _quoted(text: str) -> str:
    """Quote text as JSON does, with escapes for all that is not seen or ends a line."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in json.dumps(text, ensure_ascii=False)
    )


def named_label(name: str, value: Any) -> str:
    """Write a param's value, with the param's name unless the value is text."""
    return label(value) if isinstance(value, str) else f"{name} {label(value)}"


def assignments(params: Mapping[str, Any]) -> str:
    """Write params with their names, as in ``order=swap, lr=0.1``."""
    return ", ".join(f"{name}={label(value)}" for name, value in params.items())


def quoted(names: Iterable[str]) -> str:
    """List names for a message, in backquotes."""
    return ", ".join(f"`{printable(name)}`" for name in names) or "none"


def counted(number: int, noun: str) -> str:
    """Write a count, as in ``1 trial`` and ``2,000 trials``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


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


def in_layers(name: str, layers: str) -> str:
    """Name a metric or ``probe:NAME``, with the layers of a probe that are not averaged over."""
    is_mean = layers == "mean" or not name.startswith(PROBE)
    return name if is_mean else f"{name} ({layers})"


@dataclass(frozen=True)
class Unit:
    """How to print a measurement, which the store holds as the trainable yields it.

    Attributes:
        percent: whether fractions are printed as percent.
        decimals: digits after the point; None for two significant ones of the deviation that a
            value is printed with.
    """

    percent: bool
    decimals: int | None

    @property
    def factor(self) -> float:
        """The factor from stored to printed values."""
        return 100.0 if self.percent else 1.0

    def text(self, value: float, deviation: float = math.nan) -> str:
        """Write a value, without its unit.

        Args:
            value: as it is stored.
            deviation: what it may be off by; NaN if that is unknown.
        """
        return self._written(value, self._decimals(value, deviation))

    def pair(self, mean: float, deviation: float) -> tuple[str, str]:
        """Write a mean and its deviation, with the same digits after the point."""
        decimals = self._decimals(mean, deviation)
        return self._written(mean, decimals), self._written(deviation, decimals)

    def estimate(self, effect: float, low: float, high: float) -> tuple[str, str]:
        """Write a difference, with its unit, and its interval.

        With fewer digits than usual, an interval that ends near zero would seem to reach it.
        """
        decimals = self._decimals(effect, (high - low) / 2)
        if self.decimals is None:
            decimals = max(decimals, self._usual)
        ends = f"{self._written(low, decimals)} to {self._written(high, decimals)}"
        return self._written(effect, decimals) + (" points" if self.percent else ""), ends

    def signed(self, difference: float, deviation: float = math.nan) -> str:
        """Write a difference with its sign, without its unit."""
        return self._written(difference, self._decimals(difference, deviation), "+")

    def points(self, difference: float, deviation: float = math.nan) -> str:
        """Write a difference, with its unit."""
        return self.text(difference, deviation) + (" points" if self.percent else "")

    def bound(self, difference: float) -> str:
        """Write a difference that a sweep file gives, in all its digits, with its unit."""
        number = f"{difference * self.factor:.12g}"
        return f"{number} point{'s' * (number != '1')}" if self.percent else number

    def heading(self, name: str) -> str:
        """Name a measurement and its unit."""
        return f"{printable(name)} (%)" if self.percent else printable(name)

    def _written(self, value: float, decimals: int, sign: str = "") -> str:
        number = value * self.factor
        if not math.isfinite(number):
            return f"{number:{sign}}"
        if decimals > _MOST_DECIMALS and not number:
            return f"{number:{sign}z.0f}"
        if decimals > _MOST_DECIMALS or abs(number) >= _LARGE:
            digits = min(max(_exponent(abs(number)) + decimals, 1), _MOST_DECIMALS)
            return f"{number:{sign}.{digits}e}"
        return f"{number:{sign}z.{max(decimals, 0)}f}"

    def _decimals(self, value: float, deviation: float) -> int:
        """Choose the digits after the point; below 0, as many before it count for nothing."""
        if self.decimals is not None:
            return self.decimals
        size, off = abs(value * self.factor), abs(deviation * self.factor)
        if math.isfinite(off) and off > _ROUNDING * size:
            return 1 - _exponent(off)
        if not size or not math.isfinite(size):
            return self._usual
        few = 1 - _exponent(size)
        return max(self._usual, few) if size < _LARGE else self._usual - _exponent(size)

    @property
    def _usual(self) -> int:
        """Digits after the point where no deviation tells."""
        return 2 if self.percent else 4


_MOST_DECIMALS = 12
_LARGE = 1e15
"""From here on all digits before the point would not fit a column, nor mean anything."""
_ROUNDING = 1e-12
"""Deviations below this share of a value are errors of rounding."""


def _exponent(size: float) -> int:
    """Return the power of ten of a number's first digit, once it has two."""
    return int(f"{size:.1e}".partition("e")[2])


def unit(name: str, percent: bool | None = None, decimals: int | None = None) -> Unit:
    """Choose how to print a measurement.

    Args:
        name: a metric or ``probe:NAME``.
        percent: whether to print fractions as percent; by default, if the name is an accuracy's.
        decimals: digits after the point; by default they follow the deviation.
    """
    return Unit(is_accuracy(name) if percent is None else percent, decimals)


def seed_ranges(seeds: Iterable[int]) -> str:
    """Write seeds as people do: ``0-2, 5``."""
    parts: list[list[int]] = []
    for seed in sorted(seeds):
        if parts and seed == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], seed]
        else:
            parts.append([seed])
    return ", ".join("-".join(map(str, part)) for part in parts)
