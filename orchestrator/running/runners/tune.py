"""Runs trials on Ray Tune: a pool of reused worker processes, on one node or many.

The store decides which trials are finished. Tune only assigns each trial to a process with the
resources for it, and reports how the trial ends.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import ray
from ray import tune
from ray.exceptions import OutOfMemoryError, RayError
from ray.tune.execution import class_cache
from ray.tune.schedulers import FIFOScheduler

from orchestrator.errors import EditedError, OrchError, RunError
from orchestrator.running.execution import Epoch
from orchestrator.running.failures import Retries
from orchestrator.running.job import Job
from orchestrator.running.runners import Watcher, other_nodes
from orchestrator.running.runners.ray_cluster import require_fit
from orchestrator.running.runners.ray_errors import error_of, reason_for
from orchestrator.running.runners.tune_worker import Attempt, Worker

TRIALS_PER_FIT = 5_000
"""Trials per batch: Tune keeps all trials of a ``fit()`` in memory, and each ``fit()`` starts
new processes.

With 5,000 the driver of 10,000 trials takes 524 MiB, and five seconds are lost between two
batches. Trials that fail in one batch are retried in the next.
"""


@contextlib.contextmanager
def _aws_keys_kept_out_of_logs() -> Iterator[None]:
    """Keep Tune from copying the driver's AWS keys into Ray's logs, which others may read.

    Workers have the environment of their node. Tune has no setting for this, so its list of
    variables is replaced while it starts workers.
    """
    before = class_cache.ENV_VARS_TO_PROPAGATE
    class_cache.ENV_VARS_TO_PROPAGATE = {n for n in before if not n.startswith("AWS_")}
    try:
        yield
    finally:
        class_cache.ENV_VARS_TO_PROPAGATE = before


class TuneRunner:
    """Runs trials as Tune trials in reused processes, so that each imports only once."""

    def run(self, job: Job, todo: Sequence[str], retries: int, watcher: Watcher) -> None:
        """Run trials in the given order, as many at once as resources allow."""
        require_fit(job, todo)
        other_nodes.check(job, todo)
        queue = [Attempt(trial_id, 1) for trial_id in todo]
        retry_policy = Retries(retries)
        worker = tune.with_parameters(Worker, job=ray.put(job))
        while queue:
            batch, queue = queue[:TRIALS_PER_FIT], queue[TRIALS_PER_FIT:]
            observer = _Observer(watcher, retry_policy)
            error = _fit(worker, [attempt.as_text(job) for attempt in batch], observer)
            observer.close(batch, error)
            queue += observer.following


def _fit(worker: type[Worker], attempts: list[str], observer: _Observer) -> Exception | None:
    """Run a batch; return the error that ended it early, if any."""
    error: Exception | None = None
    with tempfile.TemporaryDirectory(prefix="orch-tune-") as folder, _aws_keys_kept_out_of_logs():
        try:
            tune.Tuner(
                worker,
                param_space={"trial": tune.grid_search(attempts)},
                tune_config=tune.TuneConfig(
                    reuse_actors=True, trial_name_creator=_name, scheduler=_FirstComeFirstServed()
                ),
                run_config=tune.RunConfig(
                    storage_path=folder,
                    name="sweep",
                    verbose=0,
                    callbacks=[observer],
                    stop=_Stopper(observer),
                    failure_config=tune.FailureConfig(max_failures=0),
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                ),
            ).fit()
        except (RayError, tune.TuneError) as raised:
            error = raised
    if observer.fatal is not None:
        raise observer.fatal
    return error


def _name(trial: Any) -> str:
    return str(Attempt.of(trial.config))


class _FirstComeFirstServed(FIFOScheduler):
    """Assigns a free process to the first waiting trial for which none is starting.

    By default, Tune chooses the first waiting trial and stops the process that is starting for
    it: where trials are shorter than the start of a process, all slots but one would stay empty
    for the whole sweep.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._waiting: list[Any] = []

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        self._waiting.append(trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        self._waiting = [trial for trial in self._waiting if trial.status == "PENDING"]
        actors, manager = tune_controller._trial_to_actor, tune_controller._actor_manager
        for trial in self._waiting:
            if trial not in actors or not manager.is_actor_started(actors[trial]):
                return trial
        return None


class _Observer(tune.Callback):
    """Passes Tune's events on to the watcher, and collects the attempts that follow."""

    def __init__(self, watcher: Watcher, retries: Retries) -> None:
        self._watcher = watcher
        self._retries = retries
        self._running: set[Attempt] = set()
        self._ended: set[Attempt] = set()
        self.following: list[Attempt] = []
        """The attempts that replace those that did not finish."""
        self.fatal: OrchError | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # Tune pickles its callbacks into a state that nothing reads.
        return (tune.Callback, ())

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        attempt = Attempt.of(trial.config)
        self._running.add(attempt)
        self._watcher.started(attempt.trial_id)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if "metrics" not in result:
            return
        attempt = Attempt.of(trial.config)
        try:
            self._watcher.epoch(attempt.trial_id, Epoch(result["epoch"], result["metrics"]))
        except OrchError as error:
            self.fatal = error

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        attempt = Attempt.of(trial.config)
        self._running.discard(attempt)
        if trial.last_result.get("done") and self.fatal is None:
            self._ended.add(attempt)
            self._watcher.finished(attempt.trial_id, trial.last_result["seconds"])

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._fail(Attempt.of(trial.config), error_of(trial))

    def close(self, batch: Sequence[Attempt], error: Exception | None) -> None:
        """Handle the attempts whose end Tune has not reported.

        Running out of memory ends a whole `fit`: the trials that were running may be the cause
        and count as failed; the others are queued again.

        Raises:
            RunError: Tune ended early for another reason, or while nothing was running.
        """
        lost = [attempt for attempt in batch if attempt not in self._ended]
        if not lost:
            return
        if not (self._running and isinstance(error, OutOfMemoryError)):
            raise RunError(
                f"Ray ended the run early: {reason_for(error)}; finished trials are kept; run the "
                "same command again to continue"
            )
        for attempt in lost:
            if attempt in self._running:
                self._fail(attempt, error)
            else:
                self.following.append(attempt)

    def _fail(self, attempt: Attempt, error: Exception | None) -> None:
        self._running.discard(attempt)
        self._ended.add(attempt)
        if isinstance(error, EditedError):
            self._watcher.edited(attempt.trial_id, str(error))
            return
        again = self._retries.allow(attempt.trial_id, attempt.number, error)
        if again:
            self.following.append(Attempt(attempt.trial_id, attempt.number + 1))
        try:
            reason = reason_for(error)
            self._watcher.failed(attempt.trial_id, reason, attempt.number, again=again, error=error)
        except OrchError as fatal:  # for example a full disk; Tune would print a traceback
            self.fatal = fatal


class _Stopper(tune.Stopper):
    """Ends the run after an error of the watcher."""

    def __init__(self, observer: _Observer) -> None:
        self._observer = observer

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._observer.fatal is not None
