"""No-op trials on Tune without this project: `python -m benchmarks._tune_alone KIND TRIALS`.

`function` is a plain function trainable with Tune's defaults; `class` is a class trainable whose
processes are reused, without loggers. Prints the wall seconds per trial after the first.
"""

import logging
import os
import sys
import tempfile
import time
from typing import Any

KIND, TRIALS = sys.argv[1], int(sys.argv[2])
if KIND == "class":
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


def noop(config: dict[str, Any]) -> None:  # noqa: ARG001  (Tune's interface)
    """Report one empty epoch."""
    tune.report({"score": 1.0})


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
    unsaved = tune.CheckpointConfig(checkpoint_at_end=False) if KIND == "class" else None
    half = {"CPU": (os.cpu_count() or 1) / 2}
    with tempfile.TemporaryDirectory() as storage:
        tune.Tuner(
            tune.with_resources(Noop if KIND == "class" else noop, half),
            param_space={"x": tune.grid_search(list(range(TRIALS)))},
            tune_config=tune.TuneConfig(reuse_actors=KIND == "class"),
            run_config=tune.RunConfig(
                storage_path=storage, verbose=0, callbacks=[ends], checkpoint_config=unsaved
            ),
        ).fit()
    print(f"\n{(ends.times[-1] - ends.times[0]) / (TRIALS - 1)}")


if __name__ == "__main__":
    main()
