"""Runs trials on Ray Tune: a pool of reused worker processes, on one node or many.

The store decides which trials are finished. Tune only assigns each attempt to a process with
the resources for it, and reports how the attempt ends.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayError
from ray.tune import tune as tune_loop
from ray.tune.execution import class_cache
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from orchestrator.errors import OrchError
from orchestrator.running.attempts import Attempts
from orchestrator.running.execution import Epoch
from orchestrator.running.job import Job
from orchestrator.running.runners import other_nodes, ray_head
from orchestrator.running.runners.ray_cluster import require_fit, trials_ahead
from orchestrator.running.runners.ray_errors import error_of, translated
from orchestrator.running.runners.ray_settings import ENDING
from orchestrator.running.runners.save_request import SaveRequest
from orchestrator.running.runners.tune_worker import Worker, attempt_of, text_of
from orchestrator.temporary import temporary

TRIALS_PER_FIT = 5_000
"""Trials per portion: Tune keeps all trials of a ``fit()`` in memory, and each ``fit()`` starts
new processes.

With 5,000 the driver of 10,000 trials takes 524 MiB, and five seconds are lost between two
portions.
"""


@contextlib.contextmanager
def _workers_environment(*, inherited: bool) -> Iterator[None]:
    """Set which variables Tune copies into the runtime environment of the workers.

    It has no setting for this, so its list is replaced while it starts workers. None where they
    inherit the driver's: any runtime environment would keep them from being the processes that
    Ray has started already. Elsewhere all but AWS keys, which would be in Ray's logs, where others
    may read them; workers have the environment of their node.
    """
    names, fixed = class_cache.ENV_VARS_TO_PROPAGATE, class_cache.DEFAULT_ENV_VARS
    allowed = set() if inherited else {n for n in names if not n.startswith("AWS_")}
    class_cache.ENV_VARS_TO_PROPAGATE = allowed
    class_cache.DEFAULT_ENV_VARS = {} if inherited else {**fixed, **ENDING}
    try:
        yield
    finally:
        class_cache.ENV_VARS_TO_PROPAGATE, class_cache.DEFAULT_ENV_VARS = names, fixed


@contextlib.contextmanager
def _same_handlers() -> Iterator[None]:
    """Keep who handles SIGUSR1: Tune would end the run at once, and has no setting for this."""
    set_handlers = tune_loop._setup_signal_catching
    tune_loop._setup_signal_catching = threading.Event
    try:
        yield
    finally:
        tune_loop._setup_signal_catching = set_handlers


class TuneRunner:
    """Runs attempts as Tune trials in reused processes, so that each imports only once.

    Args:
        own_ray: whether Ray was started for this run, with the environment of this process.
    """

    def __init__(self, *, own_ray: bool) -> None:
        self._own_ray = own_ray
        self._worker: type[Worker] | None = None
        self._save_request = SaveRequest()

    def run(self, job: Job, attempts: Attempts) -> Exception | None:
        """Run a portion of the attempts, as many at once as resources allow."""
        if self._worker is None:
            require_fit(job, list(job.tasks))
            other_nodes.check(job, list(job.tasks))
            # With a searcher of one's own, Tune would start one trial after the other.
            os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(trials_ahead(job))
            self._worker = tune.with_parameters(
                Worker, job=ray.put(job), save_request=self._save_request
            )
        with _workers_environment(inherited=self._own_ray), ray_head.required():
            return _fit(
                self._worker, _Queue(attempts, job), _Observer(attempts, self._save_request)
            )


def _fit(worker: type[Worker], queue: _Queue, observer: _Observer) -> Exception | None:
    """Run a portion; return the error that ended it early, if any."""
    error: Exception | None = None
    with temporary("tune") as folder, _same_handlers():
        try:
            tune.Tuner(
                worker,
                tune_config=tune.TuneConfig(
                    search_alg=queue,
                    num_samples=TRIALS_PER_FIT,
                    reuse_actors=True,
                    trial_name_creator=_name,
                    scheduler=_FirstComeFirstServed(),
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
            error = translated(raised)
    if observer.fatal is not None:
        raise observer.fatal
    return error


def _name(trial: Any) -> str:
    return str(attempt_of(trial.config))


class _Queue(Searcher):
    """Hands out attempts as Tune asks for them; a retry may follow as long as one runs."""

    def __init__(self, attempts: Attempts, job: Job) -> None:
        super().__init__()
        self._attempts, self._job = attempts, job

    def __reduce__(self) -> tuple[Any, ...]:
        # Tune pickles its searcher into a state that nothing reads.
        return (Searcher, ())

    def suggest(self, trial_id: str) -> Any:
        attempt = self._attempts.take()
        if attempt is not None:
            return {"trial": text_of(attempt, self._job)}
        return Searcher.FINISHED if self._attempts.over else None

    def on_trial_complete(self, trial_id: str, *result: Any, **info: Any) -> None:
        """Ignore the end, which the observer tells."""

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the store says which trials are finished."""


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
    """Passes Tune's events on to the attempts."""

    def __init__(self, attempts: Attempts, save_request: SaveRequest) -> None:
        self._attempts, self._save_request = attempts, save_request
        self.fatal: OrchError | None = None
        """What ends the run, for example a full disk; Tune would print a traceback."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Tune pickles its callbacks into a state that nothing reads.
        return (tune.Callback, ())

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._attempts.started(attempt_of(trial.config))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        if "metrics" in result:
            epoch = Epoch(result["epoch"], result["metrics"], result["is_saved"])
            with self._keeping_errors():
                self._attempts.epoch(attempt_of(trial.config), epoch)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        attempt, result = attempt_of(trial.config), trial.last_result
        if not result.get("done") or self.fatal is not None:
            return
        with self._keeping_errors():
            if "failed" in result:
                self._attempts.failed(attempt, result["failed"])
            else:
                self._attempts.committed(attempt, result["seconds"])

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        with self._keeping_errors():
            self._attempts.failed(attempt_of(trial.config), error_of(trial))

    def require_time(self) -> None:
        """End the run if its time is up, and ask trials to save if it nearly is."""
        if self._attempts.winds_down:
            self._save_request.make()
        if self.fatal is None:
            with self._keeping_errors():
                self._attempts.require_time()

    @contextlib.contextmanager
    def _keeping_errors(self) -> Iterator[None]:
        try:
            yield
        except OrchError as error:
            self.fatal = error


class _Stopper(tune.Stopper):
    """Ends the run after an error that is not a trial's."""

    def __init__(self, observer: _Observer) -> None:
        self._observer = observer

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        self._observer.require_time()
        return self._observer.fatal is not None
