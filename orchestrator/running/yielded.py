"""What a trainable may hand over: numbers and nulls, in mappings that may be nested."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from orchestrator.columns import STEP, logged_name
from orchestrator.errors import TrialError
from orchestrator.metrics import described, leaves, number

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
            raise TrialError(
                f"the trainable hands over {described(yielded)}; an epoch is a mapping of metrics"
            )
        metrics: dict[str, float | None] = {}
        step = None
        for name, value in leaves(yielded):
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


def _number(name: str, value: object) -> float | None:
    try:
        return number(name, value, given_by="the trainable hands over")
    except TypeError as error:
        raise TrialError(str(error)) from None
