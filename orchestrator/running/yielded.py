"""What a trainable may hand over: numbers and nulls, in mappings that may be nested."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from orchestrator.columns import STEP, logged_name
from orchestrator.errors import TrialError

_NO_NUMBERS = ("c", "U", "S", "M", "m")
"""Kinds of numpy's dtypes of which float() takes the text, or the real part, for a number."""

Metrics = Mapping[str, float | None]
"""One epoch's metrics by name; None where the epoch has no value."""


class YieldedReader:
    """Reads the mappings that one trial yields.

    Args:
        params: names of the trial's params, which no metric may have.
        log: takes a line for the trial's log.
    """

    def __init__(self, params: Iterable[str], log: Callable[[str], object]) -> None:
        self._params = frozenset(params)
        self._log = log
        self._renamed: set[str] = set()

    def read(self, yielded: object) -> tuple[dict[str, float | None], float | None]:
        """Return an epoch's metrics, and its ``step`` if it has one.

        A mapping inside becomes ``a/b``. A name that is taken becomes ``logged/NAME``, which the
        log says once.

        Raises:
            TrialError: it is no mapping, or a value in it is no number, or two have one name.
        """
        if not isinstance(yielded, Mapping):
            kind = _kind(yielded)
            raise TrialError(
                f"the trainable hands over {_shown(yielded)} of type {kind}; an epoch is a "
                "mapping of metrics"
            )
        metrics: dict[str, float | None] = {}
        step = None
        for name, value in _leaves(yielded):
            if name == STEP:
                step = _number(name, value)
                continue
            column = self._column(name)
            if column in metrics:
                raise TrialError(
                    f"the trainable hands over two metrics that are stored as `{column}`"
                )
            metrics[column] = _number(name, value)
        return metrics, step

    def _column(self, name: str) -> str:
        column = logged_name(name, self._params)
        if column is None:
            return name
        if name not in self._renamed:
            self._renamed.add(name)
            self._log(
                f"the metric `{name}` is stored as `{column}`, since a param or a column of the "
                "store has its name"
            )
        return column


def _leaves(mapping: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}/")
        else:
            yield f"{prefix}{key}", value


def _number(name: str, value: object) -> float | None:
    if value is None:
        return None
    dtype = getattr(value, "dtype", None)  # of scalars of numpy and torch
    if hasattr(value, "__float__") and getattr(dtype, "kind", "") not in _NO_NUMBERS:
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError):
            pass  # arrays of several numbers, integers beyond 1e308
        except RuntimeError as error:
            if "converted to Scalar" not in str(error):  # torch's, of a tensor of several numbers
                raise
    raise TrialError(
        f"the trainable hands over `{name}` as {_shown(value)} of type {_kind(value)}; a metric "
        "is a number, a boolean, None, or a mapping of these"
    )


def _kind(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")


def _shown(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
