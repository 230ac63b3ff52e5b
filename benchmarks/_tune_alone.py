"""Trials on Tune without this project: `python -m benchmarks._tune_alone KIND TRIALS`.

`function` is a plain function trainable with Tune's defaults; `class` is a class trainable whose
processes are reused, without loggers. Both are no-ops. `training` is such a class that runs the
trainable of the module `bench`. Prints the wall seconds per trial after the first.
"""

import importlib
import logging
import os
import sys
import tempfile
import time
from typing import Any

KIND, TRIALS = sys.argv[1], int(sys.argv[2])
if KIND != "function":
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"

import ray  # noqa: E402  (reads the environment)
from ray import tune  # noqa: E402


class Noop(tune.Trainable):
    """Ends after one empty epoch."""

    def step(self) -> dict[str, Any]:
        """Run the epoch."""
        return {"score": 1.0, "done": True}

    def reset_config(self, new_config: dict[str, Any]) -> bool:  # noqa: ARG002  (Tune's interface)
        """Accept the next trial."""
        return True


class Training(Noop):
    """Trains in the worker itself."""

    def setup(self, config: dict[str, Any]) -> None:
        """Import the trainable, and torch with it, here: the driver needs neither."""
        self._epochs = importlib.import_module("bench").train(config, None)

    def step(self) -> dict[str, Any]:
        """Run the next epoch."""
        return next(self._epochs, {"done": True})


def noop(config: dict[str, Any]) -> None:  # noqa: ARG001  (Tune's interface)
    """Report one empty epoch."""
    tune.report({"score": 1.0})


TRAINABLES: dict[str, Any] = {"function": noop, "class": Noop, "training": Training}


class Ends(tune.Callback):
    """Records when trials end."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_trial_complete(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Record the time."""
        self.times.append(time.monotonic())


def main() -> None:
    """Run the trials two at a time."""
    ray.init(
        address="local", include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False
    )
    ends = Ends()
    unsaved = tune.CheckpointConfig(checkpoint_at_end=False) if KIND != "function" else None
    half = {"CPU": (os.cpu_count() or 1) / 2}
    with tempfile.TemporaryDirectory() as storage:
        tune.Tuner(
            tune.with_resources(TRAINABLES[KIND], half),
            param_space={"x": tune.grid_search(list(range(TRIALS)))},
            tune_config=tune.TuneConfig(reuse_actors=KIND != "function"),
            run_config=tune.RunConfig(
                storage_path=storage, verbose=0, callbacks=[ends], checkpoint_config=unsaved
            ),
        ).fit()
    print(f"\n{(ends.times[-1] - ends.times[0]) / (TRIALS - 1)}")


if __name__ == "__main__":
    main()
