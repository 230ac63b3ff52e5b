"""Imports the trainable and checks every config, in a separate process.

The driver itself does not import the trainable: torch would cost it seconds and memory, and
importing a user's module may have side effects.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.code import import_trainable, require_function
from orchestrator.errors import TrainableError
from orchestrator.labels import assignments, counted
from orchestrator.running import failures
from orchestrator.spec.grid import PlannedTrial

_SHOWN_REFUSALS = 10


def check(
    trainable: str, trials: Sequence[PlannedTrial], meanwhile: Callable[[], object] = lambda: None
) -> None:
    """Import a trainable and have it check the params of each config.

    Args:
        trainable: as ``module:generator``.
        trials: the trials to run; one trial of each config is checked.
        meanwhile: called while the other process works.

    Raises:
        TrainableError: the trainable cannot be imported, cannot run, or refuses a config.
    """
    by_config: dict[str, PlannedTrial] = {}
    for trial in trials:
        by_config.setdefault(trial.config.config_id, trial)
    configs = [trial.params for trial in by_config.values()]
    with _check_process(trainable, str(Path.cwd()), configs) as process:
        meanwhile()
        result = _result(process)
    if result["import"]:
        raise TrainableError(result["import"])
    if result["refused"]:
        raise TrainableError(_message(result["refused"], list(by_config.values())))


def check_configs(
    trainable: str, folder: str, configs: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Import a trainable from a folder, in a separate process, and have it check configs.

    Returns:
        ``import``: why the trainable cannot be imported or run, or None; ``refused``: its message
        for each config that it refuses, by index in the list.

    Raises:
        TrainableError: the process ended without a result.
    """
    with _check_process(trainable, folder, configs) as process:
        return _result(process)


@contextmanager
def _check_process(
    trainable: str, folder: str, configs: Sequence[Mapping[str, Any]]
) -> Iterator[subprocess.Popen[str]]:
    """Start the process; kill it after the block."""
    # -P: else the folder comes first in the import path, before this tool has imported its own.
    command = [sys.executable, "-P", "-m", "orchestrator.running.preflight", trainable, folder]
    with tempfile.TemporaryFile("w+") as stdin:  # a pipe would hold only a few configs
        json.dump(list(configs), stdin)
        stdin.seek(0)
        with subprocess.Popen(
            command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                yield process
            finally:
                process.kill()


def _result(process: subprocess.Popen[str]) -> dict[str, Any]:
    stdout, stderr = process.communicate()
    try:
        result: dict[str, Any] = json.loads(stdout)
    except ValueError:
        last_line = f": {stderr.strip().splitlines()[-1]}" if stderr.strip() else ""
        raise TrainableError(
            "the process that imports the trainable and checks its configs "
            f"{failures.ended(process.returncode)}{last_line}"
        ) from None
    return result


def _message(refused: dict[str, str], trials: Sequence[PlannedTrial]) -> str:
    """List each distinct message once, with the first config that it applies to."""
    by_text: dict[str, list[str]] = {}
    for index, text in refused.items():
        by_text.setdefault(text, []).append(assignments(trials[int(index)].config.selectors))
    lines = [
        text + (f" ({name}{f' and {len(others):,} more' if others else ''})" if name else "")
        for text, (name, *others) in by_text.items()
    ]
    hidden = len(lines) - _SHOWN_REFUSALS
    more = f"\nand {counted(hidden, 'more message')}" if hidden > 0 else ""
    return "\n".join(lines[:_SHOWN_REFUSALS]) + more


def main() -> None:
    """Import the trainable, check the configs from standard input, print the result as JSON."""
    answer = os.dup(1)
    os.dup2(2, 1)  # what the module prints, also at its exit, is no part of the result
    result: dict[str, Any] = {"import": None, "refused": {}}
    try:
        trainable = import_trainable(sys.argv[1], sys.argv[2])
        require_function(trainable, sys.argv[1])
    except TrainableError as error:
        result["import"] = str(error)
    else:
        check = getattr(trainable, "check", None)
        if check is not None:
            result["refused"] = dict(_refused(check, json.load(sys.stdin)))
    with os.fdopen(answer, "w") as stream:
        json.dump(result, stream)


def _refused(check: Any, configs: Iterable[dict[str, Any]]) -> Iterable[tuple[int, str]]:
    for index, params in enumerate(configs):
        try:
            check(params)
        except ValueError as error:
            yield index, str(error)
        except Exception as error:  # noqa: BLE001  (a bug in the user's check)
            yield index, f"`check` raised {type(error).__name__}: {error}"


if __name__ == "__main__":
    main()
