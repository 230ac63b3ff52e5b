"""Imports the trainable and checks every config, in a process of its own.

The driver imports no trainable: torch would cost it seconds and memory, and what a user's
module does when imported is not its business.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orchestrator.code import import_trainable
from orchestrator.errors import TrainableError
from orchestrator.spec.grid import PlannedTrial

_SHOWN = 10


def check(
    trainable: str, trials: Sequence[PlannedTrial], meanwhile: Callable[[], object] = lambda: None
) -> None:
    """Import a trainable and let it check the params of each config.

    Args:
        trainable: as ``module:generator``.
        trials: what is to run; one trial of each config is checked.
        meanwhile: is called while the other process does that.

    Raises:
        TrainableError: it cannot be imported, or refuses a config.
    """
    first: dict[str, PlannedTrial] = {}
    for trial in trials:
        first.setdefault(trial.config.config_id, trial)
    configs = [trial.params for trial in first.values()]
    with _asking(trainable, str(Path.cwd()), configs) as process:
        meanwhile()
        answer = _answer(process)
    if answer["import"]:
        raise TrainableError(answer["import"])
    if answer["refused"]:
        raise TrainableError(_words(answer["refused"], list(first.values())))


def ask(trainable: str, folder: str, configs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Import a trainable from a folder, in a process of its own, and let it check configs.

    Returns:
        Under ``import`` why it cannot be imported, or None; under ``refused`` what it says
        against configs, by their place in the list.

    Raises:
        TrainableError: the process ended without an answer.
    """
    with _asking(trainable, folder, configs) as process:
        return _answer(process)


@contextmanager
def _asking(
    trainable: str, folder: str, configs: Sequence[Mapping[str, Any]]
) -> Iterator[subprocess.Popen[str]]:
    """Start the process; it is gone after the block, whatever ends that."""
    command = [sys.executable, "-m", "orchestrator.running.preflight", trainable, folder]
    with tempfile.TemporaryFile("w+") as given:  # a pipe would hold but a few of them
        json.dump(list(configs), given)
        given.seek(0)
        with subprocess.Popen(
            command, stdin=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                yield process
            finally:
                process.kill()


def _answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    stdout, stderr = process.communicate()
    try:
        answer: dict[str, Any] = json.loads(stdout.splitlines()[-1])
    except (IndexError, ValueError):
        last = (stderr.strip().splitlines() or ["no message"])[-1]
        raise TrainableError(
            "importing or checking the trainable ended its process "
            f"(exit code {process.returncode}): {last}"
        ) from None
    return answer


def _words(refused: dict[str, str], trials: Sequence[PlannedTrial]) -> str:
    """Tell each distinct complaint once, with the first config that it is about."""
    by_text: dict[str, list[str]] = {}
    for index, text in refused.items():
        by_text.setdefault(text, []).append(_described(trials[int(index)]))
    lines = [
        f"{text} ({names[0]}{f' and {len(names) - 1:,} more' if names[1:] else ''})"
        for text, names in by_text.items()
    ]
    more = f"\nand {len(lines) - _SHOWN:,} more complaints" if len(lines) > _SHOWN else ""
    return "\n".join(lines[:_SHOWN]) + more


def _described(trial: PlannedTrial) -> str:
    params = {**trial.config.factors, **trial.config.search}
    return ", ".join(f"{name}={value}" for name, value in params.items())


def main() -> None:
    """Import the trainable, check the configs that stand on standard input, print JSON."""
    answer: dict[str, Any] = {"import": None, "refused": {}}
    try:
        trainable = import_trainable(sys.argv[1], sys.argv[2])
    except TrainableError as error:
        answer["import"] = str(error)
    else:
        check = getattr(trainable, "check", None)
        if check is not None:
            answer["refused"] = dict(_refused(check, json.load(sys.stdin)))
    print(f"\n{json.dumps(answer)}")  # on a line of its own, whatever the module printed


def _refused(check: Any, configs: Iterable[dict[str, Any]]) -> Iterable[tuple[int, str]]:
    for index, params in enumerate(configs):
        try:
            check(params)
        except ValueError as error:
            yield index, str(error)
        except Exception as error:  # noqa: BLE001  (a mistake in the user's check)
            yield index, f"its check failed: {type(error).__name__}: {error}"


if __name__ == "__main__":
    main()
