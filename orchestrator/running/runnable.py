"""What runs a trial: a trainable of the user's, or a program behind one of ours."""

from __future__ import annotations

import json

from orchestrator.code import Trainable, import_trainable
from orchestrator.code.recorder import Recorder


def is_program(runs: str) -> bool:
    """Tell a program, whose command and metrics are JSON, from the name of a trainable."""
    return runs.startswith("{")


def runnable(runs: str, folder: str, recorder: Recorder) -> Trainable:
    """Import a trainable, or make one that runs a program.

    Args:
        runs: a trainable's name, or a program as `Job.runs` has it.
        folder: from which it is imported, or in which it runs.
        recorder: takes what a program imports; what this process imports it sees itself.

    Raises:
        TrainableError: the trainable cannot be imported.
    """
    if not is_program(runs):
        return import_trainable(runs, folder)
    from orchestrator.running.programs.program import Program  # pydantic takes 0.2 s

    keys = json.loads(runs)
    return Program(keys["command"], keys.get("metrics", {}), folder, recorder)
