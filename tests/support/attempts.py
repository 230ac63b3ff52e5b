"""Attempts at one trial without a runner, which tests interrupt where they like.

As a program, ``attempts.py FOLDER``, it ends an attempt by SIGKILL at each of its changes of files
in turn, each time in a store of its own below the folder, and has a second attempt finish.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import signal
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.code import Scope
from orchestrator.running.execution import Epoch, Execution
from orchestrator.running.job import make_job
from orchestrator.running.live_trial import LiveTrial, Report, Start
from orchestrator.running.trial_code import RunCode, TrialCode
from orchestrator.spec.grid import expand
from orchestrator.store import Store, Writer
from orchestrator.store.files import Files
from support.storing import Lab, make_sweep

CHANGES = ("writing", "delete", "delete_folder", "make_folder", "link", "move", "upload")
"""The methods of `Files` that change something; a rename is one of `Path`."""
EPOCHS = 5

Trainable = Callable[[Mapping[str, Any], Any], Iterator[Mapping[str, float]]]


def saving(_params: Mapping[str, Any], trial: Any) -> Iterator[Mapping[str, float]]:
    """Sum up chance; the state is the sum so far."""
    state = json.loads(trial.load() or b"[0, 0.0]")
    for epoch in range(state[0] + 1, EPOCHS + 1):
        chance = random.Random(epoch).random()
        state = [epoch, state[1] + chance]
        trial.probe("chance", "only", chance, index=0)
        if trial.checkpoint_due:
            trial.save(json.dumps(state).encode())
        yield {"score": state[1], "loss": 1 / epoch}
    leave(trial, state)


def leave(trial: Any, state: list[Any]) -> None:
    """Leave two files to be kept, one of them a link."""
    keep = trial.folder / "keep"
    keep.mkdir(exist_ok=True)
    (keep / "sum.json").write_text(json.dumps(state))
    link = keep / "last"
    link.unlink(missing_ok=True)
    link.symlink_to("sum.json")


def keeping(_params: Mapping[str, Any], trial: Any) -> Iterator[Mapping[str, float]]:
    """Do the same with a state in the trial's folder, and a counter."""
    path = trial.folder / "deep" / "state.json"
    path.parent.mkdir(exist_ok=True)
    state = json.loads(path.read_text()) if path.exists() else [0, 0.0]
    for epoch in range(state[0] + 1, EPOCHS + 1):
        chance = random.Random(epoch).random()
        state = [epoch, state[1] + chance]
        trial.probe("chance", "only", chance, index=0)
        path.write_text(json.dumps(state))
        yield {"step": 10.0 * epoch, "score": state[1], "loss": 1 / epoch}
    leave(trial, state)


def reports(
    train: Trainable,
    start: Start,
    state: bytes | None,
    log: Callable[[str], None],
    must_save: Callable[[], bool] = lambda: False,
) -> Generator[Report, None, None]:
    """Run a generator in this process, an epoch whenever the next report is asked for."""
    handed: list[Report] = []
    trial = LiveTrial(start, state, log, handed.append, must_save=must_save)
    with contextlib.closing(train(start.params, trial)) as yielded:
        for metrics in yielded:
            trial.take(metrics)
            yield handed.pop()


class Attempts:
    """Attempts at one trial in a store."""

    def __init__(self, location: str, train: Trainable = saving, every: int = 1) -> None:
        self.lab = Lab(location)
        self.train = train
        self.log: list[str] = []
        self.sweep = make_sweep(
            factors={"x": (1,)},
            select={"metric": "score", "mode": "max"},
            checkpoint_every=every,
            artifacts="all",
        )
        (self.trial,) = expand(self.sweep)

    @property
    def store(self) -> Store:
        return self.lab.store

    def start(self, number: int, train: Trainable | None = None) -> Iterator[Epoch]:
        """Start an attempt, whose number is that of the runner."""
        execution = self.execution(number)
        train = train or self.train
        return execution.follow(reports(train, execution.start, execution.state, self.log.append))

    def execution(self, number: int) -> Execution:
        """Begin an attempt, of which somebody else makes the reports."""
        layout = self.lab.prepare(self.sweep) if number == 1 else self.store.layout()
        code: Any = SimpleNamespace(digest="digest")
        scope = Scope(str(self.lab.folder))
        job = make_job(self.sweep, [self.trial], self.lab.location, layout, code, scope)
        task = job.tasks[self.trial.trial_id]
        own = TrialCode(RunCode(job, self.store))
        return Execution(job, task, Writer(self.store), number, own)

    def finish(self, number: int, train: Trainable | None = None) -> None:
        """Run an attempt to its end."""
        run(self.start(number, train))


def run(attempt: Iterator[Epoch], epochs: int | None = None) -> None:
    """Run some more epochs of an attempt, or all, and its commit."""
    for _ in itertools.islice(attempt, epochs):
        pass


def interrupt_at(instant: int, act: Callable[[], object], patch: pytest.MonkeyPatch) -> None:
    """Act just before the change of files of this number."""
    changes = itertools.count()

    def guarded(original: Callable[..., Any]) -> Callable[..., Any]:
        def change(*arguments: Any, **keywords: Any) -> Any:
            if next(changes) == instant:
                act()
            return original(*arguments, **keywords)

        return change

    for name in CHANGES:
        patch.setattr(Files, name, guarded(getattr(Files, name)))
    patch.setattr(Path, "replace", guarded(Path.replace))


def main() -> None:
    """Kill an attempt at each of its changes."""
    with tempfile.TemporaryDirectory() as folder:
        Attempts(f"{folder}/toy").finish(1)  # imports, once, what each fork would import
    for instant in itertools.count():
        attempts = Attempts(f"{sys.argv[1]}/{instant}")
        status = _forked(lambda a=attempts, i=instant: _doomed(a, i))
        if status == 0:
            return
        if status != -signal.SIGKILL or _forked(lambda a=attempts: a.finish(2)):
            sys.exit(f"an attempt failed, of which the first was killed at change {instant}")


def _doomed(attempts: Attempts, instant: int) -> None:
    attempt = attempts.start(1)
    with pytest.MonkeyPatch.context() as patch:
        interrupt_at(instant, lambda: os.kill(os.getpid(), signal.SIGKILL), patch)
        run(attempt)


def _forked(act: Callable[[], object]) -> int:
    """Act in a process of its own, and return its exit code."""
    pid = os.fork()
    if pid == 0:
        try:
            act()
        except BaseException:  # noqa: BLE001  (it must not go on as a copy of its parent)
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    main()
