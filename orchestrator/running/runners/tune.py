"""Trials on Ray Tune: a pool of reused worker processes, on one machine or many.

What is finished is for the store to say. Tune is asked for one thing: to hand each trial
to a process that has the resources, and to tell what became of it.
"""

from __future__ import annotations

import contextlib
import tempfile
import traceback
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray import tune
from ray.exceptions import OutOfMemoryError, RayError
from ray.tune.execution import class_cache
from ray.tune.schedulers import FIFOScheduler

from orchestrator.errors import OrchError, RunError, TrialFailedError
from orchestrator.running.execution import Epoch, Execution
from orchestrator.running.failures import Retries
from orchestrator.running.job import Job, Task
from orchestrator.running.live_trial import Report, Start
from orchestrator.running.processes.host import TrialProcesses
from orchestrator.running.runners import Watcher, other_nodes
from orchestrator.running.runners.ray_cluster import refuse_what_cannot_fit
from orchestrator.running.runners.ray_errors import error_of, words
from orchestrator.store import Store, Writer

TRIALS_PER_FIT = 5_000
"""Tune keeps all trials of a ``fit()`` in memory, and each ``fit()`` starts new processes.

With 5,000 the driver of 10,000 trials takes 524 MiB, and five seconds are lost between two
portions. What failed in one is tried again in the next.
"""


@contextlib.contextmanager
def _keys_kept_out_of_logs() -> Iterator[None]:
    """Keep Tune from copying the driver's keys to AWS into Ray's logs, which others may read.

    Workers have the environment of their node. Tune offers no setting for it, so its own list
    is replaced while it starts workers.
    """
    before = class_cache.ENV_VARS_TO_PROPAGATE
    class_cache.ENV_VARS_TO_PROPAGATE = {n for n in before if not n.startswith("AWS_")}
    try:
        yield
    finally:
        class_cache.ENV_VARS_TO_PROPAGATE = before


@dataclass(frozen=True)
class Attempt:
    """A trial, and how often it was started."""

    trial_id: str
    number: int

    def __str__(self) -> str:
        return f"{self.trial_id}-{self.number}"

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Attempt:
        """Find it in a Tune config."""
        trial_id, number, *_ = config["trial"].split()
        return cls(trial_id, int(number))

    def described(self, job: Job) -> str:
        """Tell Tune what it needs to know; it copies all of these texts for each trial."""
        task = job.tasks[self.trial_id]
        return f"{self.trial_id} {self.number} {task.cpu} {task.gpu}"


class TuneRunner:
    """Runs trials as Tune trials whose processes are reused, so that imports are paid once."""

    def run(self, job: Job, todo: Sequence[str], retries: int, watcher: Watcher) -> None:
        """Run trials in the given order, as far as resources allow."""
        refuse_what_cannot_fit(job, todo)
        other_nodes.check(job, todo)
        queue, allowed = [Attempt(trial_id, 1) for trial_id in todo], Retries(retries)
        worker = tune.with_parameters(_Worker, job=ray.put(job))
        while queue:
            portion, queue = queue[:TRIALS_PER_FIT], queue[TRIALS_PER_FIT:]
            observer = _Observer(watcher, allowed)
            error = _fit(worker, [attempt.described(job) for attempt in portion], observer)
            observer.close(portion, error)
            queue += observer.following


