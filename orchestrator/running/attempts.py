"""The attempts of a run: which is next, and what follows from the end of each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from orchestrator.errors import (
    EditedError,
    MetricError,
    NodeMemoryError,
    OrchError,
    RunError,
    TimeUpError,
    UsageError,
)
from orchestrator.running import failures
from orchestrator.running.alike import Alike
from orchestrator.running.budget import Budget
from orchestrator.running.execution import Epoch
from orchestrator.running.growth import Growth
from orchestrator.running.progress import Progress
from orchestrator.spec.grid import PlannedTrial
from orchestrator.spec.model import Sweep
from orchestrator.spec.problems import placed


@dataclass(frozen=True)
class Attempt:
    """One attempt at a trial, numbered from 1."""

    trial_id: str
    number: int

    def __str__(self) -> str:
        return f"{self.trial_id}-{self.number}"


_OF_ALL: dict[type[OrchError], tuple[str, ...]] = {
    MetricError: ("select", "metric"),
    UsageError: ("command",),
}
"""Errors that all trials would have if none has finished yet, by the key that they are about."""


@dataclass(frozen=True)
class _Failure:
    """A failed attempt, and whether its trial may be retried."""

    attempt: Attempt
    reason: str
    again: bool


class Attempts:
    """The queue from which a runner takes attempts, and to which it says what became of each.

    An attempt that fails may put another one at the back of the queue, so the queue is over only
    when nothing waits and nothing runs. No retry starts before it is known whether the first trials
    all fail alike. What is said of an attempt that has ended is ignored: a host that was cut off
    and comes back still runs attempts that others have replaced.

    Args:
        sweep: says how often a trial is retried.
        order: the trials, in the order in which they start.
        progress: counts what happens.
        alike: judges whether the first trials all fail alike.
        growth: tells which trials are asked for once one has ended; None if all are known.
        budget: the time that the run may take.
        add_metrics: adds the metrics to the store that it lacks.
        give_up: commits a trial as failed, given its id, the reason and the number of attempts;
            returns whether it is so, which it is not if an attempt has committed the trial.
        is_proven: whether the store has trials that this code has finished.
    """

    def __init__(
        self,
        sweep: Sweep,
        order: Sequence[PlannedTrial],
        progress: Progress,
        alike: Alike,
        growth: Growth | None,
        budget: Budget,
        add_metrics: Callable[[Iterable[str]], object],
        give_up: Callable[[str, str, int], bool],
        *,
        is_proven: bool,
    ) -> None:
        self._source = sweep.source
        self._progress, self._alike, self._growth = progress, alike, growth
        self._add_metrics, self._give_up = add_metrics, give_up
        self._retries, self._budget = failures.Retries(sweep.retries), budget
        self._trials = {trial.trial_id: trial for trial in order}
        self._waiting = deque(Attempt(trial_id, 1) for trial_id in self._trials)
        self._taken: dict[Attempt, bool] = {}
        """The attempts that a runner has, and whether each has started."""
        self._failures: deque[_Failure] = deque()
        """Those of which it is not decided what follows."""
        self._unsaved: set[Attempt] | None = None
        """Once the run winds down, the attempts for which it waits, unless they have ended."""
        self._is_proven = is_proven
        self._most_started = 0
        """How many attempts have run at once: the slots, as far as they have been filled."""

    @property
    def over(self) -> bool:
        """Whether no attempt waits or runs, so that none can follow in time."""
        return not self._taken and self._next() is None

    def wind_down(self) -> None:
        """Start no further attempt, and end the run once those that run have saved or ended."""
        self._unsaved = {attempt for attempt, has_started in self._taken.items() if has_started}

    @property
    def winds_down(self) -> bool:
        """Whether it does so: trials are asked to save."""
        return self._unsaved is not None

    def take(self) -> Attempt | None:
        """Take the next attempt; None if there is none now."""
        if not (self._waiting or self.winds_down):
            self._look_ahead()
        attempt = self._next()
        if attempt is None:
            return None
        self._waiting.remove(attempt)
        self._taken[attempt] = False
        return attempt

    def _next(self) -> Attempt | None:
        """Find the first attempt that waits and gets somewhere in the time that is left."""
        if self.winds_down:
            return None
        return next((a for a in self._waiting if self._budget.fits(self._trials[a.trial_id])), None)

    def require_time(self) -> None:
        """End the run if its time is up.

        Raises:
            TimeUpError: it is.
        """
        has_saved = self._unsaved is not None and self._unsaved.isdisjoint(self._taken)
        if has_saved or self._budget.is_spent:
            self.end()

    def end(self) -> None:
        """Decide about all failures, and end the run if something is left to do.

        Raises:
            TimeUpError: attempts wait, or run; the driver says how much is left.
        """
        self._alike.end()
        while self._failures:
            self._follow(self._failures.popleft())
        if self._waiting or self._taken:
            raise TimeUpError

    def started(self, attempt: Attempt) -> None:
        """An attempt starts."""
        if attempt in self._taken:
            self._taken[attempt] = True
            self._most_started = max(self._most_started, sum(self._taken.values()))
            self._progress.started(attempt.trial_id)

    def epoch(self, attempt: Attempt, epoch: Epoch) -> None:
        """An attempt finishes an epoch; this comes before it goes on, or is committed.

        Raises:
            StoreError: the store cannot be written.
        """
        self._budget.epoch(attempt.trial_id, epoch.number, is_saved=epoch.is_saved)
        if epoch.is_saved and self._unsaved is not None:
            self._unsaved.discard(attempt)
        if attempt in self._taken:
            self._add_metrics(epoch.metrics)
            self._progress.epoch(attempt.trial_id, epoch)
            self._alike.epoch(attempt.trial_id, epoch.number)
            self._decide()

    def committed(self, attempt: Attempt, seconds: float) -> None:
        """An attempt is committed; its trial took so long, without the imports of its process.

        Raises:
            StoreError: the store cannot be written.
        """
        if self._taken.pop(attempt, None) is not None:
            self._is_proven = True
            self._progress.finished(attempt.trial_id, seconds)
            self._budget.took(self._trials[attempt.trial_id], seconds)
            self._alike.end()
            self._grow(attempt.trial_id, failed=False)
            self._decide()

    def failed(self, attempt: Attempt, error: BaseException) -> None:
        """An attempt fails: its trial is retried or has failed for good, once that is decided.

        Args:
            attempt: the attempt.
            error: what ended it, in our own classes where there is one.

        Raises:
            AlikeError: the first trials have all failed with the same error.
            MetricError: the run's first trial lacks the selection metric, as all others would.
            UsageError: the run's first program refuses its arguments.
            StoreError: the store cannot be written.
        """
        if self._taken.pop(attempt, None) is None:
            return
        trial_id, reason = attempt.trial_id, failures.reason(error)
        if isinstance(error, EditedError):
            self._progress.edited(trial_id, reason)
            self._alike.not_run(trial_id)
        else:
            self._require_own(error)
            again = self._retries.allow(trial_id, attempt.number, error)
            self._failures.append(_Failure(attempt, reason, again))
            self._progress.ended(trial_id)
            self._alike.failed(trial_id, error)
        self._decide()

    def _require_own(self, error: BaseException) -> None:
        """Raise an error that is not a trial's own, but that of all."""
        for kind, key in _OF_ALL.items():
            if isinstance(error, kind) and not self._is_proven:
                raise placed(error, self._source, *key)

    def _decide(self) -> None:
        """Decide about the failures so far, unless it is open whether all fail alike."""
        if self._alike.is_found:
            self._stop()
        if self.over:
            self._alike.end()
        while self._failures and not self._alike.is_open:
            self._follow(self._failures.popleft())

    def _stop(self) -> None:
        """Give up the trials that have failed, and end the run; others may still tell their end."""
        self._alike.end()
        failed = [failure.attempt.trial_id for failure in self._failures]
        for failure in self._failures:
            self._give_up(failure.attempt.trial_id, failure.reason, failure.attempt.number)
        self._progress.failed_alike(failed)
        for attempts in (self._failures, self._waiting, self._taken):
            attempts.clear()
        raise self._alike.error(self._progress.log_name(failed[0]))

    def _follow(self, failure: _Failure) -> None:
        """Retry a trial that has failed, or give it up."""
        trial_id, number = failure.attempt.trial_id, failure.attempt.number
        if failure.again:
            self._waiting.append(Attempt(trial_id, number + 1))
        elif not self._give_up(trial_id, failure.reason, number):
            self._is_proven = True
            self._progress.finished(trial_id)
            self._grow(trial_id, failed=False)
            return
        self._progress.failed(trial_id, failure.reason, again=failure.again)
        if not failure.again:
            self._grow(trial_id, failed=True)

    def _look_ahead(self) -> None:
        """Put a trial in the queue that may be asked for later, if a slot would idle without it."""
        has_room = len(self._taken) < self._most_started or all(self._taken.values())
        if self._growth is not None and has_room and (trial := self._growth.ahead()):
            self._ask(self._growth, [trial])

    def _grow(self, trial_id: str, *, failed: bool) -> None:
        """Put what a trial's end asks for before all that waits, so that its cell ends early."""
        if self._growth is not None:
            trial = self._trials[trial_id]
            self._ask(self._growth, self._growth.after(trial, failed=failed))

    def _ask(self, growth: Growth, trials: Sequence[PlannedTrial]) -> None:
        missing = [trial for trial in trials if not growth.was_done(trial)]
        done = len(trials) - len(missing)
        self._progress.asked(missing, done=done, total=growth.in_all)
        self._trials |= {trial.trial_id: trial for trial in missing}
        self._waiting.extendleft(Attempt(trial.trial_id, 1) for trial in reversed(missing))

    def recover(self, error: Exception | None) -> None:
        """Decide about the attempts that a runner has taken, and left without telling their end.

        A node that runs out of memory ends all that a runner runs: the attempts that had started
        may be the cause, and fail; the others are the next ones again.

        Args:
            error: what ended the runner early, if it is known.

        Raises:
            RunError: it was something else, or nothing had started.
        """
        if not self._taken:
            return
        begun = [attempt for attempt, has_started in self._taken.items() if has_started]
        if not (begun and isinstance(error, NodeMemoryError)):
            reason = failures.reason(error) if error else "it does not say why"
            raise RunError(
                f"the runner ended early: {reason}; finished trials are kept; run the same "
                "command again to continue"
            )
        for attempt in begun:
            self.failed(attempt, error)
        self._waiting.extendleft(reversed(self._taken))
        self._taken.clear()
