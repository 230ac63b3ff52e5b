"""What of a program's log is an epoch: its numbers, of which one may be the counter."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from orchestrator.columns import LOGGED, STEP
from orchestrator.errors import TrialError
from orchestrator.running.programs import Epoch

_SHOWN = 80
"""Characters of a line or value that messages show."""


class Epochs:
    """Makes epochs of what a program logs, and says once per name what it leaves out.

    Args:
        step: the name that is the counter; None for ``step``.
        say: takes a line for the trial's log.
    """

    def __init__(self, step: str | None, say: Callable[[str], object]) -> None:
        self._step = step
        self._say = say
        self._said: set[str] = set()

    def of(
        self, logged: Iterable[tuple[str, object]], step: float | None = None
    ) -> Iterator[Epoch]:
        """Make an epoch; none where no number is logged.

        Args:
            logged: names and values.
            step: the counter that comes without a name, if there is one.

        Raises:
            TrialError: two values have one name.
        """
        epoch: dict[str, float | None] = {}
        has_own = self._step is None and step is not None
        for name, value in logged:
            if not name:
                self._once(name, "values without a name are left out")
                continue
            if not (value is None or isinstance(value, float | int)):
                self._once(name, f"`{name}` is left out where it is no number, as {shown(value)}")
                continue
            column = self._column(name, taken=has_own)
            if column in epoch:
                raise TrialError(f"the program logs two metrics that are stored as `{column}`")
            epoch[column] = value
        if any(value is not None for value in epoch.values()):
            yield {**epoch, STEP: step} if has_own else epoch

    def _column(self, name: str, *, taken: bool) -> str:
        if name == self._step:
            return STEP
        if name == STEP and (taken or self._step is not None):
            column = f"{LOGGED}{STEP}"
            self._once(name, f"`{name}` is stored as `{column}`, since it is not the counter")
            return column
        return name

    def _once(self, name: str, text: str) -> None:
        if name not in self._said:
            self._said.add(name)
            self._say(text)


def number_in(text: str | None) -> object:
    """Return the number that a text is, None for an empty one, and else the text."""
    if text is None or not text.strip():
        return None
    try:
        return float(text)
    except ValueError:
        return text


def shown(value: object) -> str:
    """Show the beginning of a line or value in a message."""
    text = value if isinstance(value, str) else repr(value)
    return f"`{text}`" if len(text) <= _SHOWN else f"`{text[:_SHOWN]}…`"


class LastLines:
    """The last lines that a program prints, for a message."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=3)

    def add(self, text: str) -> None:
        """Keep a line; an empty one says nothing."""
        if text.strip():
            self._lines.append(text)

    def __str__(self) -> str:
        if not self._lines:
            return "it printed nothing"
        return f"its last lines are {', '.join(map(shown, self._lines))}"