def _fit(worker: type[_Worker], trials: list[str], observer: _Observer) -> Exception | None:
    """Run one portion, and return what broke it off."""
    error: Exception | None = None
    with tempfile.TemporaryDirectory(prefix="orch-tune-") as folder, _keys_kept_out_of_logs():
        try:
            tune.Tuner(
                worker,
                param_space={"trial": tune.grid_search(trials)},
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
        except (RayError, tune.TuneError) as broken:
            error = broken
    if observer.fatal is not None:
        raise observer.fatal
    return error


def _name(trial: Any) -> str:
    return str(Attempt.of(trial.config))


class _FirstComeFirstServed(FIFOScheduler):
    """Gives a free process to the first waiting trial for which none is being started.

    Tune's own choice is the first trial that waits, and it then stops the process that was
    being started for it: while trials take less time than a process takes to start, all but
    one of the slots would stay empty for the whole sweep.
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


class _Worker(tune.Trainable):
    """A worker that runs one trial after another, an epoch at each step.

    It holds the resources and writes to the store; each trial computes in a process of its own.
    """

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        *_, cpu, gpu = config["trial"].split()
        return tune.PlacementGroupFactory([{"CPU": float(cpu), "GPU": float(gpu)}])

    def setup(self, config: dict[str, Any], job: Job | None = None) -> None:
        if job is None:
            raise RunError("Tune started a worker without its job")
        self._job = job
        self._writer = Writer(Store(self._job.store))
        self._execution: Execution | None = None
        self._attempt = Attempt.of(config)
        job.set_environment()
        self._processes = TrialProcesses(job.trainable, job.folder, self._task.threads)

    @property
    def _task(self) -> Task:
        return self._job.tasks[self._attempt.trial_id]

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._leave()
        self._attempt = Attempt.of(new_config)
        return True

    def step(self) -> dict[str, Any]:
        try:
            epoch = self._advance()
        except TrialFailedError:  # whose process has printed why
            self._writer.flush_log()
            raise
        except Exception as error:
            self._log("".join(traceback.format_exception(error)))
            self._writer.flush_log()
            raise
        if epoch is None:
            return {"done": True, "seconds": self._execution.seconds if self._execution else 0.0}
        return {"epoch": epoch.number, "metrics": dict(epoch.metrics)}

    def _advance(self) -> Epoch | None:
        if self._execution is None:
            self._execution = Execution(
                self._job, self._task, self._writer, self._launch, self._attempt.number
            )
        return self._execution.advance()

    def _launch(self, start: Start, state: bytes | None) -> Generator[Report, None, None]:
        return self._processes.run(start, state, self._log)

    def _log(self, text: str) -> None:
        self._writer.log(self._attempt.trial_id, text)

    def cleanup(self) -> None:
        self._leave()
        self._processes.close()

    def _leave(self) -> None:
        if self._execution is not None:
            self._execution.close()
            self._execution = None


class _Observer(tune.Callback):
    """Passes Tune's events on to the watcher and notes what is to follow."""

    def __init__(self, watcher: Watcher, retries: Retries) -> None:
        self._watcher = watcher
        self._retries = retries
        self._running: set[Attempt] = set()
        self._ended: set[Attempt] = set()
        self.following: list[Attempt] = []
        """What is to be tried next, in place of attempts that did not finish."""
        self.fatal: OrchError | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        # Tune pickles its callbacks into a state that nobody reads.
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

    def close(self, portion: Sequence[Attempt], error: Exception | None) -> None:
        """Deal with attempts of which Tune told no end.

        Running out of memory breaks off a whole `fit`; the trials that ran may have been
        the cause, the others only wait again.

        Raises:
            RunError: Tune broke off for another reason, or with nothing running.
        """
        lost = [attempt for attempt in portion if attempt not in self._ended]
        if not lost:
            return
        if not (self._running and isinstance(error, OutOfMemoryError)):
            raise RunError(
                f"Ray ended the run before its trials: {words(error)}; what is finished is "
                "kept, and the same command goes on"
            )
        for attempt in lost:
            if attempt in self._running:
                self._fail(attempt, error)
            else:
                self.following.append(attempt)

    def _fail(self, attempt: Attempt, error: Exception | None) -> None:
        self._running.discard(attempt)
        self._ended.add(attempt)
        again = self._retries.allow(attempt.trial_id, attempt.number, error)
        if again:
            self.following.append(Attempt(attempt.trial_id, attempt.number + 1))
        try:
            self._watcher.failed(attempt.trial_id, words(error), attempt.number, again=again)
        except OrchError as refused:  # such as by a full disk; Tune would make a traceback of it
            self.fatal = refused


class _Stopper(tune.Stopper):
    """Ends the run when the watcher found the metrics wrong."""

    def __init__(self, observer: _Observer) -> None:
        self._observer = observer

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self._observer.fatal is not None
