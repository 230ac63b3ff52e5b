"""What the page shows now, renewed by two threads as long as somebody looks at it."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from orchestrator.errors import OrchError
from orchestrator.results import Results
from orchestrator.store import Store
from orchestrator.watching.look import Follower, Look

Opened = Callable[[], Results]
"""Opens the results of the sweep; it raises an OrchError while there is no store of it."""

_PAUSE = 1.0
"""Seconds between two looks at the store, and between two renderings of the sections."""
_REST = 9.0
"""Multiple of the time that either took to wait before the next, so that it takes a tenth."""
_LONGEST_PAUSE = 10.0
"""Seconds between two looks at the most: the first one may have much to read."""


@dataclass(frozen=True)
class Section:
    """A section of the page as HTML, and what tells it from an earlier version."""

    html: str

    @property
    def version(self) -> str:
        """A digest of the HTML."""
        return hashlib.sha256(self.html.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class State:
    """What the page shows.

    Attributes:
        look: the last look that succeeded; None before the first.
        problem: why the last look did not; None if it did.
        failure: why there are no further looks.
        sections: those that are rendered, by name.
    """

    look: Look | None = None
    problem: str | None = None
    failure: str | None = None
    sections: Mapping[str, Section] = field(default_factory=dict)


class Feed:
    """Follows the store of a sweep in the background.

    One thread looks at progress and running trials; the other renders the sections, which takes
    longer, when trials have ended.

    Args:
        opened: opens the results of the sweep.

    Attributes:
        state: the latest; a new object whenever it changes.
        is_closed: whether the page is about to end.
    """

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._follower: Follower | None = None
        self.state = State()
        self.is_closed = False
        self._lock = threading.Lock()
        self._watchers = 0
        self._watched, self._stale = threading.Event(), threading.Event()

    def start(self) -> None:
        """Start the threads, which end with the process."""
        for work in (self._follow, self._render):
            threading.Thread(target=self._run, args=(work,), daemon=True).start()

    def _run(self, work: Callable[[], None]) -> None:
        """Run a thread's work; should it fail, the terminal says why, and the page that it did."""
        try:
            work()
        except Exception as error:
            self._publish(
                failure=f"this page is no longer renewed, for an error of its own: {error!r}"
            )
            raise

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Renew the state while the block runs."""
        self._count(1)
        try:
            yield
        finally:
            self._count(-1)

    def _count(self, change: int) -> None:
        with self._lock:
            self._watchers += change
            if self._watchers:
                self._watched.set()
            else:
                self._watched.clear()

    @property
    def store(self) -> Store | None:
        """The store; None before the first look."""
        return self._follower.results.store if self._follower else None

    def _publish(self, **changes: object) -> None:
        with self._lock:
            changed = replace(self.state, **changes)  # type: ignore[arg-type]
            if changed != self.state:
                self.state = changed

    def _follow(self) -> None:
        while self._watched.wait():
            started = time.monotonic()
            try:
                self._look()
            except OrchError as error:
                self._publish(problem=str(error))
            time.sleep(min(_rest(started), _LONGEST_PAUSE))

    def _look(self) -> None:
        if self._follower is None or not self._follower.is_current:
            self._follower = Follower(self._opened())
        changes = self._follower.changes
        try:
            self._publish(look=self._follower.look(), problem=None)
        finally:  # a look may fail after it has found that trials have ended
            if self._follower.changes > changes:
                self._stale.set()

    def _render(self) -> None:
        from orchestrator.watching.sections import rendered  # it imports scipy and Vega

        while self._stale.wait():
            self._stale.clear()
            started = time.monotonic()
            try:
                if self._follower and self._follower.has_ended:
                    for name, html in rendered(self._follower.read()):
                        self._publish(sections={**self.state.sections, name: Section(html)})
            except OrchError:
                self._stale.set()  # the looks say why; what is shown stays until it can be read
            time.sleep(_rest(started))


def _rest(started: float) -> float:
    """Return for how long to wait after what has begun at a time, in seconds."""
    return max(_PAUSE, _REST * (time.monotonic() - started))
